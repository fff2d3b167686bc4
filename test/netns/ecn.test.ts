/** ECN in and out of the tunnel (RFC 6040), for every pair of values, with the kernel's vxlan device beside ours as oracle. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { cannotRun, makeSegment } from '../support/namespaces.js';
import { udpPacket, vxlanPayload } from '../support/packets.js';
import { type Arrival, Probe } from '../support/probe.js';
import { addressOf, EngineSite, type Site, sites, startKernelSite } from '../support/sites.js';

const skip = await cannotRun();
const PORT = 9000;
const ecnValues = [0, 1, 2, 3];

interface Stage {
  readonly remote: Namespace;
  /** Ours and the kernel's: the same site twice, apart from its endpoint. */
  readonly ends: readonly { readonly namespace: Namespace; readonly site: Site }[];
  readonly peer: Site;
}

async function stage(t: TestContext, underlay: 4 | 6): Promise<Stage> {
  const [ours, peer] = sites[underlay];
  const theirs = { ...ours, endpoint: underlay === 4 ? '192.0.2.3' : '2001:db8::3' };
  const length = underlay === 4 ? 24 : 64;
  const places = [ours, theirs, peer].map((site, i) => ({
    label: ['ours', 'kernel', 'remote'][i] ?? '',
    addresses: [`${site.endpoint}/${length}`],
  }));
  const [a, k, remote] = await makeSegment(t, places);
  assert.ok(a && k && remote);
  await EngineSite.start(a, 'vxlan', ours, peer);
  await startKernelSite(k, theirs, peer);
  const ends = [
    { namespace: a, site: ours },
    { namespace: k, site: theirs },
  ];
  return { remote, ends, peer };
}

for (const underlay of [4, 6] as const) {
  test(`IPv${underlay} outside: what arrives is combined as the kernel combines it`, { skip }, async (t) => {
    const { remote, ends, peer } = await stage(t, underlay);
    const outcomes = await Promise.all(
      ends.map(async ({ namespace, site }) => {
        const addresses = [addressOf(site, 4), addressOf(site, 6)];
        const listener = await Probe.start(namespace, 'listen', String(PORT), ...addresses);
        const sender = await Probe.start(remote, 'send', peer.endpoint, site.endpoint, '8472');
        const found: string[] = [];
        for (const family of [4, 6] as const) {
          const send = (text: string, outer: number, inner: number) => {
            const packet = {
              source: addressOf(peer, family),
              destination: addressOf(site, family),
              tos: inner,
            };
            const frame = { destinationMac: site.mac, sourceMac: peer.mac };
            sender.send(vxlanPayload({ ...frame, inner: udpPacket({ ...packet, port: PORT, text }) }), outer);
          };
          for (const outer of ecnValues) {
            for (const inner of ecnValues) {
              // With a DSCP on either side, which is nobody's concern.
              send('case', outer | (10 << 2), inner | (46 << 2));
              send('mark', 0, 0);
              let tos = 'dropped';
              for (;;) {
                const arrival = await listener.next<Arrival>();
                if (Buffer.from(arrival.hex, 'hex').toString() === 'mark') break;
                tos = String(arrival.tos);
              }
              found.push(`IPv${family} outer ${outer} inner ${inner}: ${tos}`);
            }
          }
        }
        return found;
      }),
    );
    const [ours, kernel] = outcomes;
    assert.deepEqual(ours, kernel);
    assert.equal(kernel?.filter((line) => line.endsWith('dropped')).length, 2, 'not-ECT inside, CE outside');
    assert.ok(kernel?.includes(`IPv4 outer 3 inner 2: ${(46 << 2) | 3}`), 'congestion is passed on');
  });

  test(`IPv${underlay} outside: what is sent is marked as the kernel marks it`, { skip }, async (t) => {
    const { remote, ends, peer } = await stage(t, underlay);
    const sniffer = await Probe.start(remote, 'outside', 'eth0', '8472');
    const outcomes: object[][] = [];
    for (const { namespace, site } of ends) {
      const found: object[] = [];
      for (const family of [4, 6] as const) {
        const sender = await Probe.start(
          ...([namespace, 'send', addressOf(site, family), addressOf(peer, family), String(PORT)] as const),
        );
        for (const ecn of ecnValues) {
          sender.send(Buffer.from('out'), (46 << 2) | ecn);
          found.push(await sniffer.next());
        }
      }
      outcomes.push(found);
    }
    const [ours, kernel] = outcomes;
    assert.deepEqual(ours, kernel);
    assert.deepEqual(
      new Set(ours?.map((report) => (report as { inner: number }).inner & 3)),
      new Set(ecnValues),
      'all values were seen',
    );
  });
}
