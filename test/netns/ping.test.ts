// Real TUN, real sockets, real kernel peers: two nodes in namespaces of their own ping each other and
// exchange bulk TCP through the engine.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { tcpBulk } from '../../src/lab/traffic.js';
import { cannotRun, makePair } from '../support/namespaces.js';
import {
  addressOf,
  assertIdentity,
  EngineSite,
  type Site,
  sites,
  startKernelSite,
} from '../support/sites.js';

const skip = await cannotRun();
const BULK_BYTES = 16 << 20;

/** Ping and bulk TCP, compared by hash, both ways, in each family that is carried. */
async function exchange(
  places: readonly [Namespace, Namespace],
  both: readonly [Site, Site],
  families: readonly (4 | 6)[],
) {
  const ways = [
    [places[0], places[1], both[1]],
    [places[1], places[0], both[0]],
  ] as const;
  for (const family of families) {
    for (const [from, to, site] of ways) {
      const address = addressOf(site, family);
      await from.exec('ping', ['-n', '-i', '0.01', '-c', '5', '-W', '5', address]);
      const bulk = await tcpBulk(from, to, address, { bytes: BULK_BYTES });
      assert.ok(bulk.intact, `TCP to ${address} arrived changed`);
      assert.equal(bulk.received.bytes, BULK_BYTES);
    }
  }
}

const outside = { 4: (site: Site) => [`${site.endpoint}/24`], 6: (site: Site) => [`${site.endpoint}/64`] };
const pair = (t: TestContext, underlay: 4 | 6) => {
  const [a, b] = sites[underlay];
  return makePair(t, outside[underlay](a), outside[underlay](b));
};

for (const [encap, underlay, workers] of [
  ['vxlan', 4, 1],
  ['vxlan', 4, 2],
  ['vxlan', 6, 1],
  ['udp', 4, 1],
  ['udp', 4, 2],
] as const) {
  test(`${encap} over IPv${underlay}, ours to ours, ${workers} worker(s): ping and TCP both ways`, {
    skip,
  }, async (t) => {
    const places = await pair(t, underlay);
    const [a, b] = sites[underlay];
    const nodes = [
      await EngineSite.start(places[0], encap, a, b, { workers }),
      await EngineSite.start(places[1], encap, b, a, { workers }),
    ];
    await exchange(places, [a, b], encap === 'udp' ? [4] : [4, 6]);
    for (const node of nodes) {
      const stats = await node.stats();
      assertIdentity(stats.encap);
      assertIdentity(stats.decap);
      assert.ok(stats.decap.delivered >= 20, `only ${stats.decap.delivered} packets came in`);
      assert.equal(stats.decap.delivered, stats.decap.received);
    }
  });
}

for (const underlay of [4, 6] as const) {
  test(`vxlan over IPv${underlay} against the kernel's device set up as flannel does: ping and TCP both ways`, {
    skip,
  }, async (t) => {
    const places = await pair(t, underlay);
    const [a, b] = sites[underlay];
    const node = await EngineSite.start(places[0], 'vxlan', a, b);
    await startKernelSite(places[1], b, a);
    await exchange(places, [a, b], [4, 6]);
    const stats = await node.stats();
    assertIdentity(stats.encap);
    assertIdentity(stats.decap);
  });
}
