/**
 * What the agent asks of a store. A store moves raw records; it never interprets them (lease/codec.ts does), so one bad
 * record cannot hide the others. Keys are those below `subnets/`, e.g. `10.244.1.0-24`; values are lease JSON, byte for byte.
 *
 * There are two kinds: in a `Store` nodes take subnets by themselves, a `GivingStore` belongs to a cluster that gives each
 * node its own.
 */

import type { LeaseAttributes } from '../lease/lease.js';
import type { LeaseListing, LeaseRecord } from '../lease/record.js';
import type { IpAddress } from '../net/ip.js';

export type { LeaseListing, LeaseRecord, UnreadableRecord } from '../lease/record.js';

/** One lease as it is kept. */
export type StoreRecord = LeaseRecord;
/** All leases at one moment. */
export type StoreSnapshot = LeaseListing;

/** How a record is written. */
export interface PutOptions {
  /** Milliseconds until the record expires; absent: never. */
  readonly ttlMs?: number;
}

/** What both kinds can. */
export interface LeaseSource {
  /** For people: `directory /var/lib/twill`. Never a secret. */
  readonly description: string;
  /** The text of net-conf.json. Throws ERR_TWILL_STORE where it is missing or unreadable. */
  readConfig(signal?: AbortSignal): Promise<string>;
  /** All records now. Throws ERR_TWILL_STORE, or _STORE_UNAVAILABLE where asking again may help. */
  list(signal?: AbortSignal): Promise<StoreSnapshot>;
  /**
   * Yields a snapshot first, the present one or that of a recent `list`, then a new complete snapshot after each change
   * (several changes may be one).
   * Survives faults of the store by itself (backoff), reporting them through `onTrouble`, and null whenever it knows
   * itself to be up to date; ends when `signal` aborts.
   */
  watch(signal: AbortSignal, onTrouble?: (error: Error | null) => void): AsyncIterable<StoreSnapshot>;
  /** Gives back what it holds of the system. A second call does nothing. */
  close(): Promise<void>;
}

/** A store in which nodes take subnets by themselves. */
export interface Store extends LeaseSource {
  /** Creates atomically; the new record, or null where the key exists. */
  create(key: string, value: string, options: PutOptions): Promise<StoreRecord | null>;
  /** Replaces only if the record still has this revision; the new record, or null where it has changed or gone. */
  replace(key: string, revision: string, value: string, options: PutOptions): Promise<StoreRecord | null>;
  /** Deletes only if the record still has this revision. */
  remove(key: string, revision: string): Promise<boolean>;
}

/** Our node as its cluster knows it. */
export interface OwnNode {
  readonly name: string;
  /** What the cluster's operator has decided of the addresses that we advertise. */
  readonly publicIp?: IpAddress;
  readonly publicIpv6?: IpAddress;
}

export interface GivingStore extends LeaseSource {
  /** Throws ERR_TWILL_STORE, or _STORE_UNAVAILABLE where asking again may help. */
  ownNode(signal?: AbortSignal): Promise<OwnNode>;
  /**
   * Writes down how our node is reached, where that is not what stands there; our record as it is then. Throws
   * ERR_TWILL_STORE_EMPTY while the node has no subnet or is not there, and as `ownNode` does.
   */
  announce(attributes: LeaseAttributes, signal?: AbortSignal): Promise<StoreRecord>;
  /** Tells the cluster that the node carries its pods' traffic. Throws as `ownNode` does. */
  announceUp(signal?: AbortSignal): Promise<void>;
}

/** A store of either kind. */
export type AnyStore = Store | GivingStore;

export function givesSubnets(store: AnyStore): store is GivingStore {
  return 'announce' in store;
}
