/** Peers with series of their own, and the rest: nothing falls, nothing is counted twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  PEER_SERIES_COLUMNS,
  PeerSeries,
  type PeerSeriesColumn,
  type PeerSeriesCounts,
  type PeerSeriesValues,
} from '../../../src/observe/peer-series.js';
import { times } from '../../support/properties.js';

type Counts = { [column in PeerSeriesColumn]: number };
const zeros = (): Counts =>
  Object.fromEntries(PEER_SERIES_COLUMNS.map((column) => [column, 0])) as unknown as Counts;

/** A table of peers that count, and what all did together, as the engine keeps it. */
class Table {
  readonly peers = new Map<string, Counts>();
  readonly totals = zeros();

  add(subnet: string, n: number): void {
    const counts = this.peers.get(subnet);
    for (const column of PEER_SERIES_COLUMNS) {
      if (counts) counts[column] += n;
      this.totals[column] += n;
    }
  }

  look(series: PeerSeries): PeerSeriesValues {
    const subnets = [...this.peers.keys()];
    const get = (row: number, column: PeerSeriesColumn) => this.peers.get(subnets[row] ?? '')?.[column] ?? 0;
    return series.update({ subnets, get }, { ...this.totals });
  }
}

function named({ series, other }: PeerSeriesValues): Map<string, PeerSeriesCounts> {
  return new Map([...series.map(({ peer, counts }) => [peer, counts] as const), ['other', other]]);
}

test('all peers have series where there is room; what is nobody is the rest', () => {
  const table = new Table();
  const series = new PeerSeries(3);
  for (const subnet of ['a', 'b']) table.peers.set(subnet, zeros());
  table.add('a', 5);
  table.add('b', 7);
  table.add('nobody', 2);
  const values = named(table.look(series));
  assert.deepEqual([...values.keys()], ['a', 'b', 'other']);
  assert.deepEqual(
    ['a', 'b', 'other'].map((peer) => values.get(peer)?.decapBytes),
    [5, 7, 2],
  );
});

test('the busiest get the series; a freed one goes to the next busiest, from zero', () => {
  const table = new Table();
  const series = new PeerSeries(2);
  for (const [n, subnet] of ['a', 'b', 'c', 'd'].entries()) {
    table.peers.set(subnet, zeros());
    table.add(subnet, 10 * (n + 1));
  }
  assert.deepEqual([...named(table.look(series)).keys()].sort(), ['c', 'd', 'other']);
  table.peers.delete('d');
  table.add('b', 1);
  const later = named(table.look(series));
  assert.deepEqual([...later.keys()].sort(), ['b', 'c', 'other']);
  assert.equal(later.get('b')?.encapPackets, 0, 'what it did before stays with the rest');
  assert.equal(later.get('other')?.encapPackets, 10 + 20 + 1);
  table.add('b', 4);
  assert.equal(named(table.look(series)).get('b')?.encapPackets, 4);
});

test('no series falls while its peer is one, the rest never falls, and together they are all there was', () => {
  const step = fc.record({
    subnet: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    what: fc.constantFrom('come', 'go', 'count', 'count', 'look'),
    n: fc.nat(1000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 0, max: 4 }), (steps, limit) => {
      const table = new Table();
      const series = new PeerSeries(limit);
      let before = new Map<string, PeerSeriesCounts>();
      let wentSince = new Set<string>();
      let ended = 0;
      for (const { subnet, what, n } of [...steps, { subnet: 'a', what: 'look', n: 0 }]) {
        if (what === 'come' && !table.peers.has(subnet)) table.peers.set(subnet, zeros());
        if (what === 'count') table.add(subnet, n);
        if (what === 'go') {
          table.peers.delete(subnet);
          wentSince.add(subnet);
        }
        if (what !== 'look') continue;
        const now = named(table.look(series));
        assert.ok(now.size <= limit + 1);
        for (const [peer, { encapPackets }] of before) {
          const still = now.get(peer)?.encapPackets ?? -1;
          // Came back with more than it had: nobody can tell, and nothing is lost by it.
          if (still >= encapPackets) continue;
          assert.ok(wentSince.has(peer), `${peer} fell`);
          ended += encapPackets;
        }
        const sum = [...now.values()].reduce((total, { encapPackets }) => total + encapPackets, 0);
        assert.equal(sum + ended, table.totals.encapPackets);
        before = now;
        wentSince = new Set();
      }
    }),
    times(300),
  );
});
