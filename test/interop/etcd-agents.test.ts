/** Whole agents on real etcd. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noEtcd } from '../support/etcd.js';
import { labOnEtcd } from '../support/etcd-lab.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';

const skip = (await cannotRun()) || noEtcd();

for (const type of ['udp', 'vxlan']) {
  test(`two agents on etcd reach each other by ${type}`, { skip }, async (t) => {
    const { etcd, nodes, node } = await labOnEtcd(t, { Backend: { Type: type } });
    for (const agent of nodes) agent.run();
    const [a] = await Promise.all(nodes.map((agent) => agent.ready(1)));
    const b = await node(1).status();
    await until('a ping', () => pings(node(0).namespace, base(b.node.subnet)));
    await until('a ping back', () => pings(node(1).namespace, base(a?.node.subnet ?? '')));
    assert.equal((await etcd.records()).length, 6);
    for (const agent of nodes) assert.equal(await agent.stop(), 0, agent.stderr);
    // As with flannel, a lease outlives its agent.
    assert.equal((await etcd.records()).length, 6);
  });
}

test('while nothing changes it knows that it is up to date', { skip }, async (t) => {
  const { node } = await labOnEtcd(t, { Backend: { Type: 'vxlan' } }, { nodes: 1 });
  const agent = node(0);
  agent.run();
  await agent.ready(0);
  const heardAtMs = async () => Date.parse((await agent.status()).store.lastSnapshotAt ?? '');
  const before = await heardAtMs();
  assert.ok(before > 0);
  // Beyond what the start itself has to say.
  await until('news that there are none', async () => (await heardAtMs()) > before + 8000, 60_000);
});
