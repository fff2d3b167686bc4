/**
 * A store that remembers: what it last said is kept in a file, and stands in for it while it cannot be reached at a
 * start. Once it has answered, the file is only written. What comes from the file says so by its `asOfMs`.
 */
import { TwillError } from '../errors.js';
import { type LastGood, readLastGood, touchLastGood, writeLastGood } from './last-good-file.js';
import type { PutOptions, Store, StoreRecord, StoreSnapshot } from './store.js';

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

export class LastGoodStore implements Store {
  readonly description: string;
  readonly #store: Store;
  readonly #options: LastGoodOptions;
  readonly #saved: LastGood | null;
  /** Whether the store has answered. */
  #isReached = false;
  #config: string | null = null;
  #snapshot: StoreSnapshot | null = null;
  #isDirty = false;
  #writeTimer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #touchedAtMs = performance.now();
  #complaint = '';

  private constructor(store: Store, options: LastGoodOptions, saved: LastGood | null) {
    this.description = store.description;
    this.#store = store;
    this.#options = options;
    this.#saved = saved;
  }

  static async open(store: Store, options: LastGoodOptions): Promise<LastGoodStore> {
    const saved = await readLastGood(options.path).catch((error) => {
      options.say(`the last good snapshot ${options.path} is of no use: ${(error as Error).message}`);
      return null;
    });
    return new LastGoodStore(store, options, saved);
  }

  async readConfig(signal?: AbortSignal): Promise<string> {
    const config = await this.#reachedOr((either) => this.#store.readConfig(either), 'config', signal);
    if (this.#isReached) this.#config = config;
    return config;
  }

  async list(signal?: AbortSignal): Promise<StoreSnapshot> {
    const snapshot = await this.#reachedOr((either) => this.#store.list(either), 'snapshot', signal);
    if (this.#isReached) this.#keep(snapshot);
    return snapshot;
  }

  async *watch(
    signal: AbortSignal,
    onTrouble: (error: Error | null) => void = () => {},
  ): AsyncIterable<StoreSnapshot> {
    const iterator = this.#store
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

  create(key: string, value: string, options: PutOptions): Promise<StoreRecord | null> {
    return this.#store.create(key, value, options);
  }
  replace(key: string, revision: string, value: string, options: PutOptions): Promise<StoreRecord | null> {
    return this.#store.replace(key, revision, value, options);
  }
  remove(key: string, revision: string): Promise<boolean> {
    return this.#store.remove(key, revision);
  }

  async close(): Promise<void> {
    clearTimeout(this.#writeTimer);
    await this.#store.close();
    await this.#write();
  }

  /** The store's answer; what is in the file while the store has never answered. */
  async #reachedOr<Name extends 'config' | 'snapshot'>(
    ask: (signal?: AbortSignal) => Promise<LastGood[Name]>,
    name: Name,
    signal?: AbortSignal,
  ): Promise<LastGood[Name]> {
    const saved = this.#saved;
    if (this.#isReached || !saved) {
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
      return saved[name];
    }
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
      const config = this.#config ?? this.#saved?.config;
      if (!this.#isDirty || !this.#snapshot || config === undefined) return;
      this.#isDirty = false;
      try {
        await writeLastGood(this.#options.path, { config, snapshot: this.#snapshot });
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
