/** A node changes hands while the others keep sending: from flannel to us, and back. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { chmod, copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type AgentNode, labOfTwo } from '../support/agent-node.js';
import {
  allReach,
  type ClusterPlan,
  entriesOf,
  type Member,
  mixedCluster,
  sending,
} from '../support/mixed-cluster.js';
import { cannotRun, until } from '../support/namespaces.js';

const skip = await cannotRun();

const plans: [string, ClusterPlan, string[]][] = [
  ['vxlan', { type: 'vxlan', families: [4] }, ['flannel.1']],
  ['vxlan in both families', { type: 'vxlan', families: [4, 6] }, ['flannel.1', 'flannel-v6.1']],
  ['vxlan, IPv6 alone', { type: 'vxlan', families: [6], vni: 7 }, ['flannel-v6.7']],
  ['udp', { type: 'udp', families: [4] }, []],
];

for (const [name, plan, devices] of plans) {
  test(`flannel gives way to us in place, and we to flannel: ${name}`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const { members, records } = await mixedCluster(t, plan, ['moving', 'flannel', 'twill']);
    const [moving, flannel, twill] = members as [Member, Member, Member];
    await Promise.all([moving.startFlannel(), flannel.startFlannel(), twill.startTwill()]);
    await Promise.all([moving.flannel.ready(2), flannel.flannel.ready(2)]);
    await allReach(members);
    const addresses = [...moving.addresses];
    const before = { records: await records.list(), entries: await entriesOf(flannel) };

    const flows = await sending([flannel, twill], moving, 4000);
    const delivered = (await twill.agent.status()).counters.encap.delivered;
    await until(
      'the flows run',
      async () => (await twill.agent.status()).counters.encap.delivered > delivered + 100,
    );
    await moving.flannel.stop();
    await moving.startTwill();
    assert.deepEqual(moving.addresses, addresses, 'the subnet stays');
    const told = moving.agent.logged('info').filter((line) => line.startsWith('Took over'));
    assert.equal(told.length, devices.length > 0 ? 1 : 0, 'in one line');
    for (const device of devices) assert.match(told[0] ?? '', new RegExp(`device ${device} with its MAC `));
    for (const { sent, received, lost } of await Promise.all(flows)) {
      t.diagnostic(`${lost} of ${sent.sent} datagrams lost, 1000 a second`);
      assert.ok(received.received > 0 && lost < sent.sent - 200, `${lost} of ${sent.sent} lost`);
    }
    await allReach(members);
    assert.deepEqual(
      { records: await records.list(), entries: await entriesOf(flannel) },
      before,
      'nobody else had to change anything',
    );
    const { quarantined, identity } = await twill.agent.status();
    assert.deepEqual([quarantined, identity], [[], { encap: true, decap: true }]);

    // A reboot: no device, no subnet.env. The lease knows.
    assert.equal(await moving.agent.stop(), 0);
    await rm(moving.agent.subnetFile);
    await moving.startTwill();
    await allReach(members);
    assert.deepEqual({ records: await records.list(), entries: await entriesOf(flannel) }, before);

    assert.equal(await moving.agent.stop(), 0);
    await moving.startFlannel();
    assert.deepEqual(moving.addresses, addresses);
    await moving.flannel.ready(2);
    await allReach(members);
  });
}

/** An agent's place with a device in it that flannel could have left. */
async function withVxlan(t: TestContext, ...more: string[]): Promise<AgentNode> {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  const vxlan = ['type', 'vxlan', 'id', '1', 'local', '192.0.2.1', 'dev', 'eth0', 'dstport', '8472'];
  await a.namespace.ip('link', 'add', 'flannel.1', ...(more.length > 0 ? more : vxlan));
  await a.namespace.ip('link', 'set', 'flannel.1', 'up').catch(() => {});
  return a;
}

const isThere = (node: AgentNode, device: string) =>
  node.namespace.ip('link', 'show', device).then(
    () => true,
    () => false,
  );

