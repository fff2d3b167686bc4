/**
 * What passes at this moment, for `twill top`: rates between two looks of one asker, and only of the peers it has room to
 * show, so that ten thousand peers cost no more to tell than ten.
 */
import { PEER_COLUMNS, type PeerColumn, PeerStats } from '../dataplane/peer-stats.js';
import type { DirectionStats, Plane, PlaneCounts } from '../dataplane/plane.js';
import { TwillError } from '../errors.js';
import type { Json } from '../net/json.js';

export const TRAFFIC_ORDERS = ['bytes', 'packets', 'drops', 'subnet'] as const;
export type TrafficOrder = (typeof TRAFFIC_ORDERS)[number];
export const MOST_TRAFFIC_ROWS = 1000;

export interface TrafficRequest {
  /** Who asks: rates are since its look before. */
  readonly session: string;
  readonly order: TrafficOrder;
  /** How many peers at most. */
  readonly limit: number;
}

interface Look {
  readonly atMs: number;
  readonly stats: PlaneCounts & { readonly encap: DirectionStats; readonly decap: DirectionStats };
  readonly peers: PeerStats;
}
interface Session {
  /** What the last is compared with. */
  base: Look | null;
  last: Look;
}

const MOST_SESSIONS = 8;
const SESSION_MS = 60_000;
/** Sooner than this a look replaces no other: rates over less say little. */
const SHORTEST_MS = 500;
const WIDTH = PEER_COLUMNS.length;

export class TrafficWatch {
  readonly #plane: Plane;
  readonly #nowMs: () => number;
  /** The one used last is the last. */
  readonly #sessions = new Map<string, Session>();

  /** `nowMs` of a clock that nobody sets. */
  constructor(plane: Plane, nowMs: () => number = () => performance.now()) {
    this.#plane = plane;
    this.#nowMs = nowMs;
  }

  /** Throws ERR_TWILL_CONTROL where nothing is counted. */
  look({ session, order, limit }: TrafficRequest): { [key: string]: Json } {
    // Without a count by peer there are the directions alone.
    const peers = this.#plane.peerStats() ?? new PeerStats([]);
    const stats = this.#plane.stats();
    const { encap, decap } = stats;
    if (!encap || !decap) {
      const why = "the host's routes carry the packets, and nobody counts those";
      throw new TwillError('ERR_TWILL_CONTROL', `${why}: look at interface ${this.#plane.deviceName}`);
    }
    const now: Look = { atMs: this.#nowMs(), stats: { ...stats, encap, decap }, peers };
    const before = this.#keep(session, now);
    const seconds = before ? (now.atMs - before.atMs) / 1000 : 0;
    const rates = new Rates(now, before, seconds);
    return {
      seconds,
      encap: rates.direction('encap'),
      decap: rates.direction('decap'),
      drops: rates.drops(),
      peers: stats.peers,
      countsPeers: this.#plane.kind === 'userspace',
      rows: rates.order(order, limit).map((row) => rates.row(row)),
    };
  }

  /** The look to compare with, if there is one. */
  #keep(name: string, now: Look): Look | null {
    for (const [other, { last }] of this.#sessions)
      if (now.atMs - last.atMs > SESSION_MS) this.#sessions.delete(other);
    const session = this.#sessions.get(name);
    this.#sessions.delete(name);
    const isSoon = session && now.atMs - session.last.atMs < SHORTEST_MS;
    if (!session) this.#sessions.set(name, { base: null, last: now });
    else if (isSoon) this.#sessions.set(name, session);
    else this.#sessions.set(name, { base: session.last, last: now });
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size <= MOST_SESSIONS) break;
      this.#sessions.delete(oldest);
    }
    return session ? (isSoon ? (session.base ?? session.last) : session.last) : null;
  }
}

/** Of one look, against the one before. */
class Rates {
  readonly #now: Look;
  readonly #before: Look | null;
  readonly #seconds: number;
  /** Row of the same peer before; the same place where the table has not changed. */
  readonly #rowBefore: (row: number) => Float64Array | undefined;

