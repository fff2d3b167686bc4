/**
 * What each peer sent and got, in one array of numbers: reading a hundred thousand peers makes a handful of objects.
 */
import type { Peer } from '../backend/backend.js';

/** Of each peer, in this order. Packets and bytes are those delivered; a super-packet counts as its segments. */
export const PEER_COLUMNS = [
  'encapPackets',
  'encapBytes',
  'encapDrops',
  'decapPackets',
  'decapBytes',
  'decapDrops',
  /** Since the last packet from this peer was delivered; Infinity: none was. */
  'idleSeconds',
] as const;
export type PeerColumn = (typeof PEER_COLUMNS)[number];

const WIDTH = PEER_COLUMNS.length;
const PLACE = Object.fromEntries(PEER_COLUMNS.map((column, place) => [column, place])) as {
  readonly [column in PeerColumn]: number;
};

export class PeerStats {
  /** In the order of the rows. */
  readonly peers: readonly Peer[];
  /** Row after row. Counts are exact up to 2^53. */
  readonly values: Float64Array;

  constructor(peers: readonly Peer[], values = new Float64Array(peers.length * WIDTH)) {
    this.peers = peers;
    this.values = values;
  }

  get(row: number, column: PeerColumn): number {
    return this.values[row * WIDTH + PLACE[column]] ?? 0;
  }

  row(row: number): Float64Array {
    return this.values.subarray(row * WIDTH, (row + 1) * WIDTH);
  }

  /** Adds what was counted before, by subnet. */
  add(past: ReadonlyMap<string, Float64Array>): this {
    if (past.size === 0) return this;
    for (const [row, { subnet }] of this.peers.entries()) {
      const before = past.get(subnet.toString());
      if (before) addRow(this.row(row), before);
    }
    return this;
  }

  bySubnet(): Map<string, Float64Array> {
    return new Map(this.peers.map(({ subnet }, row) => [subnet.toString(), this.row(row)]));
  }
}

function addRow(row: Float64Array, before: Float64Array): void {
  for (let i = 0; i < PLACE.idleSeconds; i++) row[i] = (row[i] ?? 0) + (before[i] ?? 0);
}
