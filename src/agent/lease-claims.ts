/** What a snapshot of the store says about subnets: which are taken, and by whom. Pure. */

import { overlap } from '../lease/allocate.js';
import { decodeLease, parseLeaseKey } from '../lease/codec.js';
import type { Lease, LeaseSubnets } from '../lease/lease.js';
import type { IpAddress } from '../net/ip.js';
import type { StoreRecord, StoreSnapshot } from '../store/store.js';

/** Who a node is: its name, where the store knows nodes by name; else its public IP (IPv4; where that is unspecified, IPv6). */
export interface NodeIdentity {
  readonly publicIp: IpAddress;
  readonly publicIpv6: IpAddress | null;
  readonly name?: string;
}

export interface OwnRecord {
  readonly record: StoreRecord;
  readonly lease: Lease;
}

/** The records that carry our identity, oldest first. Ended ones too: a restart after the end finds its subnet again. */
export function ownRecords(snapshot: StoreSnapshot, identity: NodeIdentity): OwnRecord[] {
  const own = snapshot.records.flatMap((record) => {
    const lease = decoded(record);
    return lease && isOfNode(lease, identity) ? [{ record, lease }] : [];
  });
  return own.sort((a, b) => (a.record.createdOrder < b.record.createdOrder ? -1 : 1));
}

/**
 * Subnets that somebody else claims now. A record counts by its key alone: one whose value is damaged or unreadable still
 * belongs to somebody who will mend it.
 */
export function takenSubnets(
  snapshot: StoreSnapshot,
  nowMs: number,
  ownKeys: ReadonlySet<string>,
): LeaseSubnets[] {
  const live = snapshot.records.filter((record) => !ended(record, nowMs));
  const keys = [...live, ...snapshot.unreadable].map(({ key }) => key).filter((key) => !ownKeys.has(key));
  return keys.flatMap((key) => subnetsOf(key) ?? []);
}

/** The live record of another that overlaps `subnets` and is older than `order`, if any: it has the better claim. */
export function olderClaim(snapshot: StoreSnapshot, own: StoreRecord, nowMs: number): StoreRecord | null {
  const subnets = subnetsOf(own.key);
  const claims = snapshot.records.filter((record) => {
    if (record.key === own.key || ended(record, nowMs) || record.createdOrder > own.createdOrder)
      return false;
    const theirs = subnetsOf(record.key);
    return subnets !== null && theirs !== null && overlap(subnets, theirs);
  });
  return claims[0] ?? null;
}

export function ended(record: StoreRecord, nowMs: number): boolean {
  return record.expiresAtMs !== undefined && record.expiresAtMs <= nowMs;
}

export function decoded(record: StoreRecord): Lease | null {
  try {
    return decodeLease(record);
  } catch {
    return null;
  }
}

export function isOfNode({ holder, attributes }: Lease, identity: NodeIdentity): boolean {
  return identity.name === undefined ? sameNode(attributes, identity) : holder === identity.name;
}

export function sameNode(a: NodeIdentity, b: NodeIdentity): boolean {
  if (!b.publicIp.isUnspecified) return a.publicIp.equals(b.publicIp);
  return a.publicIp.isUnspecified && a.publicIpv6 !== null && b.publicIpv6?.equals(a.publicIpv6) === true;
}

function subnetsOf(key: string): LeaseSubnets | null {
  try {
    return parseLeaseKey(key);
  } catch {
    return null;
  }
}