  constructor(now: Look, before: Look | null, seconds: number) {
    this.#now = now;
    this.#before = seconds > 0 ? before : null;
    this.#seconds = seconds;
    if (!this.#before) this.#rowBefore = () => undefined;
    else if (this.#before.stats.generation === now.stats.generation) {
      const { peers } = this.#before;
      this.#rowBefore = (row) => peers.row(row);
    } else {
      const bySubnet = this.#before.peers.bySubnet();
      this.#rowBefore = (row) => bySubnet.get(now.peers.peers[row]?.subnet.toString() ?? '');
    }
  }

  direction(direction: 'encap' | 'decap'): { [key: string]: Json } {
    const now = this.#now.stats[direction];
    const before = this.#before?.stats[direction];
    const flow = (counts: DirectionStats) => [counts.delivered, counts.deliveredBytes, sumOf(counts.drops)];
    return this.#flow(flow(now), before && flow(before));
  }

  /** Reasons that have dropped anything. */
  drops(): Json[] {
    return (['encap', 'decap'] as const).flatMap((direction) =>
      Object.entries(this.#now.stats[direction].drops).flatMap(([reason, packets]) => {
        const before = this.#before?.stats[direction].drops[reason];
        return packets === 0
          ? []
          : [{ direction, reason, packets, packetsPerSecond: this.#perSecond(packets, before) }];
      }),
    );
  }

  /** Rows, the most first; without a look before by what there was in all. */
  order(order: TrafficOrder, limit: number): number[] {
    const { peers } = this.#now.peers;
    if (limit === 0) return [];
    const rows = Array.from(peers.keys());
    if (order === 'subnet') {
      const at = (row: number) => peers[row]?.subnet;
      rows.sort((a, b) => {
        const [one, other] = [at(a), at(b)];
        return one && other ? one.address.compare(other.address) || one.length - other.length : 0;
      });
      return rows.slice(0, limit);
    }
    const what = { bytes: 'Bytes', packets: 'Packets', drops: 'Drops' }[order] as 'Bytes';
    const columns = [`encap${what}`, `decap${what}`] as const;
    const weights = Float64Array.from(rows, (row) => this.#moved(row, columns));
    const least = weights.slice().sort()[Math.max(weights.length - limit, 0)] ?? 0;
    const chosen = rows.filter((row) => (weights[row] ?? 0) > least);
    for (const row of rows) {
      if (chosen.length >= limit) break;
      if (weights[row] === least) chosen.push(row);
    }
    return chosen.sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0));
  }

  row(row: number): Json {
    const { peers } = this.#now.peers;
    const peer = peers[row];
    const now = this.#now.peers.row(row);
    const before = this.#rowBefore(row);
    const idleSeconds = now[WIDTH - 1] ?? Number.POSITIVE_INFINITY;
    return {
      subnet: peer?.subnet.toString() ?? '',
      endpoint: { address: peer?.endpoint.address.toString() ?? '', port: peer?.endpoint.port ?? 0 },
      encap: this.#flow([...now.subarray(0, 3)], before && [...before.subarray(0, 3)]),
      decap: this.#flow([...now.subarray(3, 6)], before && [...before.subarray(3, 6)]),
      idleSeconds: Number.isFinite(idleSeconds) ? Math.round(idleSeconds * 10) / 10 : null,
    };
  }

  #moved(row: number, columns: readonly PeerColumn[]): number {
    const before = this.#rowBefore(row);
    let sum = 0;
    for (const column of columns) {
      const count = this.#now.peers.get(row, column);
      const earlier = before?.[PEER_COLUMNS.indexOf(column)] ?? 0;
      sum += count >= earlier ? count - earlier : count;
    }
    return sum;
  }

  #flow(now: readonly number[], before: readonly number[] | undefined): { [key: string]: Json } {
    const [packets = 0, bytes = 0, drops = 0] = now;
    return {
      ...{ packets, bytes, drops },
      packetsPerSecond: this.#perSecond(packets, before?.[0]),
      bytesPerSecond: this.#perSecond(bytes, before?.[1]),
      dropsPerSecond: this.#perSecond(drops, before?.[2]),
    };
  }

  /** null: nothing to compare with. A count that fell has begun anew. */
  #perSecond(count: number, before: number | undefined): number | null {
    if (!this.#before) return null;
    const earlier = before === undefined || before > count ? 0 : before;
    return Math.round(((count - earlier) / this.#seconds) * 10) / 10;
  }
}

/** From what the socket brought. Throws ERR_TWILL_ARGUMENT. */
export function trafficRequest(params: Json): TrafficRequest {
  const given = params !== null && typeof params === 'object' && !Array.isArray(params) ? params : {};
  const { session = '', order = 'bytes', limit = 20 } = given;
  const wrong = (what: string) => new TwillError('ERR_TWILL_ARGUMENT', `traffic: ${what}`);
  if (typeof session !== 'string' || session.length > 64)
    throw wrong('session is a text of at most 64 characters');
  const known = TRAFFIC_ORDERS.find((name) => name === order);
  if (!known) throw wrong(`order is one of ${TRAFFIC_ORDERS.join(', ')}`);
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 0 || limit > MOST_TRAFFIC_ROWS)
    throw wrong(`limit is an integer from 0 to ${MOST_TRAFFIC_ROWS}`);
  return { session, order: known, limit };
}

function sumOf(drops: { readonly [reason: string]: number }): number {
  return Object.values(drops).reduce((sum, count) => sum + count, 0);
}
