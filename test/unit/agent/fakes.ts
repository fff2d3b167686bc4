/** A clock that moves only when told, a store in memory that lives by it, and a plane that remembers. */
import type { Clock } from '../../../src/agent/clock.js';
import type { Peer } from '../../../src/backend/backend.js';
import { PeerStats } from '../../../src/dataplane/peer-stats.js';
import type {
  Plane,
  PlaneState,
  PlaneStats,
  PlaneTrace,
  PlaneUnderlay,
} from '../../../src/dataplane/plane.js';
import type { PlaneTap } from '../../../src/dataplane/tap.js';
import type { IpAddress } from '../../../src/net/ip.js';
import type { Logger } from '../../../src/observe/log.js';
import type { PutOptions, Store, StoreRecord, StoreSnapshot } from '../../../src/store/store.js';

export class FakeClock implements Clock {
  #nowMs = 1_800_000_000_000;
  readonly #sleepers = new Set<{ readonly atMs: number; readonly wake: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  sleep(durationMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const sleeper = { atMs: this.#nowMs + durationMs, wake: () => done() };
      const done = () => {
        this.#sleepers.delete(sleeper);
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done);
      this.#sleepers.add(sleeper);
    });
  }

  /** Moves on, waking sleepers in their order and letting each do its work. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    await settle();
    for (;;) {
      const next = [...this.#sleepers].sort((a, b) => a.atMs - b.atMs)[0];
      if (!next || next.atMs > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }
}

/** Lets everything that can go on without time passing go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export class MemoryStore implements Store {
  readonly description = 'memory';
  readonly records = new Map<string, StoreRecord>();
  config = '{"Network":"10.5.0.0/16"}';
  /** Set: every operation fails with this. */
  fault: Error | null = null;
  /** Called before each write, to let a test slip in between. */
  beforeWrite: ((key: string) => void) | null = null;
  /** Set: the next listing is handed out only after this, as old as it is by then. */
  nextListWaits: Promise<void> | null = null;
  lists = 0;
  writes = 0;
  readonly #clock: Clock;
  #order = 0n;
  #changed: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Writes as somebody else would. */
  put(key: string, value: string, ttlMs?: number): StoreRecord {
    const createdOrder = this.records.get(key)?.createdOrder ?? this.#order + 1n;
    const revision = String(++this.#order);
    const ends = ttlMs === undefined ? {} : { expiresAtMs: this.#clock.nowMs() + ttlMs };
    const record: StoreRecord = { key, value, revision, createdOrder, ...ends };
    this.records.set(key, record);
    this.#changed();
    return record;
  }

  drop(key: string): void {
    this.records.delete(key);
    this.#changed();
  }

  async readConfig(): Promise<string> {
    this.#check();
    return this.config;
  }

  async list(): Promise<StoreSnapshot> {
    this.lists += 1;
    await Promise.resolve();
    this.#check();
    const snapshot = { records: [...this.records.values()], unreadable: [] };
    const wait = this.nextListWaits;
    this.nextListWaits = null;
    await wait;
    return snapshot;
  }

  async *watch(signal: AbortSignal): AsyncIterable<StoreSnapshot> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    while (!signal.aborted) {
      const changed = new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
      yield await this.list();
      await Promise.race([changed, aborted]);
    }
  }

  async create(key: string, value: string, { ttlMs }: PutOptions): Promise<StoreRecord | null> {
    await this.#beforeWrite(key);
    return this.records.has(key) ? null : this.put(key, value, ttlMs);
  }

  async replace(
    key: string,
    revision: string,
    value: string,
    { ttlMs }: PutOptions,
  ): Promise<StoreRecord | null> {
    await this.#beforeWrite(key);
    return this.records.get(key)?.revision === revision ? this.put(key, value, ttlMs) : null;
  }

  async remove(key: string, revision: string): Promise<boolean> {
    await this.#beforeWrite(key);
    if (this.records.get(key)?.revision !== revision) return false;
    this.drop(key);
    return true;
  }

  async close(): Promise<void> {}

  async #beforeWrite(key: string): Promise<void> {
    await Promise.resolve();
    this.#check();
    this.writes += 1;
    this.beforeWrite?.(key);
  }

  #check(): void {
    if (this.fault) throw this.fault;
  }
}