const foreign: [string, string[], RegExp][] = [
  ['a bridge', ['type', 'bridge'], /a bridge device named flannel\.1 is in the way/],
  [
    'a vxlan of another VNI',
    ['type', 'vxlan', 'id', '2', 'dev', 'eth0', 'dstport', '8472'],
    /a vxlan device of VNI 2, not 1 named flannel\.1/,
  ],
  [
    'one of another port',
    ['type', 'vxlan', 'id', '1', 'dev', 'eth0', 'dstport', '4789'],
    /of port 4789, not 8472/,
  ],
  [
    'one with a group',
    ['type', 'vxlan', 'id', '1', 'dev', 'eth0', 'dstport', '8472', 'group', '239.1.1.1'],
    /with the remote 239\.1\.1\.1/,
  ],
  ['one without a VNI', ['type', 'vxlan', 'external', 'dstport', '8472'], /packet by packet/],
];

for (const [name, device, why] of foreign) {
  test(`a foreign flannel.1 is left alone and named: ${name}`, { skip, timeout: 60_000 }, async (t) => {
    const a = await withVxlan(t, ...device);
    const { code, line } = await a.fail();
    assert.equal(code, 1);
    assert.match(line, /^twill: [^\n]+"ip link delete flannel\.1"[^\n]+$/);
    assert.match(line, why);
    assert.ok(await isThere(a, 'flannel.1'));
  });
}

test('a flannel.1 that is part of a bridge is left alone', { skip, timeout: 60_000 }, async (t) => {
  const a = await withVxlan(t);
  await a.namespace.ip('link', 'add', 'br0', 'type', 'bridge');
  await a.namespace.ip('link', 'set', 'flannel.1', 'master', 'br0');
  assert.match((await a.fail()).line, /vxlan device that is part of a bridge or bond named flannel\.1/);
  assert.ok(await isThere(a, 'flannel.1'));
});

/** A process of that name, which does nothing. */
async function startFlanneld(node: AgentNode): Promise<ChildProcess> {
  const program = join(node.directory, 'flanneld');
  await copyFile('/bin/sleep', program);
  await chmod(program, 0o755);
  const flanneld = node.namespace.spawn(program, ['600'], { stdio: 'ignore' });
  await until('it is called so', async () =>
    (await node.namespace.exec('cat', [`/proc/${flanneld.pid}/comm`])).stdout.startsWith('flanneld'),
  );
  return flanneld;
}

test('while a flanneld lives here its device is not touched, nor its lease', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const a = await withVxlan(t);
  const flanneld = await startFlanneld(a);
  const { code, line } = await a.fail();
  assert.equal(code, 1);
  assert.match(
    line,
    new RegExp(
      `^twill: flanneld \\(process ${flanneld.pid}\\) runs here and device flannel\\.1 may be its own: stop it`,
    ),
  );
  assert.ok(await isThere(a, 'flannel.1'));
  flanneld.kill('SIGKILL');
  await until('it is gone', async () => flanneld.signalCode !== null);
  a.run();
  await a.started();
});

test('a TUN that nobody has open gives way; one in use is refused with the name of its process', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'udp' } });
  const [a] = nodes;
  await a.namespace.ip('tuntap', 'add', 'dev', 'flannel0', 'mode', 'tun');
  await a.namespace.ip('address', 'add', '10.77.9.0/32', 'dev', 'flannel0');
  await a.namespace.ip('link', 'set', 'flannel0', 'up');
  await a.namespace.ip('route', 'add', '10.77.0.0/16', 'dev', 'flannel0');
  a.run();
  assert.equal((await a.started()).node.device, 'flannel0');
  assert.match(a.logged('info').join('\n'), /^Took over what was left here: the tun device flannel0$/m);
  const { line } = await a.fail([`--control-socket=${join(a.directory, 'other.sock')}`]);
  assert.match(line, /^twill: device flannel0 is in use by process \d+ \(node\): stop it/);
});

test('a MAC that another node advertises is not taken from the device', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, writeRecord } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  const mac = '0e:2a:00:00:00:01';
  const vxlan = ['type', 'vxlan', 'id', '1', 'local', '192.0.2.1', 'dev', 'eth0', 'dstport', '8472'];
  await a.namespace.ip('link', 'add', 'flannel.1', 'address', mac, ...vxlan);
  a.run();
  assert.equal((await a.started()).backend.mac, mac, 'without a lease the device says');
  await a.stop();
  const clone = `{"PublicIP":"192.0.2.9","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`;
  await writeRecord('10.77.250.0-24', clone);
  a.run();
  assert.notEqual((await a.started()).backend.mac, mac);
});

