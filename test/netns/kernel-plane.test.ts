/** Nodes whose packets the kernel's vxlan device carries, among nodes of ours and of flannel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { labOfTwo } from '../support/agent-node.js';
import {
  allReach,
  type ClusterPlan,
  entriesOf,
  type Member,
  mixedCluster,
} from '../support/mixed-cluster.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';
import { preload } from '../support/preload.js';

const skip = await cannotRun();
const KERNEL = '--dataplane=kernel';

const plans: [string, ClusterPlan][] = [
  ['IPv4', { type: 'vxlan', families: [4] }],
  ['both families, another VNI', { type: 'vxlan', families: [4, 6], vni: 7 }],
  ['IPv6 alone', { type: 'vxlan', families: [6] }],
];

for (const [name, plan] of plans) {
  test(`the kernel's device beside our packet path and flannel: ${name}`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const { members } = await mixedCluster(t, plan, ['kernel', 'userspace', 'flannel', 'second']);
    const [kernel, userspace, flannel, second] = members as [Member, Member, Member, Member];
    await Promise.all([
      kernel.startTwill(KERNEL),
      userspace.startTwill(),
      flannel.startFlannel(),
      second.startTwill(KERNEL),
    ]);
    await flannel.flannel.ready(3);
    await allReach(members);
    const status = await kernel.agent.status();
    assert.deepEqual(
      [status.dataplane.kind, status.dataplane.troubles, status.node.deviceTrouble, status.quarantined],
      ['kernel', [], null, []],
    );
    assert.deepEqual(status.identity, { encap: true, decap: true });
    assert.ok(status.counters.encap.delivered > 0 && status.counters.decap.delivered > 0);
    assert.equal((await second.agent.status()).peers, 3 * plan.families.length);
  });
}

test('what it makes on the device is what flannel makes: attributes, address, entries', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { members } = await mixedCluster(t, { type: 'vxlan', families: [4] }, ['kernel', 'flannel']);
  const [kernel, flannel] = members as [Member, Member];
  await Promise.all([kernel.startTwill(KERNEL), flannel.startFlannel()]);
  await Promise.all([flannel.flannel.ready(1), kernel.agent.ready(1)]);
  const shape = async ({ namespace }: Member) => {
    const [link] = JSON.parse(await namespace.ip('-j', '-d', 'link', 'show', 'flannel.1'));
    const { local: _, ...data } = link.linkinfo.info_data;
    return { mtu: link.mtu, flags: link.flags.sort(), data };
  };
  assert.deepEqual(await shape(kernel), await shape(flannel));
  const lines = (await entriesOf(kernel)).split('\n').map((line) => line.trim());
  const { mac } = flannel.flannel.lease;
  const peer = base(flannel.flannel.lease.v4 ?? '');
  assert.deepEqual(
    lines,
    [
      `${peer} dev flannel.1 lladdr ${mac} PERMANENT`,
      `${peer}/24 via ${peer} dev flannel.1 proto 116 onlink`,
      `${mac} dev flannel.1 dst 192.0.2.2 self permanent`,
    ].sort(),
  );
  const [{ addr_info: addresses }] = JSON.parse(
    await kernel.namespace.ip('-j', 'address', 'show', 'dev', 'flannel.1'),
  );
  assert.deepEqual(
    addresses.map(({ local, prefixlen }: { local: string; prefixlen: number }) => `${local}/${prefixlen}`),
    [`${kernel.addresses[0]}/32`],
  );
});

/** Everything of ours on a node, as the kernel shows it. */
async function stateOf(namespace: Namespace): Promise<string> {
  const shown = await Promise.all([
    namespace.ip('-o', 'address'),
    namespace.ip('neighbour', 'show', 'nud', 'permanent'),
    namespace.exec('bridge', ['fdb', 'show']).then(({ stdout }) => stdout),
    namespace.ip('route'),
    namespace.ip('-6', 'route'),
    namespace.ip('-d', '-o', 'link', 'show', 'type', 'vxlan'),
  ]);
  return (
    shown
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.includes('flannel') || line.includes('proto 116'))
      // Numbers of devices, and what the kernel counts down.
      .map((line) =>
        line
          .replace(/^\d+: /, '')
          .replace(/qlen \d+|valid_lft .*$/g, '')
          .trim(),
      )
      .sort()
      .join('\n')
  );
}

