/**
 * What the agent asks of a store. A store moves raw records; it never interprets them (lease/codec.ts does), so one bad
 * record cannot hide the others. Keys are those below `subnets/`, e.g. `10.244.1.0-24`; values are lease JSON, byte for byte.
 */

import type { LeaseListing, LeaseRecord } from '../lease/record.js';

export type StoreRecord = LeaseRecord;
export type StoreSnapshot = LeaseListing;

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
   * Yields a snapshot first, the present one or that of a recent `list`, then a new complete snapshot after each change
   * (several changes may be one).
   * Survives faults of the store by itself (backoff), reporting them through `onTrouble`, and null whenever it knows
   * itself to be up to date; ends when `signal` aborts.
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
