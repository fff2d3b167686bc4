/** How we come to our lease: by taking a subnet ourselves, or by being given one. */
import { type AnyStore, givesSubnets, type OwnNode } from '../store/store.js';
import { GivenLease } from './given-lease.js';
import { LeaseHolder, type LeaseTerms } from './lease-holder.js';
import type { OwnLease } from './own-lease.js';

export interface AcquireTerms extends Omit<LeaseTerms, 'store'> {
  readonly store: AnyStore;
  /** Where the store knows nodes by name. */
  readonly ownNode: OwnNode | null;
}

/** Throws as `LeaseHolder.acquire` and `GivenLease.acquire` do. */
export function acquireLease(terms: AcquireTerms, signal: AbortSignal): Promise<OwnLease> {
  const { store, ownNode, ...rest } = terms;
  return givesSubnets(store)
    ? GivenLease.acquire({ ...rest, store, name: ownNode?.name ?? '' }, signal)
    : LeaseHolder.acquire({ ...rest, store }, signal);
}
