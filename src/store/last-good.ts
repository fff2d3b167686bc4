/**
 * A store that remembers: what it last said is kept in a file, and stands in for it while it cannot be reached at a
 * start. Once it has answered, the file is only written. What comes from the file says so by its `asOfMs`.
 */
import { TwillError } from '../errors.js';
import type { LeaseAttributes } from '../lease/lease.js';
import { type LastGood, readLastGood, touchLastGood, writeLastGood } from './last-good-file.js';
import type {
  GivingStore,
  LeaseSource,
  OwnNode,
  PutOptions,
  Store,
  StoreRecord,
  StoreSnapshot,
} from './store.js';

/** A start waits so long for a store that is silent, if the file can stand in for it. */
const PATIENCE_MS = 1000;
/** Changes are written together, and a listing that lacks most leases for a moment is never written. */
const WRITE_AFTER_MS = 5000;
const TOUCH_EACH_MS = 60_000;

export interface LastGoodOptions {
  readonly path: string;
  /** For people: what has gone wrong with the file, or that it is in use. */
  readonly say: (message: string) => void;
}

/** What is the same for both kinds of stores. */
class LastGoodSource<Inner extends LeaseSource> {
  readonly description: string;
  protected readonly inner: Inner;
  readonly #options: LastGoodOptions;
  readonly #saved: LastGood | null;
  /** Whether the store has answered. */
  #isReached = false;
  protected config: string | null = null;
  #ownNode: OwnNode | null = null;
  /** Our own, which a snapshot may not have yet. */
  protected ownRecord: StoreRecord | null = null;
  #snapshot: StoreSnapshot | null = null;
  #isDirty = false;
  #writeTimer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #touchedAtMs = performance.now();
  #complaint = '';

  protected constructor(inner: Inner, options: LastGoodOptions, saved: LastGood | null) {
    this.description = inner.description;
    this.inner = inner;
    this.#options = options;
    this.#saved = saved;
  }

  protected static async saved(options: LastGoodOptions): Promise<LastGood | null> {
    return readLastGood(options.path).catch((error) => {
      options.say(`the last good snapshot ${options.path} is of no use: ${(error as Error).message}`);
      return null;
    });
  }

