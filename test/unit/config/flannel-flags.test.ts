import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idleFlags } from '../../../src/config/flannel-flags.js';
import { runFlags, runOptions } from '../../../src/config/run-options.js';

/** flannel's manual: name and default; none: nothing is given. */
const flannels: { readonly [name: string]: string | number | boolean | readonly string[] } = {
  'etcd-endpoints': 'http://127.0.0.1:4001,http://127.0.0.1:2379',
  'etcd-prefix': '/coreos.com/network',
  'etcd-keyfile': '',
  'etcd-certfile': '',
  'etcd-cafile': '',
  'etcd-username': '',
  'etcd-password': '',
  iface: [],
  'iface-regex': [],
  'iface-can-reach': '',
  'subnet-file': '/run/flannel/subnet.env',
  'public-ip': '',
  'public-ipv6': '',
  'subnet-lease-renew-margin': 60,
  'ip-masq': false,
  'ip-masq-fully-random-disable': false,
  'kube-subnet-mgr': false,
  'kube-api-url': '',
  'kubeconfig-file': '',
  'kube-annotation-prefix': 'flannel.alpha.coreos.com',
  'healthz-ip': '0.0.0.0',
  'healthz-port': 0,
  'iptables-resync': 5,
  'iptables-forward-rules': true,
  'ip-blackhole-route': false,
  'net-config-path': '/etc/kube-flannel/net-conf.json',
  'set-node-network-unavailable': true,
  v: 0,
  vmodule: '',
  log_backtrace_at: '',
};

test("every flag of flannel is there, with flannel's default", () => {
  const specs = [...runFlags, ...idleFlags];
  for (const [name, byDefault] of Object.entries(flannels))
    assert.deepEqual(specs.find((spec) => spec.name === name)?.default, byDefault, name);
  assert.equal(new Set(specs.map(({ name }) => name)).size, specs.length, 'no name twice');
});

test("under flannel's name etcd is the store, on its usual ports, unless another is named", () => {
  const { store } = runOptions([], {}, { asFlannel: true });
  assert.equal(store.kind, 'etcd');
  assert.deepEqual(store.kind === 'etcd' && [store.endpoints, store.prefix], [
    ['http://127.0.0.1:4001', 'http://127.0.0.1:2379'],
    '/coreos.com/network',
  ]);
  assert.equal(runOptions(['--store=dir:/x'], {}, { asFlannel: true }).store.kind, 'directory');
  assert.equal(runOptions([], {}).store.kind, 'directory');
});

test("the command line of flannel's manifests and units is accepted whole", () => {
  const argv = [
    ...['-etcd-endpoints=https://192.0.2.1:2379,https://192.0.2.2:2379', '-etcd-prefix', '/k8s/network'],
    ...['--iface=eth1', '--iface-regex=^192\\.0\\.2', '--ip-masq', '--healthz-port=8081', '-v=10'],
    ...['--subnet-lease-renew-margin=30', '--iptables-resync=10', '--iptables-forward-rules=false'],
  ];
  const options = runOptions(argv, { FLANNELD_PUBLIC_IP: '192.0.2.9' }, { asFlannel: true });
  assert.deepEqual([options.ipMasq, options.logLevel, options.healthz?.port], [true, 'trace', 8081]);
  assert.equal(`${options.publicIp}`, '192.0.2.9');
});

test('what this version does not do is accepted, and named once', () => {
  const undone = (argv: string[], asFlannel = false) => runOptions(argv, {}, { asFlannel }).undone.join('; ');
  assert.equal(undone([]), '');
  assert.equal(undone(['--ip-masq', '--ip-blackhole-route', '--iptables-resync=9'], true), '');
  const idle = [
    ...['--net-config-path=/x', '--vmodule=a=1'],
    ...['--set-node-network-unavailable=false', '--log_backtrace_at=a.go:1'],
  ];
  const names = 'vmodule log_backtrace_at net-config-path set-node-network-unavailable';
  const listed = names.split(' ').map((name) => `--${name}`);
  assert.equal(undone(idle), `without effect: ${listed.join(', ')}`);
});

test("which rules of the host are kept: flannel's without being asked, with twill run what is asked for", () => {
  const rules = (argv: string[], asFlannel = false) => {
    const { firewall } = runOptions(argv, {}, { asFlannel });
    if (!firewall) return 'none of our business';
    const { masquerade, forward, randomPorts } = firewall;
    return [masquerade && (randomPorts ? 'masquerade at random' : 'masquerade'), forward && 'forward']
      .filter(Boolean)
      .join(', ');
  };
  assert.equal(rules([], true), 'forward');
  assert.equal(rules(['--ip-masq'], true), 'masquerade at random, forward');
  assert.equal(rules(['--iptables-forward-rules=false'], true), '');
  assert.equal(rules([]), 'none of our business');
  assert.equal(rules(['--iptables-resync=9', '--ip-masq-fully-random-disable']), 'none of our business');
  assert.equal(rules(['--ip-masq', '--ip-masq-fully-random-disable']), 'masquerade, forward');
  assert.equal(rules(['--ip-masq', '--iptables-forward-rules=false']), 'masquerade at random');
  assert.equal(rules(['--iptables-forward-rules']), 'forward');
  assert.equal(rules(['--ip-masq=false']), '');
  const { resyncSeconds, blackholeRoute } = runOptions(['--iptables-resync=9', '--ip-blackhole-route'], {});
  assert.deepEqual([resyncSeconds, blackholeRoute], [9, true]);
  assert.throws(() => runOptions(['--iptables-resync=0'], {}), { code: 'ERR_TWILL_USAGE' });
});

test('--v sets the level unless --log-level is given', () => {
  const level = (...argv: string[]) => runOptions(argv, {}).logLevel;
  assert.deepEqual(
    [level(), level('-v=1'), level('-v', '4'), level('--v=5'), level('--v=100')],
    ['info', 'debug', 'debug', 'trace', 'trace'],
  );
  assert.equal(level('--v=5', '--log-level=warn'), 'warn');
  assert.equal(runOptions([], { FLANNELD_V: '2' }).logLevel, 'debug');
});
