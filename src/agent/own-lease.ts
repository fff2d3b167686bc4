/** Our own lease, however we have come to it. */
import type { Lease, LeaseAttributes } from '../lease/lease.js';
import type { StoreSnapshot } from '../store/store.js';

export interface OwnLease {
  readonly lease: Lease;
  /** null: never, for it has no end. */
  readonly renewsAtMs: number | null;
  /** A listing of the store: when our record is not in it as we left it, `keep` looks closer. */
  observe(snapshot: StoreSnapshot): void;
  /** Keeps it until `signal` aborts. Throws ERR_TWILL_LEASE_LOST when our subnet is ours no longer. */
  keep(signal: AbortSignal): Promise<void>;
  /** We have moved: the record is changed to say so, as soon as the store serves. */
  readdress(attributes: LeaseAttributes): void;
  /** We carry our pods' traffic now: whoever waits for that is told. */
  carries?(): void;
}
