/**
 * What the agent asks of a store. A store moves raw records; it never interprets them (lease/codec.ts does), so one bad
 * record cannot hide the others. Keys are those below `subnets/`, e.g. `10.244.1.0-24`; values are lease JSON, byte for byte.
 */

/** One record as the store holds it. */
export interface StoreRecord {
  readonly key: string;
  readonly value: string;
  /** Wall-clock end in milliseconds since the epoch; absent: the record never expires (a reservation). */
  readonly expiresAtMs?: number;
  /** Opaque version of this record, for compare-and-swap. */
  readonly revision: string;
  /** Order of creation within the store; of two claims the older one wins. */
  readonly createdOrder: bigint;
}

/** A record that is there but could not be read (permission, size, not a regular file, not UTF-8). */
export interface UnreadableRecord {
  readonly key: string;
  readonly reason: string;
}

/** A complete view. A partly readable listing is never yielded as complete: an unreadable record is named instead. */
export interface StoreSnapshot {
  readonly records: readonly StoreRecord[];
  readonly unreadable: readonly UnreadableRecord[];
}

export interface PutOptions {
  /** Milliseconds until the record expires; absent: never. */
  readonly ttlMs?: number;
}

export interface Store {
  /** For people: `directory /var/lib/twill`. Never a secret. */
  readonly description: string;
  /** The text of net-conf.json. Throws ERR_TWILL_STORE where it is missing or unreadable. */
  readConfig(signal?: AbortSignal): Promise<string>;
  list(signal?: AbortSignal): Promise<StoreSnapshot>;
  /**
   * Yields the present snapshot first, then a new complete snapshot after each change (several changes may be one).
   * Survives faults of the store by itself (backoff), reporting them through `onTrouble`; ends when `signal` aborts.
   */
  watch(signal: AbortSignal, onTrouble?: (error: Error | null) => void): AsyncIterable<StoreSnapshot>;
  /** Creates atomically; the new record, or null where the key exists. */
  create(key: string, value: string, options: PutOptions): Promise<StoreRecord | null>;
  /** Replaces only if the record still has this revision; the new record, or null where it has changed or gone. */
  replace(key: string, revision: string, value: string, options: PutOptions): Promise<StoreRecord | null>;
  /** Deletes only if the record still has this revision. */
  remove(key: string, revision: string): Promise<boolean>;
  close(): Promise<void>;
}