test('whatever others change is put right within a second, and status lists it', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const { members } = await mixedCluster(t, { type: 'vxlan', families: [4] }, ['kernel', 'peer', 'third']);
  const [kernel, peer, third] = members as [Member, Member, Member];
  await Promise.all([kernel.startTwill(KERNEL), peer.startTwill(), third.startTwill()]);
  await kernel.agent.ready(2);
  await allReach(members);
  const before = await stateOf(kernel.namespace);
  const { ip } = { ip: (...args: string[]) => kernel.namespace.ip(...args) };
  const bridge = (...args: string[]) => kernel.namespace.exec('bridge', args);
  const [subnet] = (await peer.agent.status()).node.subnet.split(' ') as [string];
  const { mac } = (await peer.agent.status()).backend;
  const changes: [string, () => Promise<unknown>, RegExp][] = [
    ['a flushed route', () => ip('route', 'delete', subnet), /the route to \S+ via \S+ was gone/],
    ['all routes flushed', () => ip('route', 'flush', 'dev', 'flannel.1'), /2 routes were gone/],
    [
      'a route bent',
      () => ip('route', 'replace', subnet, 'via', '192.0.2.3', 'dev', 'eth0', 'proto', 'boot'),
      /the route to \S+ via \S+ had been changed/,
    ],
    [
      'a neighbour changed',
      () =>
        ip(
          'neighbour',
          'replace',
          base(subnet),
          'lladdr',
          '02:00:00:00:00:99',
          'dev',
          'flannel.1',
          'nud',
          'permanent',
        ),
      /the neighbour \S+ \(\S+\) had been changed/,
    ],
    [
      'a neighbour deleted',
      () => ip('neighbour', 'delete', base(subnet), 'dev', 'flannel.1'),
      /the neighbour .* was gone/,
    ],
    [
      'a forwarding entry bent',
      () => bridge('fdb', 'replace', mac, 'dev', 'flannel.1', 'dst', '192.0.2.3'),
      /the forwarding entry .* had been changed/,
    ],
    [
      'one too many',
      () => bridge('fdb', 'append', '02:00:00:00:00:77', 'dev', 'flannel.1', 'dst', '192.0.2.9'),
      /the forwarding entry 02:00:00:00:00:77 to 192\.0\.2\.9 was too much/,
    ],
    ['the address', () => ip('address', 'flush', 'dev', 'flannel.1'), /the address \S+ was gone/],
    ['the MTU', () => ip('link', 'set', 'flannel.1', 'mtu', '1300'), /its MTU was 1300, not 1450/],
    [
      'the MAC, which the lease says',
      () => ip('link', 'set', 'flannel.1', 'address', '02:00:00:00:00:66'),
      /its MAC was 02:00:00:00:00:66, not \S+, which our lease says/,
    ],
    ['the device', () => ip('link', 'delete', 'flannel.1'), /it was gone, and has been made anew/],
  ];
  for (const [what, change, told] of changes) {
    const { count } = (await kernel.agent.status()).dataplane.mended;
    await change();
    const changedAtMs = performance.now();
    await until(`${what} is mended`, async () => {
      const { mended } = (await kernel.agent.status()).dataplane;
      return (
        mended.last.slice(-(mended.count - count) || 50).some((one) => told.test(one.what)) &&
        (await stateOf(kernel.namespace)) === before
      );
    });
    t.diagnostic(`${what}: seen after ${Math.round(performance.now() - changedAtMs)} ms`);
    await allReach(members);
  }
  assert.match(await kernel.agent.twill('status'), /put right: \d+/);
});

test('a kernel without vxlan: auto takes our own packet path and says why, kernel is refused in one line', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  a.environment = { ...(await preload(t, 'netlink')), TWILL_TEST_NO_KIND: 'vxlan' };
  const { code, line } = await a.fail([KERNEL]);
  assert.equal(code, 1);
  assert.match(
    line,
    /^twill: this kernel has no vxlan device: load the module \(modprobe vxlan\), or [^\n]+$/,
  );
  a.run(['--dataplane=auto']);
  b.run(['--dataplane=auto']);
  const [{ dataplane }, beside] = await Promise.all([a.ready(1), b.ready(1)]);
  assert.equal(dataplane.kind, 'userspace');
  assert.match(dataplane.why, /^this kernel has no vxlan device: /);
  assert.deepEqual([beside.dataplane.kind, beside.dataplane.why], ['kernel', 'this kernel has vxlan']);
  assert.ok(a.logged('info').includes(`Dataplane: userspace (${dataplane.why})`));
  assert.match(await a.twill('status'), /userspace.*this kernel has no vxlan device/);
  await until('they reach each other', () => pings(a.namespace, base(beside.node.subnet), '-W', '0.5'));
});