  async readConfig(signal?: AbortSignal): Promise<string> {
    const config = await this.reachedOr((either) => this.inner.readConfig(either), 'config', signal);
    if (this.#isReached) this.config = config;
    return config;
  }

  async list(signal?: AbortSignal): Promise<StoreSnapshot> {
    const snapshot = await this.reachedOr((either) => this.inner.list(either), 'snapshot', signal);
    if (this.#isReached) this.#keep(snapshot);
    return snapshot;
  }

  async *watch(
    signal: AbortSignal,
    onTrouble: (error: Error | null) => void = () => {},
  ): AsyncIterable<StoreSnapshot> {
    const iterator = this.inner
      .watch(signal, (error) => {
        if (error === null) this.#touch();
        onTrouble(error);
      })
      [Symbol.asyncIterator]();
    try {
      let next = iterator.next();
      const known = this.#isReached ? this.#snapshot : (this.#saved?.snapshot ?? null);
      const patienceMs = this.#isReached ? PATIENCE_MS : 0;
      if (known && !(await inTime(next, patienceMs))) yield { asOfMs: Date.now(), ...known };
      for (;;) {
        const { value, done } = await next;
        if (done) return;
        this.#isReached = true;
        this.#keep(value);
        yield value;
        next = iterator.next();
      }
    } finally {
      await iterator.return?.();
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#writeTimer);
    await this.inner.close();
    await this.#write();
  }

  /** The store's answer; what is in the file while the store has never answered. */
  protected async reachedOr<Name extends 'config' | 'snapshot' | 'ownNode'>(
    ask: (signal?: AbortSignal) => Promise<Known[Name]>,
    name: Name,
    signal?: AbortSignal,
  ): Promise<Known[Name]> {
    const saved = this.#saved;
    const known = saved?.[name] as Known[Name] | undefined;
    if (this.#isReached || !saved || known === undefined) {
      const answer = await ask(signal);
      this.#isReached = true;
      return answer;
    }
    const patience = AbortSignal.timeout(PATIENCE_MS);
    try {
      const answer = await ask(signal ? AbortSignal.any([signal, patience]) : patience);
      this.#isReached = true;
      return answer;
    } catch (error) {
      signal?.throwIfAborted();
      const isSilent = patience.aborted && !(error instanceof TwillError);
      const isDown = error instanceof TwillError && error.code === 'ERR_TWILL_STORE_UNAVAILABLE';
      if (!isSilent && !isDown) throw error;
      const why = isSilent ? `${this.description} does not answer` : (error as Error).message;
      const since = new Date(saved.snapshot.asOfMs ?? 0).toISOString();
      this.#complain(`${why}; going on with what was known at ${since} (${this.#options.path})`);
      return known;
    }
  }

  protected learn(ownNode: OwnNode): void {
    if (this.#isReached) this.#ownNode = ownNode;
  }

  #keep(snapshot: StoreSnapshot): void {
    this.#snapshot = snapshot;
    this.#isDirty = true;
    this.#writeTimer ??= setTimeout(() => void this.#write(), WRITE_AFTER_MS).unref();
  }

  #touch(): void {
    const nowMs = performance.now();
    if (this.#isDirty || !this.#snapshot || nowMs - this.#touchedAtMs < TOUCH_EACH_MS) return;
    this.#touchedAtMs = nowMs;
    // It is missing only where writing it has failed, and that has been said.
    touchLastGood(this.#options.path).catch(() => {});
  }

  #write(): Promise<void> {
    this.#writeTimer = undefined;
    this.#writing = this.#writing.then(async () => {
      const config = this.config ?? this.#saved?.config;
      const ownNode = this.#ownNode ?? this.#saved?.ownNode;
      if (!this.#isDirty || !this.#snapshot || config === undefined) return;
      this.#isDirty = false;
      try {
        const snapshot = withRecord(this.#snapshot, this.ownRecord);
        const lastGood = { config, snapshot, ...(ownNode && { ownNode }) };
        await writeLastGood(this.#options.path, lastGood);
      } catch (error) {
        const { message } = error as Error;
        this.#complain(`cannot keep the last good snapshot: ${message}; a start needs the store then`);
      }
    });
    return this.#writing;
  }

  /** Once, until there is something else to say. */
  #complain(message: string): void {
    if (message === this.#complaint) return;
    this.#complaint = message;
    this.#options.say(message);
  }
}

type Known = Required<LastGood>;

export class LastGoodStore extends LastGoodSource<Store> implements Store {
  static async open(store: Store, options: LastGoodOptions): Promise<LastGoodStore> {
    return new LastGoodStore(store, options, await LastGoodSource.saved(options));
  }

  create(key: string, value: string, options: PutOptions): Promise<StoreRecord | null> {
    return this.inner.create(key, value, options);
  }
  replace(key: string, revision: string, value: string, options: PutOptions): Promise<StoreRecord | null> {
    return this.inner.replace(key, revision, value, options);
  }
  remove(key: string, revision: string): Promise<boolean> {
    return this.inner.remove(key, revision);
  }
}

export class LastGoodGivingStore extends LastGoodSource<GivingStore> implements GivingStore {
  static async open(store: GivingStore, options: LastGoodOptions): Promise<LastGoodGivingStore> {
    return new LastGoodGivingStore(store, options, await LastGoodSource.saved(options));
  }

  /** It is a file of this host, and says nothing of whether the cluster can be asked. */
  override async readConfig(signal?: AbortSignal): Promise<string> {
    this.config = '';
    return this.inner.readConfig(signal);
  }

  async ownNode(signal?: AbortSignal): Promise<OwnNode> {
    const ownNode = await this.reachedOr((either) => this.inner.ownNode(either), 'ownNode', signal);
    this.learn(ownNode);
    return ownNode;
  }
  async announce(attributes: LeaseAttributes, signal?: AbortSignal): Promise<StoreRecord> {
    this.ownRecord = await this.inner.announce(attributes, signal);
    return this.ownRecord;
  }
  announceUp(signal?: AbortSignal): Promise<void> {
    return this.inner.announceUp(signal);
  }
}

/** With this record too, where its holder has none in the snapshot. */
function withRecord(snapshot: StoreSnapshot, record: StoreRecord | null): StoreSnapshot {
  if (record === null || snapshot.records.some(({ holder }) => holder === record.holder)) return snapshot;
  return { ...snapshot, records: [...snapshot.records, record] };
}

/** Whether it settles within this time; 0: whether it has settled. */
async function inTime(promise: Promise<unknown>, durationMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), durationMs);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}
