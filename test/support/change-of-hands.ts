/** A node of a mixed cluster that goes from flannel to ours and back, while the others send to it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { tcpBulk } from '../../src/lab/traffic.js';
import { allReach, type ClusterPlan, type Member, type MixedCluster, sending } from './mixed-cluster.js';
import { until } from './namespaces.js';

/** Who they are, in the order in which the cluster is made. */
export const HANDS = ['moving', 'flannel', 'twill-1', 'twill-2'] as const;
/** What is tried on each store: a name and the cluster's network. */
export const PLANS: readonly [string, ClusterPlan][] = [
  ['vxlan', { type: 'vxlan', families: [4] }],
  ['udp', { type: 'udp', families: [4] }],
  ['vxlan in both families', { type: 'vxlan', families: [4, 6] }],
  ['vxlan, IPv6 alone, with VNI and port of its own', { type: 'vxlan', families: [6], vni: 7, port: 4789 }],
];

/**
 * `all`: what nobody may have to change for it; resolves when the node is flannel's again and all reach each other.
 */
export async function changesHandsAndBack(
  t: TestContext,
  { members }: MixedCluster,
  all: () => Promise<unknown>,
): Promise<void> {
  const [moving, flannel, first, second] = members as [Member, Member, Member, Member];
  await Promise.all([moving.startFlannel(), flannel.startFlannel(), first.startTwill()]);
  await second.startTwill();
  await Promise.all([moving.flannel.ready(3), flannel.flannel.ready(3)]);
  await allReach(members);
  const before = await all();

  const flows = await sending([flannel, first], moving, 4000);
  const delivered = (await first.agent.status()).counters.encap.delivered;
  const isFlowing = async () => (await first.agent.status()).counters.encap.delivered > delivered + 100;
  await until('the flows run', isFlowing);
  await moving.flannel.stop();
  await moving.startTwill();
  for (const { sent, lost } of await Promise.all(flows)) {
    t.diagnostic(`${lost} of ${sent.sent} datagrams lost, 1000 a second`);
    assert.ok(lost < sent.sent - 200);
  }
  await allReach(members);
  assert.deepEqual(await all(), before, 'no record differs in a byte, and no node had to learn anything');
  for (const [from, to] of [
    [moving, flannel],
    [flannel, moving],
    [first, moving],
  ] as const) {
    for (const target of to.addresses) {
      const bulk = await tcpBulk(from.namespace, to.namespace, target, { bytes: 8_000_000 });
      assert.ok(bulk.intact, `${from.namespace.label} to ${to.namespace.label}: every byte arrives`);
    }
  }
  assert.equal(await moving.agent.stop(), 0);
  await moving.startFlannel();
  await moving.flannel.ready(3);
  await allReach(members);
  for (const { agent } of [first, second]) {
    const { quarantined, identity } = await agent.status();
    assert.deepEqual([quarantined, identity], [[], { encap: true, decap: true }]);
  }
}
