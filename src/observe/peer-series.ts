/**
 * Which peers have series of their own, and what the rest amounts to. A monitor keeps every series for weeks, so there
 * must not be one for each of ten thousand peers; and no series may ever fall, or its rate shows what never was.
 *
 * A peer that has a series keeps it for as long as it is a peer. Where there is room, the busiest of the others get one;
 * what they did before stays with the rest. The rest is what the direction did in all, less the series.
 */

export const PEER_SERIES_COLUMNS = [
  'encapPackets',
  'encapBytes',
  'encapDrops',
  'decapPackets',
  'decapBytes',
  'decapDrops',
] as const;
export type PeerSeriesColumn = (typeof PEER_SERIES_COLUMNS)[number];
export type PeerSeriesCounts = { readonly [column in PeerSeriesColumn]: number };

export interface PeerCounts {
  readonly subnets: readonly string[];
  /** Of the n-th subnet. */
  readonly get: (row: number, column: PeerSeriesColumn) => number;
}

export interface PeerSeriesValues {
  readonly series: readonly {
    readonly peer: string;
    readonly row: number;
    readonly counts: PeerSeriesCounts;
  }[];
  readonly other: PeerSeriesCounts;
}

type Counts = { [column in PeerSeriesColumn]: number };

interface Series {
  /** What counted before the series began. */
  readonly base: Counts;
  last: Counts;
}

export class PeerSeries {
  readonly #limit: number;
  readonly #shown = new Map<string, Series>();
  /** Peers without a series, as they were last time. */
  #hidden: ReadonlySet<string> = new Set();
  /** Of series that ended. */
  #ended = zeros();
  #other = zeros();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `totals` is of all packets, read later than `peers`. */
  update(peers: PeerCounts, totals: PeerSeriesCounts): PeerSeriesValues {
    const counts = (row: number) => each((column) => peers.get(row, column));
    const rows = new Map(peers.subnets.map((subnet, row) => [subnet, row]));
    for (const [subnet, series] of this.#shown) {
      const row = rows.get(subnet);
      // One that went and came back between two looks has begun anew.
      const isSame =
        row !== undefined &&
        PEER_SERIES_COLUMNS.every(
          (column) => peers.get(row, column) >= series.base[column] + series.last[column],
        );
      if (isSame) continue;
      this.#ended = each((column) => this.#ended[column] + series.last[column]);
      this.#shown.delete(subnet);
    }
    this.#admit(peers, counts);
    const series = [...this.#shown].map(([peer, own]) => {
      const row = rows.get(peer) ?? 0;
      own.last = each((column) => peers.get(row, column) - own.base[column]);
      return { peer, row, counts: own.last };
    });
    const shown = series.reduce(
      (sum, { counts: own }) => each((column) => sum[column] + own[column]),
      this.#ended,
    );
    this.#other = each((column) => Math.max(this.#other[column], totals[column] - shown[column]));
    return { series, other: this.#other };
  }

  #admit(peers: PeerCounts, counts: (row: number) => Counts): void {
    const room = this.#limit - this.#shown.size;
    const waiting = [...peers.subnets.entries()].filter(([, subnet]) => !this.#shown.has(subnet));
    if (room > 0 && waiting.length > room) {
      const bytes = (row: number) => peers.get(row, 'encapBytes') + peers.get(row, 'decapBytes');
      waiting.sort(([a], [b]) => bytes(b) - bytes(a));
    }
    for (const [row, subnet] of waiting.slice(0, room)) {
      const base = this.#hidden.has(subnet) ? counts(row) : zeros();
      this.#shown.set(subnet, { base, last: zeros() });
    }
    this.#hidden = new Set(waiting.slice(room).map(([, subnet]) => subnet));
  }
}

function each(value: (column: PeerSeriesColumn) => number): Counts {
  return {
    encapPackets: value('encapPackets'),
    encapBytes: value('encapBytes'),
    encapDrops: value('encapDrops'),
    decapPackets: value('decapPackets'),
    decapBytes: value('decapBytes'),
    decapDrops: value('decapDrops'),
  };
}

function zeros(): Counts {
  return each(() => 0);
}
