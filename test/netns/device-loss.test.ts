/** What others do to an agent's device: deleted, moved, set down, stripped. The agent puts it right or says why it cannot. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type AgentNode, type Lab, labOfTwo, type Status } from '../support/agent-node.js';
import { base, cannotRun, makeNamespace, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

interface Running {
  readonly lab: Lab<readonly [AgentNode, AgentNode]>;
  readonly a: AgentNode;
  readonly b: AgentNode;
  readonly status: Status;
  readonly device: string;
  /** Both ways. */
  reaches(): Promise<boolean>;
}

async function running(t: TestContext, type: 'vxlan' | 'udp'): Promise<Running> {
  const lab = await labOfTwo(t, { Backend: { Type: type } });
  const [a, b] = lab.nodes;
  a.run();
  b.run();
  const [status, right] = await Promise.all([a.started(), b.started()]);
  const reaches = async () =>
    (await pings(a.namespace, base(right.node.subnet), '-W', '0.2')) &&
    (await pings(b.namespace, base(status.node.subnet), '-W', '0.2'));
  await until('both ways are open', reaches);
  return { lab, a, b, status, device: status.node.device, reaches };
}

/** What `ip` says of the device. */
async function placeOf({ a, device }: Running) {
  const [link] = JSON.parse(await a.namespace.ip('-j', 'address', 'show', 'dev', device));
  const routes = JSON.parse(await a.namespace.ip('-j', 'route', 'show', 'dev', device));
  return {
    mtu: link.mtu as number,
    addresses: (link.addr_info as { local: string }[]).map(({ local }) => local),
    routes: (routes as { dst: string }[]).map(({ dst }) => dst),
  };
}

/** Half a second of pings: time in which an agent that spins would burn its core. */
const aWhile = (node: AgentNode, to: string) => () =>
  node.namespace.exec('ping', ['-n', '-q', '-i', '0.01', '-c', '50', '-W', '1', to]);

for (const type of ['vxlan', 'udp'] as const) {
  test(`${type}: a deleted device is back with its peers, and nothing spins`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const run = await running(t, type);
    const { a, b, status, device, reaches } = run;
    const deliveredBefore = (await a.status()).counters.decap.delivered;
    assert.ok(deliveredBefore > 0);
    await a.namespace.ip('link', 'delete', device);
    const deletedAtMs = Date.now();
    await until('both ways are open again', reaches);
    t.diagnostic(`open again after ${Date.now() - deletedAtMs} ms`);
    const after = await a.status();
    assert.deepEqual(
      { ...after.node, peers: after.peers, identity: after.identity },
      { ...status.node, peers: 1, identity: { encap: true, decap: true } },
    );
    assert.ok(after.counters.decap.delivered > deliveredBefore, 'the counters go on');
    const [peer] = (await a.peers()) as unknown as { decap: { packets: number } }[];
    assert.ok((peer?.decap.packets ?? 0) > deliveredBefore, 'those of the peer too');
    const told = a.logged('warn').filter((message) => message.includes('made anew'));
    assert.deepEqual(told, [`device ${device}: it was gone, and has been made anew`]);
    assert.deepEqual(await placeOf(run), {
      mtu: status.node.mtuBytes,
      addresses: [base(status.node.subnet)],
      routes: ['10.77.0.0/16'],
    });
    const share = await a.cpuShare(aWhile(b, base(status.node.subnet)));
    assert.ok(share < 0.3, `${share} of a core`);
  });
}

test('MTU, address and route that others changed are put right', { skip, timeout: 60_000 }, async (t) => {
  const run = await running(t, 'vxlan');
  const { a, device, reaches } = run;
  const before = await placeOf(run);
  for (const change of [
    ['link', 'set', device, 'mtu', '1300'],
    ['address', 'flush', 'dev', device],
    ['route', 'delete', '10.77.0.0/16', 'dev', device],
    // The kernel takes the route away with it.
    ['link', 'set', device, 'down'],
  ]) {
    await a.namespace.ip(...change);
    if (change.includes('down')) await a.namespace.ip('link', 'set', device, 'up');
    await until(`${change.join(' ')} is undone`, async () => {
      const now = await placeOf(run);
      return JSON.stringify(now) === JSON.stringify(before);
    });
  }
  assert.ok(await reaches());
  assert.equal((await a.status()).node.deviceTrouble, null);
  assert.ok(a.logged('warn').includes(`device ${device}: its MTU was 1300, not 1450`));
});

test('a device that was set down stays down, is named, burns nothing, and comes back', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { a, b, status, device, reaches } = await running(t, 'vxlan');
  await a.namespace.ip('link', 'set', device, 'down');
  const trouble = async () => (await a.status()).node.deviceTrouble;
  await until('status names it', async () => (await trouble())?.startsWith('it is down: ') === true);
  assert.match(await a.twill('status'), new RegExp(`TROUBLE: it is down: "ip link set ${device} up"`));
  // Peers go on sending to it meanwhile.
  const share = await a.cpuShare(() => aWhile(b, base(status.node.subnet))().catch(() => {}));
  assert.ok(share < 0.3, `${share} of a core`);
  const [link] = JSON.parse(await a.namespace.ip('-j', 'link', 'show', device));
  assert.ok(!link.flags.includes('UP'), 'nobody but its owner sets it up');
  assert.equal((await a.status()).identity.decap, true);
  await a.namespace.ip('link', 'set', device, 'up');
  await until('both ways are open again', reaches);
  assert.equal(await trouble(), null);
  assert.deepEqual(a.logged('error').length, 1, 'told once');
});

test('a device that was moved away is replaced; one that takes its place is named until it goes', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { a, b, device, reaches } = await running(t, 'vxlan');
  const other = await makeNamespace(t, 'other');
  await a.namespace.ip('link', 'set', device, 'netns', String(other.pid));
  await until('both ways are open again', reaches);
  assert.doesNotMatch(await other.ip('-o', 'link'), new RegExp(device), 'the old one is no more');

  await a.namespace.ip('link', 'set', device, 'name', 'away');
  await until('status follows the name', async () => (await a.status()).node.device === 'away');
  // With flannel's own VNI it would be flannel, to whom we give way: takeover.test.ts.
  const vxlan = ['type', 'vxlan', 'id', '9', 'dev', 'eth0', 'dstport', '9999'];
  await a.namespace.ip('link', 'add', device, ...vxlan);
  await a.namespace.ip('link', 'delete', 'away');
  const trouble = async () => (await a.status()).node.deviceTrouble;
  const named = new RegExp(`a vxlan device named ${device} is in the way: remove it with "ip link delete`);
  await until('the culprit is named', async () => named.test((await trouble()) ?? ''));
  const share = await a.cpuShare(() => aWhile(b, '192.0.2.1')());
  assert.ok(share < 0.3, `${share} of a core`);
  await a.namespace.ip('link', 'delete', device);
  await until('both ways are open again', reaches);
  assert.equal(await trouble(), null);
  assert.equal(await a.stop(), 0);
});
