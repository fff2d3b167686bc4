/** Leases as a store holds them: raw records, not yet believed. */

/** One of them. */
export interface LeaseRecord {
  /** Below `subnets/`, e.g. `10.244.1.0-24`. */
  readonly key: string;
  /** Lease JSON, byte for byte. */
  readonly value: string;
  /**
   * Wall-clock end in milliseconds since the epoch; absent: the record never expires (a reservation). `Infinity`: it
   * ends, and only the store knows when (etcd takes it out of the listing then).
   */
  readonly expiresAtMs?: number;
  /** Opaque version of this record, for compare-and-swap. */
  readonly revision: string;
  /** Order of creation within the store; of two claims the older one wins. */
  readonly createdOrder: bigint;
  /** The node that holds it, where the store knows nodes by name. */
  readonly holder?: string;
}

/** A record that is there but could not be read (permission, size, not a regular file, not UTF-8). */
export interface UnreadableRecord {
  /** As of a record. */
  readonly key: string;
  /** Why, in words. */
  readonly reason: string;
}

/** A complete listing. One that could not be completed is never handed out; an unreadable record is named instead. */
export interface LeaseListing {
  /** In no order. */
  readonly records: readonly LeaseRecord[];
  /** What is there as well. */
  readonly unreadable: readonly UnreadableRecord[];
  /** Wall clock. Given: it was so then, and the store could not be asked since. */
  readonly asOfMs?: number;
}
