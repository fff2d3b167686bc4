/**
 * What each peer sent and got, in one array of numbers: reading a hundred thousand peers makes a handful of objects.
 */
import type { Peer } from '../backend/backend.js';
import { wrongType, wrongValue } from '../errors.js';
import { integerAt } from './arguments.js';

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
/** Name of a number that is kept for each peer. */
export type PeerColumn = (typeof PEER_COLUMNS)[number];

const WIDTH = PEER_COLUMNS.length;
const PLACE = Object.fromEntries(PEER_COLUMNS.map((column, place) => [column, place])) as {
  readonly [column in PeerColumn]: number;
};

/**
 * The numbers of all peers as they were at one moment.
 *
 * @example
 * const stats = plane.peers.stats();
 * for (const [row, { subnet }] of stats.peers.entries()) console.log(`${subnet}: ${stats.get(row, 'encapBytes')} bytes`);
 */
export class PeerStats {
  /** In the order of the rows. */
  readonly peers: readonly Peer[];
  /** Row after row. Counts are exact up to 2^53. */
  readonly values: Float64Array;

  constructor(peers: readonly Peer[], values = new Float64Array(peers.length * WIDTH)) {
    this.peers = peers;
    this.values = values;
  }

  /** One number of the peer in this row, 0 where there is no such row. Throws ArgumentError. */
  get(row: number, column: PeerColumn): number {
    if (typeof row !== 'number') throw wrongType('PeerStats.get: row', 'a number', row);
    const place = placeAt('PeerStats.get: column', column);
    return (Number.isInteger(row) && this.values[row * WIDTH + place]) || 0;
  }

  /** All numbers of the peer in this row, in the order of PEER_COLUMNS: a view of `values`. Throws ArgumentError. */
  row(row: number): Float64Array {
    integerAt('PeerStats.row: row', row, 0, this.peers.length - 1);
    return this.values.subarray(row * WIDTH, (row + 1) * WIDTH);
  }

  /** Adds what was counted before, by subnet. Throws TypeError. */
  add(past: ReadonlyMap<string, Float64Array>): this {
    if (!(past instanceof Map)) throw wrongType('PeerStats.add: past', 'a Map', past);
    if (past.size === 0) return this;
    for (const [row, { subnet }] of this.peers.entries()) {
      const before = past.get(subnet.toString());
      if (before) addRow(this.row(row), before);
    }
    return this;
  }

  /** The rows by the peers' subnets as text: views of `values`. */
  bySubnet(): Map<string, Float64Array> {
    return new Map(this.peers.map(({ subnet }, row) => [subnet.toString(), this.row(row)]));
  }
}

function placeAt(where: string, column: unknown): number {
  if (typeof column !== 'string') throw wrongType(where, 'the name of a column', column);
  if (Object.hasOwn(PLACE, column)) return PLACE[column as PeerColumn];
  throw wrongValue(where, `one of ${PEER_COLUMNS.join(', ')}`, column);
}

function addRow(row: Float64Array, before: Float64Array): void {
  for (let i = 0; i < PLACE.idleSeconds; i++) row[i] = (row[i] ?? 0) + (before[i] ?? 0);
}
