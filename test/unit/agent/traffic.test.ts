import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type TrafficOrder, TrafficWatch, trafficRequest } from '../../../src/agent/traffic.js';
import type { Peer } from '../../../src/backend/backend.js';
import { PeerStats } from '../../../src/dataplane/peer-stats.js';
import type { PlaneStats } from '../../../src/dataplane/plane.js';
import { IpAddress } from '../../../src/net/ip.js';
import { Prefix } from '../../../src/net/prefix.js';
import { FakePlane } from './fakes.js';

interface Flow {
  readonly packets: number;
  readonly packetsPerSecond: number | null;
  readonly bytesPerSecond: number | null;
  readonly dropsPerSecond: number | null;
}
interface Look {
  readonly seconds: number;
  readonly encap: Flow;
  readonly drops: readonly { reason: string; packetsPerSecond: number | null }[];
  readonly peers: number;
  readonly rows: readonly { subnet: string; encap: Flow; decap: Flow; idleSeconds: number | null }[];
}

/** Peers that count what the test says. */
class CountingPlane extends FakePlane {
  counts = new Map<string, number[]>();
  delivered = 0;
  dropped = 0;

  peer(subnet: string, ...counts: number[]): void {
    this.counts.set(subnet, [...counts, ...Array(7 - counts.length).fill(0)]);
    const peers: Peer[] = [...this.counts.keys()].map((text) => ({
      subnet: Prefix.parse(text),
      endpoint: { address: IpAddress.parse('192.0.2.9'), port: 8472 },
    }));
    if (peers.length !== this.wanted.length) this.setPeers(peers);
  }

  override peerStats(): PeerStats {
    const stats = new PeerStats(this.wanted);
    for (const [row, { subnet }] of this.wanted.entries())
      stats.row(row).set(this.counts.get(subnet.toString()) ?? []);
    return stats;
  }

  override stats(): PlaneStats {
    const stats = super.stats();
    const encap = { ...stats.encap, delivered: this.delivered, drops: { no_route: this.dropped, loop: 0 } };
    return { ...stats, encap };
  }
}

function watched() {
  const plane = new CountingPlane();
  const time = { ms: 0 };
  const watch = new TrafficWatch(plane, () => time.ms);
  const look = (session = 'a', order: TrafficOrder = 'bytes', limit = 10) =>
    watch.look({ session, order, limit }) as unknown as Look;
  return { plane, time, look };
}
const subnets = ({ rows }: Look) => rows.map(({ subnet }) => subnet);

describe('traffic between two looks', () => {
  test('the first has no rates; then they are per second, whatever the interval', () => {
    const { plane, time, look } = watched();
    plane.peer('10.5.2.0/24', 10, 1000);
    const first = look();
    assert.equal(first.seconds, 0);
    assert.deepEqual([first.encap.packetsPerSecond, first.rows[0]?.encap.packetsPerSecond], [null, null]);
    plane.peer('10.5.2.0/24', 40, 7000);
    Object.assign(plane, { delivered: 50, dropped: 8 });
    time.ms = 2000;
    const { seconds, rows, encap, drops } = look();
    assert.equal(seconds, 2);
    assert.deepEqual([rows[0]?.encap.packetsPerSecond, rows[0]?.encap.bytesPerSecond], [15, 3000]);
    assert.deepEqual([encap.packetsPerSecond, encap.dropsPerSecond], [25, 4]);
    assert.deepEqual(drops.find(({ reason }) => reason === 'no_route')?.packetsPerSecond, 4);
    assert.ok(!drops.some(({ reason }) => reason === 'loop'));
  });

  test('each asker has its own looks, and only so many are remembered', () => {
    const { plane, time, look } = watched();
    plane.peer('10.5.2.0/24', 0);
    look('a');
    time.ms = 1000;
    look('b');
    plane.peer('10.5.2.0/24', 100);
    time.ms = 2000;
    assert.equal(look('a').rows[0]?.encap.packetsPerSecond, 50);
    assert.equal(look('b').rows[0]?.encap.packetsPerSecond, 100);
    for (let n = 0; n < 8; n++) look(`other ${n}`);
    time.ms = 3000;
    assert.equal(look('a').seconds, 0, 'forgotten');
    time.ms = 100_000;
    assert.equal(look('a').seconds, 0, 'too long ago');
  });

  test('a look that comes soon after is over the whole interval before', () => {
    const { plane, time, look } = watched();
    plane.peer('10.5.2.0/24', 0);
    look();
    plane.peer('10.5.2.0/24', 100);
    time.ms = 1000;
    look();
    time.ms = 1001;
    const soon = look('a', 'packets');
    assert.equal(soon.seconds, 1.001);
    assert.equal(soon.rows[0]?.encap.packetsPerSecond, 99.9);
    time.ms = 2000;
    assert.equal(look().seconds, 1);
  });

  test('the most first, by what was asked; no more rows than were asked for', () => {
    const { plane, time, look } = watched();
    // Long ago 10.5.10.0/24 did most.
    for (const [n, subnet] of ['10.5.10.0/24', '10.5.2.0/24', '10.5.3.0/24'].entries())
      plane.peer(subnet, 1000 - n, 100_000 - n);
    assert.deepEqual(subnets(look()), ['10.5.10.0/24', '10.5.2.0/24', '10.5.3.0/24']);
    plane.peer('10.5.2.0/24', 1009, 100_010);
    plane.peer('10.5.3.0/24', 1000, 101_000, 0, 0, 0, 7);
    time.ms = 1000;
    assert.deepEqual(subnets(look('a', 'bytes', 2)), ['10.5.3.0/24', '10.5.2.0/24']);
    assert.deepEqual(subnets(look('a', 'packets', 1)), ['10.5.2.0/24']);
    assert.deepEqual(subnets(look('a', 'drops', 1)), ['10.5.3.0/24']);
    assert.deepEqual(subnets(look('a', 'subnet', 2)), ['10.5.2.0/24', '10.5.3.0/24'], 'as numbers');
    assert.deepEqual(subnets(look('a', 'bytes', 0)), []);
    assert.equal(look('a', 'bytes', 0).peers, 3);
    assert.equal(look('new', 'bytes', 3).rows.length, 3);
  });

  test('peers that came, went or began anew in between', () => {
    const { plane, time, look } = watched();
    plane.peer('10.5.2.0/24', 500, 500);
    plane.peer('10.5.3.0/24', 900, 900);
    look();
    plane.counts.delete('10.5.3.0/24');
    plane.peer('10.5.1.0/24', 30, 30);
    plane.setPeers(plane.wanted);
    plane.peer('10.5.2.0/24', 20, 20);
    plane.wanted = ['10.5.1.0/24', '10.5.2.0/24'].map((text) => ({
      subnet: Prefix.parse(text),
      endpoint: { address: IpAddress.parse('192.0.2.9'), port: 8472 },
    }));
    time.ms = 1000;
    const { rows } = look();
    assert.deepEqual(
      rows.map(({ subnet, encap }) => [subnet, encap.packetsPerSecond]),
      [
        ['10.5.1.0/24', 30],
        ['10.5.2.0/24', 20],
      ],
    );
  });

  test('what the socket may ask for', () => {
    assert.deepEqual(trafficRequest(null), { session: '', order: 'bytes', limit: 20 });
    for (const wrong of [
      { session: 7 },
      { session: 'x'.repeat(65) },
      { order: 'x' },
      { limit: 1001 },
      { limit: -1 },
      { limit: 1.5 },
    ])
      assert.throws(() => trafficRequest(wrong), { code: 'ERR_TWILL_ARGUMENT', message: /^traffic: / });
  });
});
