/** `--kernel-stand-in`: the kernel's vxlan device carries between the end of an agent on our own plane and the next start. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AgentNode, labOfTwo, vxlanLease } from '../support/agent-node.js';
import { allReach, type Member, mixedCluster, sending } from '../support/mixed-cluster.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';
import { preload } from '../support/preload.js';

const skip = await cannotRun();
const flag = '--kernel-stand-in';

/** Devices of the overlay and their kinds, such as `flannel.1 vxlan`. */
async function devicesOf({ namespace }: Pick<AgentNode, 'namespace'>): Promise<string[]> {
  const links = JSON.parse(await namespace.ip('-j', '-d', 'link'));
  return links
    .filter(({ ifname }: { ifname: string }) => ifname !== 'lo' && ifname !== 'eth0')
    .map(
      (link: { ifname: string; linkinfo?: { info_kind?: string } }) =>
        `${link.ifname} ${link.linkinfo?.info_kind}`,
    )
    .sort();
}

for (const { name, families, vni } of [
  { name: 'IPv4', families: [4], vni: 1 },
  { name: 'both families, another VNI', families: [4, 6], vni: 7 },
] as const)
  test(`it carries while there is no agent, with the same MAC, and gives way: ${name}`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const plan = { type: 'vxlan', families, ...(vni !== 1 && { vni }) } as const;
    const { members, records } = await mixedCluster(t, plan, ['moving', 'flannel', 'ours']);
    const [moving, flannel, ours] = members as [Member, Member, Member];
    await Promise.all([moving.startTwill(flag), flannel.startFlannel(), ours.startTwill()]);
    await Promise.all([moving.agent.ready(2), flannel.flannel.ready(2), ours.agent.ready(2)]);
    await allReach(members);
    const before = await records.list();
    const kernels = families.map((family) => `flannel${family === 6 ? '-v6' : ''}.${vni} vxlan`).sort();
    for (const round of [1, 2]) {
      const flows = await sending([flannel, ours], moving, 4000);
      assert.equal(await moving.agent.stop(), 0);
      assert.deepEqual(moving.agent.logged('error'), []);
      assert.deepEqual(await devicesOf(moving), kernels);
      await allReach(members);
      await moving.startTwill(flag);
      await moving.agent.ready(2);
      for (const { sent, lost } of await Promise.all(flows))
        t.diagnostic(
          `round ${round}: ${lost} of ${sent.sent} datagrams lost at end and start, 1000 a second`,
        );
      await allReach(members);
      assert.deepEqual(await devicesOf(moving), [`flannel.${vni} tun`]);
    }
    assert.deepEqual(await records.list(), before, 'nobody has anything to learn');
    assert.equal((await moving.agent.status()).dataplane.kind, 'userspace');
    // Without the flag the next end is the last.
    assert.equal(await moving.agent.stop(), 0);
    await moving.startTwill();
    assert.equal(await moving.agent.stop(), 0);
    assert.deepEqual(await devicesOf(moving), []);
  });

test('it sends from where we stand at the end, and takes peers on our own network directly where we did', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan', DirectRouting: true } });
  const [a, b] = nodes;
  for (const node of nodes) node.run([flag]);
  const [, there] = await Promise.all(nodes.map((node) => node.ready(1)));
  await a.namespace.ip('address', 'delete', '192.0.2.1/24', 'dev', 'eth0');
  await a.namespace.ip('address', 'add', '192.0.2.77/24', 'dev', 'eth0');
  await until('it has moved', async () => (await a.status()).node.publicIp === '192.0.2.77');
  assert.equal(await a.stop(), 0);
  const [link] = JSON.parse(await a.namespace.ip('-j', '-d', 'link', 'show', 'flannel.1'));
  assert.equal(link.linkinfo.info_data.local, '192.0.2.77');
  const to = base(there?.node.subnet ?? '');
  assert.match(await a.namespace.ip('route', 'get', to), /via 192\.0\.2\.2 dev eth0/);
  await until('it carries', () => pings(a.namespace, to, '-W', '0.5'));
  assert.equal(await b.stop(), 0);
});

test('what cannot be is said at the start: udp, and a kernel without vxlan; the device goes with the agent', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const lab = await labOfTwo(t, { Backend: { Type: 'udp' } });
  const [a] = lab.nodes;
  const said = () => a.logged('warn').filter((line) => line.startsWith(flag));
  a.run([flag]);
  await a.started();
  assert.deepEqual(said(), [
    `${flag}: nothing carries between a stop and the next start: the kernel has no device for the udp backend`,
  ]);
  assert.equal(await a.stop(), 0);
  assert.deepEqual(await devicesOf(a), []);
  await writeFile(
    join(lab.store, 'config'),
    JSON.stringify({ Network: '10.77.0.0/16', Backend: { Type: 'vxlan' } }),
  );
  a.environment = { ...(await preload(t, 'netlink')), TWILL_TEST_NO_KIND: 'vxlan' };
  a.run([flag]);
  await a.started();
  assert.match(said().join(), /nothing carries .*: this kernel has no vxlan device: load the module/);
  assert.equal(await a.stop(), 0);
  assert.deepEqual(await devicesOf(a), []);
});

test('nothing stands in for a node whose lease is another’s, nor for a device that was set down', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, writeRecord } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  const child = a.run([flag]);
  b.run([flag]);
  const [first] = await Promise.all([a.ready(1), b.ready(1)]);
  await b.namespace.ip('link', 'set', 'flannel.1', 'down');
  await until('it is noticed', async () => (await b.status()).node.deviceTrouble !== null);
  assert.equal(await b.stop(), 0);
  assert.deepEqual(await devicesOf(b), []);
  const end = once(child, 'close');
  await writeRecord(first.node.subnet.replace('/', '-'), vxlanLease('192.0.2.77', '02:00:00:00:00:77'));
  const [code] = (await end) as [number | null];
  assert.equal(code, 3);
  assert.deepEqual(await devicesOf(a), []);
});