export class FakePlane implements Plane {
  readonly kind = 'userspace';
  readonly watchesNeighbours = false;
  readonly troubles: ReadonlyMap<string, string> = new Map();
  readonly foreignRoutes: readonly string[] = [];
  readonly deviceName: string = 'flannel.1';
  get mtuBytes(): number {
    return (this.place?.externalMtuBytes ?? 1500) - 50;
  }
  /** Where it was told to go last. */
  place: PlaneUnderlay | null = null;
  /** Set: it cannot go there. */
  cannotMove: Error | null = null;
  deviceIndex = 7;
  /** What the next looks at the device find; an error is thrown. */
  readonly states: (Omit<PlaneState, 'retryInMs'> | Error)[] = [];
  looks = 0;
  wanted: readonly Peer[] = [];
  generation = 0;
  isClosed = false;

  setPeers(wanted: readonly Peer[]): number {
    this.wanted = wanted;
    this.generation += 1;
    return this.generation;
  }

  stats(): PlaneStats {
    const direction = {
      received: 7,
      receivedBytes: 700,
      delivered: 4,
      deliveredBytes: 400,
      drops: { no_route: 3, ttl: 0 },
    };
    return {
      ...{ encap: direction, decap: { ...direction, received: 8 }, icmpSent: 2, icmpSuppressed: 1 },
      ...{ generation: this.generation, peers: this.wanted.length, workers: 1, poolFree: 4, poolSlots: 8 },
      offloads: { 'tun-tso': { wanted: true, active: true, refused: 0 } },
      checksum: 'scalar',
    };
  }

  /** Of the n-th peer: n + 1 packets out, twice that in, the last just now. */
  peerStats(): PeerStats {
    const stats = new PeerStats(this.wanted);
    for (const row of this.wanted.keys()) {
      const n = row + 1;
      stats.row(row).set([n, n * 100, 0, n * 2, n * 200, 1, 0]);
    }
    return stats;
  }

  trace(destination: IpAddress): PlaneTrace {
    const peer = this.wanted.find(({ subnet }) => subnet.contains(destination));
    if (!peer) return { drop: 'no_route', mtuBytes: this.mtuBytes };
    return { drop: null, endpoint: peer.endpoint, header: new Uint8Array(22), mtuBytes: this.mtuBytes };
  }

  openTap(): PlaneTap {
    return { read: () => 0, counts: () => ({ kept: 0, lost: 0 }), close: () => {} };
  }

  reconcile(): PlaneState {
    this.looks += 1;
    const state = this.states.shift() ?? { mended: [], trouble: null };
    if (state instanceof Error) throw state;
    return { ...state, retryInMs: null };
  }

  concerns({ index }: { readonly index: number }): boolean {
    return index === this.deviceIndex;
  }

  wayOf(): 'tunnel' {
    return 'tunnel';
  }

  rebind(underlay: PlaneUnderlay): void {
    if (this.cannotMove) throw this.cannotMove;
    this.place = underlay;
  }

  isTurning(): boolean {
    return true;
  }

  close(): void {
    this.isClosed = true;
  }
}

/** A logger that keeps its lines. */
export function recordingLogger(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const level =
    (name: string) =>
    (first: unknown, second?: string): void => {
      lines.push(`${name}: ${typeof first === 'string' ? first : (second ?? '')}`);
    };
  const names = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
  const logger = Object.fromEntries(names.map((name) => [name, level(name)]));
  return { logger: logger as unknown as Logger, lines };
}

/** Waits until `check` holds; fails naming `what` when it does not within `withinMs`. */
export async function until(
  what: string,
  check: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const endMs = Date.now() + withinMs;
  while (!(await check())) {
    if (Date.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
