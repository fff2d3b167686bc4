/** A flow between two nodes loses nothing, whatever goes on beside it: peers that come and go, a JavaScript thread that hangs. */
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type AgentNode, labOfThree, labOfTwo, vxlanLease } from '../support/agent-node.js';
import { assertWhole, flow, flowing, RATE } from '../support/flowing.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();
async function peerKeys(node: AgentNode): Promise<string[]> {
  return ((await node.peers()) as { key: string }[]).map(({ key }) => key);
}

test('peers join, change, move and leave: the flow between two others loses nothing', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { nodes, record, writeRecord } = await labOfThree(t, { Backend: { Type: 'vxlan' } });
  const [a, b, c] = nodes;
  a.run();
  b.run();
  const [left, right] = await Promise.all([a.started(), b.started()]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => pings(a.namespace, target));
  const both = async (check: (keys: string[]) => boolean) =>
    check(await peerKeys(a)) && check(await peerKeys(b));

  await flowing(a.namespace, b.namespace, target, async () => {
    // Join: a real one, and twenty by hand.
    c.run();
    const third = await c.started();
    const key = third.node.subnet.replace('/', '-');
    for (let i = 0; i < 20; i++)
      await writeRecord(
        `10.77.${200 + i}.0-24`,
        vxlanLease(`192.0.2.${100 + i}`, `02:00:00:00:01:${10 + i}`),
      );
    await until('all have joined', () => both((keys) => keys.length === 22));
    await until('a reaches c', () => pings(a.namespace, base(third.node.subnet)));

    // Change: other endpoints and MACs for all of them; the real one moves to another address with another MAC.
    for (let i = 0; i < 20; i++)
      await writeRecord(
        `10.77.${200 + i}.0-24`,
        vxlanLease(`192.0.2.${150 + i}`, `02:00:00:00:02:${10 + i}`),
      );
    assert.equal(await c.stop(), 0);
    await c.namespace.ip('address', 'delete', '192.0.2.3/24', 'dev', 'eth0');
    await c.namespace.ip('address', 'add', '192.0.2.33/24', 'dev', 'eth0');
    await writeRecord(key, vxlanLease('192.0.2.33', '02:00:00:00:00:33'));
    c.run();
    const moved = await c.started();
    assert.deepEqual([moved.node.subnet, moved.backend.mac], [third.node.subnet, '02:00:00:00:00:33']);
    await until('a reaches c where it is now', () => pings(a.namespace, base(third.node.subnet)));
    await until('c reaches b', () => pings(c.namespace, target));
    const endpoints = JSON.stringify(await a.peers());
    for (const address of ['192.0.2.33', '192.0.2.150', '192.0.2.169'])
      assert.ok(endpoints.includes(`"${address}"`), `${address} is known`);

    // Leave: a few at a time, for a store that lacks most leases at once is not believed at once.
    for (let i = 0; i < 20; i++) {
      await rm(record(`10.77.${200 + i}.0-24`));
      if (i % 5 === 4) await until('some have left', () => both((keys) => keys.length === 21 - i));
    }
    assert.equal(await c.stop(), 0);
    await rm(record(key));
    await until('all have left', () => both((keys) => keys.length === 1));
  });
  assert.ok(await pings(b.namespace, base(left.node.subnet)));
  for (const node of [a, b]) {
    const { identity, generation } = (await node.status()) as unknown as Record<string, unknown>;
    assert.deepEqual(identity, { encap: true, decap: true });
    assert.ok(Number(generation) >= 5, `only ${generation} changes of the table`);
  }
});

test('the JavaScript thread of both agents hangs for three seconds: the flow loses nothing', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const blocker = fileURLToPath(new URL('../support/block-on-signal.js', import.meta.url));
  const [a, b] = nodes;
  for (const node of nodes) node.run([], ['env', `NODE_OPTIONS=--import=${blocker}`]);
  const [, right] = await Promise.all([a.started(), b.started()]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => pings(a.namespace, target));
  const deliveredBefore = (await b.status()).counters.decap.delivered;
  let hasEnded = false;
  const running = flow(a.namespace, b.namespace, target, 4500).finally(() => {
    hasEnded = true;
  });
  await until(
    'the flow runs',
    async () => (await b.status()).counters.decap.delivered > deliveredBefore + 100,
  );
  for (const node of nodes) node.process?.kill('SIGUSR2');
  await until('both hang', async () => nodes.every(({ lines }) => lines.includes('blocked')));
  await until('both go on', async () => nodes.every(({ lines }) => lines.includes('unblocked')));
  assert.equal(hasEnded, false, 'the flow outlived it');
  assertWhole(await running, 4 * RATE);
  assert.deepEqual((await b.status()).identity, { encap: true, decap: true });
});

test('the store fails and comes back: peers stay, the flow loses nothing', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, store, directory } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  a.run();
  b.run();
  const [, right] = await Promise.all([a.started(), b.started()]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => pings(a.namespace, target));
  const running = flow(a.namespace, b.namespace, target, 1500);
  await b.namespace.exec('mv', [`${store}/subnets`, `${directory}/away`]);
  await until('a tells that the store has trouble', async () => (await a.status()).store.trouble !== null);
  // As a volume that is mounted empty.
  await mkdir(`${store}/subnets`);
  await rm(`${store}/subnets`, { recursive: true });
  await b.namespace.exec('mv', [`${directory}/away`, `${store}/subnets`]);
  await until('the store is well again', async () => (await a.status()).store.trouble === null);
  assert.equal((await a.status()).peers, 1);
  assertWhole(await running, RATE);
});
