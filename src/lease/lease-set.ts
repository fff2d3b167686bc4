/**
 * The leases in force, from complete listings of a store. Each record stands or falls alone:
 *
 * - a record that cannot be read, decoded or allowed is quarantined under its key; where that key held a good lease
 *   before, the good one stays in force until it ends;
 * - of two that claim the same range, public IP or VTEP MAC the one in force wins, else the older: a newcomer takes
 *   nothing from a living peer;
 * - a listing that lacks more than half of the leases is kept in suspense until a later one agrees. It is far more
 *   often a fault of the store than a wish.
 */
import { Claims } from './claims.js';
import { decodeLease, encodeLeaseValue, leaseKey } from './codec.js';
import type { Lease } from './lease.js';
import type { LeaseListing, LeaseRecord } from './record.js';
import { type LeaseContext, refusal } from './validate.js';

export interface LeaseSetChange {
  readonly added: readonly Lease[];
  /** Same key, other content. A renewal is no change. */
  readonly changed: readonly Lease[];
  readonly removed: readonly Lease[];
  /** Nothing was applied: the listing lacks too much to be believed at once. */
  readonly held: boolean;
}

/** A set smaller than this may shrink at once. */
const LEAST_TO_HOLD = 4;
/** How old a suspicion must be for a second listing to confirm it. Less than what the agent waits before it asks. */
const CONFIRM_AFTER_MS = 1500;

interface Claimant {
  readonly lease: Lease;
  readonly createdOrder: bigint;
  /** What the lease says, in one spelling. */
  readonly content: string;
}

/** A record, judged for itself. */
type Judged = Claimant | { readonly lease: Lease | null; readonly refused: string };

export class LeaseSet {
  readonly #context: LeaseContext;
  readonly #ownKey: string | null;
  /** Stores hand out the same object while a record stays as it is: of 10,000, few are judged anew at a change. */
  readonly #judged = new WeakMap<LeaseRecord, Judged>();
  #inForce = new Map<string, Claimant>();
  #quarantined: readonly { readonly key: string; readonly reason: string }[] = [];
  #held = 0;
  #suspectSinceMs: number | null = null;

  constructor(context: LeaseContext) {
    this.#context = context;
    this.#ownKey = context.ownSubnets ? leaseKey(context.ownSubnets) : null;
  }

  get leases(): Lease[] {
    return [...this.#inForce.values()].map(({ lease }) => lease);
  }
  get quarantined(): readonly { readonly key: string; readonly reason: string }[] {
    return this.#quarantined;
  }
  /** Leases in force that the last listing lacked. */
  get held(): number {
    return this.#held;
  }

  apply(snapshot: LeaseListing, nowMs: number): LeaseSetChange {
    const quarantined: { key: string; reason: string }[] = [];
    const claimants = this.#claimants(snapshot, nowMs, quarantined);
    const next = this.#settle(claimants, quarantined);

    const removed = [...this.#inForce.values()].flatMap(({ lease }) => (next.has(lease.key) ? [] : [lease]));
    if (this.#isSuspect(removed.length, nowMs)) {
      this.#held = removed.length;
      return { added: [], changed: [], removed: [], held: true };
    }
    this.#suspectSinceMs = null;
    this.#held = 0;
    const added: Lease[] = [];
    const changed: Lease[] = [];
    for (const { lease, content } of next.values()) {
      const before = this.#inForce.get(lease.key);
      if (!before) added.push(lease);
      else if (before.content !== content) changed.push(lease);
    }
    this.#inForce = next;
    this.#quarantined = quarantined;
    return { added, changed, removed, held: false };
  }

  /** What the listing offers: its good records, and the last good state of its bad ones. */
  #claimants(
    { records, unreadable }: LeaseListing,
    nowMs: number,
    quarantined: { key: string; reason: string }[],
  ): Claimant[] {
    const claimants: Claimant[] = [];
    const refuse = (key: string, reason: string, holder?: string) => {
      if (key === this.#ownKey) return;
      const why = ofNode(holder, reason);
      const good = this.#inForce.get(key);
      const lives = good && !hasEnded(good.lease, nowMs);
      if (lives) claimants.push(good);
      quarantined.push({ key, reason: lives ? `${why} (its last good lease stays in force)` : why });
    };
    for (const { key, reason } of unreadable) refuse(key, reason);
    for (const record of records) {
      if (record.key === this.#ownKey) continue;
      const judged = this.#judge(record);
      if (judged.lease && hasEnded(judged.lease, nowMs)) continue;
      if ('refused' in judged) refuse(record.key, judged.refused, record.holder);
      else claimants.push(judged);
    }
    return claimants;
  }

  #judge(record: LeaseRecord): Judged {
    const known = this.#judged.get(record);
    if (known) return known;
    const judged = judge(record, this.#context);
    this.#judged.set(record, judged);
    return judged;
  }

  /** Those of the claimants that take nothing from one with a better right. */
  #settle(claimants: Claimant[], quarantined: { key: string; reason: string }[]): Map<string, Claimant> {
    const isIncumbent = ({ lease, content }: Claimant): boolean =>
      this.#inForce.get(lease.key)?.content === content;
    const ranked = claimants.map((claimant) => ({ claimant, rank: isIncumbent(claimant) ? 0 : 1 }));
    ranked.sort((a, b) => a.rank - b.rank || byAge(a.claimant, b.claimant));
    const claims = new Claims(claimants.map(({ lease }) => lease));
    const settled = new Map<string, Claimant>();
    for (const { claimant } of ranked) {
      const { key } = claimant.lease;
      const refused = claims.claim(claimant.lease);
      if (refused === null) {
        settled.set(key, claimant);
        continue;
      }
      const why = ofNode(claimant.lease.holder, refused);
      // A living peer whose record now reaches for what is another's keeps what it had.
      const before = this.#inForce.get(key);
      const keeps = before !== undefined && claims.claim(before.lease) === null;
      if (keeps) settled.set(key, before);
      quarantined.push({ key, reason: keeps ? `${why} (its last good lease stays in force)` : why });
    }
    return settled;
  }

  #isSuspect(removedCount: number, nowMs: number): boolean {
    const before = this.#inForce.size;
    if (before < LEAST_TO_HOLD || removedCount * 2 <= before) return false;
    this.#suspectSinceMs ??= nowMs;
    const ageMs = nowMs - this.#suspectSinceMs;
    // A clock set back must not keep it in suspense for ever.
    return ageMs >= 0 && ageMs < CONFIRM_AFTER_MS;
  }
}

function judge(record: LeaseRecord, context: LeaseContext): Judged {
  let lease: Lease;
  try {
    lease = decodeLease(record);
  } catch (error) {
    return { lease: null, refused: (error as Error).message };
  }
  const why = refusal(lease, context);
  if (why !== null) return { lease, refused: why };
  return { lease, createdOrder: record.createdOrder, content: encodeLeaseValue(lease.attributes) };
}

/** Says whose it is, where that is known. */
export function ofNode(holder: string | undefined, reason: string): string {
  return holder === undefined ? reason : `node ${holder}: ${reason}`;
}

function hasEnded({ expiresAtMs }: Lease, nowMs: number): boolean {
  return expiresAtMs !== undefined && expiresAtMs <= nowMs;
}

function byAge(a: Claimant, b: Claimant): number {
  if (a.createdOrder !== b.createdOrder) return a.createdOrder < b.createdOrder ? -1 : 1;
  return a.lease.key < b.lease.key ? -1 : 1;
}