test('a flannel that starts while we run wins: we end with one line, and it carries on', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { members } = await mixedCluster(t, { type: 'vxlan', families: [4] }, ['moving', 'flannel']);
  const [moving, flannel] = members as [Member, Member];
  await Promise.all([moving.startTwill(), flannel.startFlannel()]);
  await allReach(members);
  const child = moving.agent.process;
  // As under a supervisor: its first try may meet the port while we still hold it.
  await until('flannel starts', () =>
    moving.startFlannel().then(
      () => true,
      () => false,
    ),
  );
  await until('we end', async () => (child?.exitCode ?? null) !== null);
  assert.equal(child?.exitCode, 4);
  assert.deepEqual(moving.agent.lines.length, 1, moving.agent.stderr);
  assert.match(
    moving.agent.lines[0] ?? '',
    /^twill: flannel has put its own device in the place of flannel\.1 and carries the packets now: /,
  );
  await moving.flannel.ready(1);
  await allReach(members);
});

const KERNEL = '--dataplane=kernel';

/** Waits until the agent has ended as one does whose place flannel has taken: exit code and its one line. */
async function endedBy(agent: AgentNode): Promise<string> {
  const child = agent.process;
  await until('we end', async () => (child?.exitCode ?? null) !== null);
  assert.equal(child?.exitCode, 4, agent.stderr);
  assert.equal(agent.lines.length, 1, agent.stderr);
  return agent.lines[0] ?? '';
}

test("flannel's own device in the place of the kernel's that we keep: we end, and it is not touched", {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  a.run([KERNEL]);
  const { mac } = (await a.started()).backend;
  const [{ ifalias }] = JSON.parse(await a.namespace.ip('-j', 'link', 'show', 'flannel.1'));
  assert.match(ifalias, /^twill /);
  await a.namespace.ip('link', 'set', 'flannel.1', 'alias', 'uplink of pods');
  await until('a device is not another one for its alias', async () =>
    (await a.namespace.ip('link', 'show', 'flannel.1')).includes(`alias ${ifalias}`),
  );
  const vxlan = 'type vxlan id 1 local 192.0.2.1 dev eth0 dstport 8472 nolearning';
  const replace = `ip link delete flannel.1; ip link add flannel.1 address 0e:2a:00:00:00:07 ${vxlan}`;
  // Where we are quicker with a new one of ours, flannel tries again.
  await until('it is replaced', () =>
    a.namespace.exec('sh', ['-c', replace]).then(
      () => true,
      () => false,
    ),
  );
  assert.match(
    await endedBy(a),
    /^twill: flannel has put its own device in the place of flannel\.1 and carries the packets now: /,
  );
  const link = await a.namespace.ip('link', 'show', 'flannel.1');
  assert.match(link, /0e:2a:00:00:00:07/);
  assert.notEqual(mac, '0e:2a:00:00:00:07');
});

test('a flanneld that starts on the device that we keep: seen by its routes, it carries on and we end', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { members, records } = await mixedCluster(t, { type: 'vxlan', families: [4] }, ['moving', 'peer']);
  const [moving, peer] = members as [Member, Member];
  await Promise.all([moving.startTwill(KERNEL), peer.startFlannel()]);
  await allReach(members);
  const before = await records.list();

  // Its work without its process could be anybody's: put right, and no more is heard of it.
  await moving.startFlannel();
  await moving.flannel.ready(1);
  const mended = async () => (await moving.agent.status()).dataplane.mended.last.map(({ what }) => what);
  const isPutRight = (what: string) => / route to \S+ via \S+ had been changed$/.test(what);
  await until('its route is ours again', async () => (await mended()).some(isPutRight));
  await allReach(members);
  assert.equal((await mended()).filter(isPutRight).length, 1, 'nobody fights');
  await moving.flannel.stop();

  const flanneld = await startFlanneld(moving.agent);
  await moving.startFlannel();
  assert.match(
    await endedBy(moving.agent),
    new RegExp(
      `^twill: flanneld \\(process ${flanneld.pid}\\) has put its routes in the place of ours on flannel\\.1 and carries `,
    ),
  );
  await moving.flannel.ready(1);
  await allReach(members);
  assert.deepEqual(await records.list(), before, 'nobody has anything to learn');
});
