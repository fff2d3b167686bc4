import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delegateConf } from '../../support/flannel-cni.js';

const v4 = 'FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.17.1/24\n';
const v6 = 'FLANNEL_IPV6_NETWORK=fc00::/48\nFLANNEL_IPV6_SUBNET=fc00::1/64\n';
const rest = 'FLANNEL_MTU=1472\nFLANNEL_IPMASQ=true\n';
const delegate = { ipMasq: false, isGateway: true, mtu: 1472, name: 'cni-flannel', type: 'bridge' };

// The expectations are those of the plugin's own tests.
test("subnet.env becomes the bridge's configuration", () => {
  const conf = { name: 'cni-flannel', type: 'flannel' };
  const expected: [string, string[], string[]][] = [
    [v4, ['10.1.17.0/24'], ['10.1.0.0/16']],
    [v6, ['fc00::/64'], ['fc00::/48']],
    [v4 + v6, ['10.1.17.0/24', 'fc00::/64'], ['10.1.0.0/16', 'fc00::/48']],
    [v4.replace('/16', '/16,192.168.0.0/16'), ['10.1.17.0/24'], ['10.1.0.0/16', '192.168.0.0/16']],
  ];
  for (const [env, subnets, networks] of expected) {
    assert.deepEqual(delegateConf(conf, env + rest), {
      ...delegate,
      ipam: {
        type: 'host-local',
        ranges: subnets.map((subnet) => [{ subnet }]),
        routes: networks.map((dst) => ({ dst })),
      },
    });
  }
});

test('what the configuration says wins, and IPMASQ turns round', () => {
  const conf = {
    ...{ name: 'cbr0', type: 'flannel', cniVersion: '0.3.1' },
    delegate: { hairpinMode: true, isDefaultGateway: true, mtu: 1300 },
    ipam: { dataDir: '/x', routes: [{ dst: '10.96.0.0/12' }] },
  };
  const made = delegateConf(conf, `${v4}FLANNEL_MTU=1472\nFLANNEL_IPMASQ=false\n`);
  assert.deepEqual(made, {
    ...{ ...delegate, name: 'cbr0', mtu: 1300, ipMasq: true, cniVersion: '0.3.1' },
    ...{ hairpinMode: true, isDefaultGateway: true },
    ipam: {
      ...{ type: 'host-local', dataDir: '/x', ranges: [[{ subnet: '10.1.17.0/24' }]] },
      routes: [{ dst: '10.96.0.0/12' }, { dst: '10.1.0.0/16' }],
    },
  });
});

test('what is missing is named', () => {
  assert.throws(() => delegateConf({ name: 'x' }, v4), /missing FLANNEL_MTU, FLANNEL_IPMASQ/);
  assert.throws(
    () => delegateConf({ name: 'x', delegate: { name: 'y' } }, v4 + rest),
    /must not have 'name'/,
  );
});
