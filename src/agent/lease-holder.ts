/**
 * Our own lease: acquire it, renew it, and notice when it is gone.
 *
 * Everything is a compare-and-swap, so a step that raced with another node does nothing and is thought over again from a
 * fresh listing. Of two overlapping claims the older stands; whoever finds his own to be the newer withdraws it.
 * Identity is the public IP: a record that carries ours is ours, whoever wrote it. A node that moves takes its lease along.
 */
import type { NetConf } from '../config/net-conf.js';
import { TwillError } from '../errors.js';
import { chooseSubnets, compatible, overlap } from '../lease/allocate.js';
import { decodeLease, encodeLeaseValue, leaseKey } from '../lease/codec.js';
import type { Lease, LeaseAttributes, LeaseSubnets } from '../lease/lease.js';
import type { Logger } from '../observe/log.js';
import type { PutOptions, Store, StoreRecord, StoreSnapshot } from '../store/store.js';
import { type Clock, goDuration } from './clock.js';
import { ForeignHand } from './foreign-hand.js';
import {
  decoded,
  ended,
  type OwnRecord,
  olderClaim,
  ownRecords,
  sameNode,
  takenSubnets,
} from './lease-claims.js';
import { Namesakes } from './namesakes.js';
import type { OwnLease } from './own-lease.js';
import { Perseverance } from './perseverance.js';
import { untilServed } from './until-served.js';

export interface LeaseTerms {
  readonly store: Store;
  readonly netConf: NetConf;
  readonly attributes: LeaseAttributes;
  /** What the store said a moment ago, if anybody has asked it: the first attempt goes by it. */
  readonly listing?: StoreSnapshot;
  /** The subnet of an earlier run, from subnet.env. */
  readonly previous: LeaseSubnets | null;
  readonly ttlMs: number;
  /** How long before its end a lease is renewed. Where the lease is too short for it: at half of its life. */
  readonly renewMarginMs: number;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Each lost race means that another node has won one, so even 100 nodes at once are through long before this. */
const mostAttempts = 200;
/** How long a damaged record may take to become whole again before we put ours in its place. */
const halfWrittenMs = 500;
/** A flannel that takes our place on this host writes its MAC: what is ours ends in that time, and must not write over it. */
const SUPPLANTED_WITHIN_MS = 3000;
/** Longest single wait: timers stand still while a machine is suspended, wall clocks do not. */
const longestWaitMs = 60_000;

export class LeaseHolder implements OwnLease {
  readonly #terms: LeaseTerms;
  #attributes: LeaseAttributes;
  #record: StoreRecord;
  #lease: Lease;
  #renewAtMs = 0;
  #toldRenewAtMs = 0;
  readonly #perseverance: Perseverance;
  #doubt = false;
  /** The record says where we were. */
  #isMoved = false;
  readonly #namesakes: Namesakes;
  #wake: () => void = () => {};
  readonly #foreignHand: ForeignHand;

  /** `doubt`: the record is to be looked at afresh as soon as the store serves. */
  private constructor(terms: LeaseTerms, record: StoreRecord, doubt: boolean) {
    this.#terms = terms;
    this.#attributes = terms.attributes;
    this.#namesakes = new Namesakes(terms);
    this.#perseverance = new Perseverance(terms);
    this.#foreignHand = new ForeignHand(terms.logger);
    this.#record = record;
    this.#lease = decodeLease(record);
    this.#doubt = doubt;
    this.#plan();
  }

  /** Throws ERR_TWILL_OUT_OF_SUBNETS, ERR_TWILL_STORE, or what the codec says. */
  static async acquire({ listing: first, ...terms }: LeaseTerms, signal: AbortSignal): Promise<LeaseHolder> {
    let listing = first;
    const attemptOnce = async (): Promise<Taken | null> => {
      const snapshot = listing ?? (await terms.store.list(signal));
      listing = undefined;
      return acquireOnce(terms, snapshot, signal);
    };
    for (let attempt = 1; attempt <= mostAttempts && !signal.aborted; attempt++) {
      const taken = await untilServed(attemptOnce, terms, signal);
      if (taken) return new LeaseHolder(terms, taken.record, taken.isKnownOnly);
      terms.logger.debug({ attempt }, 'lost a race for a subnet, trying again');
      await terms.clock.sleep(terms.random() * Math.min(5 * attempt, 250), signal);
    }
    if (signal.aborted) throw new TwillError('ERR_TWILL_CLOSED', 'stopped while a lease was being acquired');
    const { description } = terms.store;
    const why = `no subnet acquired in ${mostAttempts} attempts: other nodes keep taking them`;
    throw new TwillError('ERR_TWILL_STORE', `${why}; look at the records in ${description}`);
  }

  get lease(): Lease {
    return this.#lease;
  }

  /** null: never, for it has no end. */
  get renewsAtMs(): number | null {
    return this.#record.expiresAtMs === undefined ? null : this.#renewAtMs;
  }

  readdress(attributes: LeaseAttributes): void {
    if (encodeLeaseValue(attributes) === encodeLeaseValue(this.#attributes)) return;
    this.#attributes = attributes;
    this.#isMoved = true;
    this.#wake();
  }

  /** A listing of the store: when our record is not in it as we left it, the keeper looks closer. */
  observe(snapshot: StoreSnapshot): void {
    if (snapshot.asOfMs !== undefined) return;
    const seen = snapshot.records.find(({ key }) => key === this.#record.key);
    if (seen?.revision === this.#record.revision && !this.#doubt) return;
    this.#doubt = true;
    this.#wake();
  }

  /** Renews until `signal` aborts. Throws ERR_TWILL_LEASE_LOST when our subnet belongs to somebody else. */
  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#tellPlan();
      await this.#wait(signal);
      if (signal.aborted) return;
      const { clock } = this.#terms;
      try {
        if (this.#isMoved) await this.#tellMove(signal);
        if (this.#doubt) await this.#confirm(signal);
        if (this.#namesakes.isDue) await this.#namesakes.settle(this.#record.key, this.#attributes, signal);
        if (clock.nowMs() >= this.#renewAtMs) await this.#renew(signal);
        this.#perseverance.succeeded(`lease ${this.#record.key}`);
      } catch (error) {
        if (error instanceof TwillError && error.code === 'ERR_TWILL_LEASE_LOST') throw error;
        if (signal.aborted) return;
        this.#doubt = true;
        await this.#sleep(this.#perseverance.failed(`lease ${this.#record.key}`, error), signal);
      }
    }
  }

  #tellPlan(): void {
    const { clock, logger } = this.#terms;
    const waitMs = this.#renewAtMs - clock.nowMs();
    if (this.#doubt || this.#isMoved || this.#renewAtMs === this.#toldRenewAtMs || !Number.isFinite(waitMs))
      return;
    this.#toldRenewAtMs = this.#renewAtMs;
    logger.info({ key: this.#record.key }, `Waiting for ${goDuration(waitMs)} to renew lease`);
  }

  async #wait(signal: AbortSignal): Promise<void> {
    for (;;) {
      const dueAtMs = Math.min(this.#renewAtMs, this.#namesakes.dueAtMs);
      const remainingMs = dueAtMs - this.#terms.clock.nowMs();
      if (signal.aborted || this.#doubt || this.#isMoved || remainingMs <= 0) return;
      await this.#sleep(Math.min(remainingMs, longestWaitMs), signal);
    }
  }

  /** A listing that we are not as expected in ends it early: the store serves. */
  #sleep(durationMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    return this.#terms.clock.sleep(durationMs, AbortSignal.any([signal, woken.signal]));
  }

  /** What the record says of us besides is renewed with it. */
  async #tellMove(signal: AbortSignal): Promise<void> {
    const { store, ttlMs, logger } = this.#terms;
    const attributes = this.#attributes;
    const { key, revision } = this.#record;
    const life = sameLife(this.#record, ttlMs);
    const record = await store.replace(key, revision, encodeLeaseValue(attributes), life);
    if (record) this.#adopt(record);
    else await this.#confirm(signal);
    // Or we have moved on meanwhile.
    if (attributes !== this.#attributes || signal.aborted) return;
    this.#isMoved = false;
    this.#namesakes.expect();
    logger.info({ key }, `lease ${key} names us at ${attributes.publicIp} now`);
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { store, ttlMs, logger } = this.#terms;
    const { key, revision } = this.#record;
    const record = await store.replace(key, revision, encodeLeaseValue(this.#attributes), { ttlMs });
    if (!record) {
      // Somebody has touched it: find out who, then renew what is ours.
      await this.#confirm(signal);
      if (this.#record.revision === revision && !signal.aborted)
        throw new TwillError('ERR_TWILL_STORE', `lease ${key} refuses renewal`);
      return;
    }
    this.#adopt(record);
    this.#foreignHand.renewed();
    logger.info({ key }, `Lease renewed, new expiration: ${timeText(record)}`);
  }

  /** Asks the store afresh whether our record still is ours, and puts it back where it is gone. */
  async #confirm(signal: AbortSignal): Promise<void> {
    const { store, clock, logger, ttlMs } = this.#terms;
    const value = encodeLeaseValue(this.#attributes);
    // Until the record says where we are now, the one that says where we were is ours as well.
    const isOurs = (node: LeaseAttributes) =>
      sameNode(node, this.#attributes) || (this.#isMoved && sameNode(node, this.#lease.attributes));
    let isHalfWritten = false;
    let isSeenAgain = false;
    for (let attempt = 0; attempt < 10 && !signal.aborted; attempt++) {
      this.#doubt = false; // before the listing: what is observed from here on counts again
      const snapshot = await store.list(signal);
      if (snapshot.asOfMs !== undefined) throw unavailable(`${store.description} has not answered yet`);
      const { key } = this.#record;
      const there = snapshot.records.find((record) => record.key === key);
      const claim = there && decoded(there);
      if (there && claim && isOurs(claim.attributes) && !ended(there, clock.nowMs())) {
        this.#adopt(there);
        if (there.value === value) return;
        const answer = this.#isMoved ? 'write' : this.#foreignHand.answer(there, isSeenAgain);
        if (answer === 'leave') return;
        if (answer === 'wait') {
          isSeenAgain = true;
          await clock.sleep(SUPPLANTED_WITHIN_MS, signal);
          continue;
        }
        const mended = await store.replace(key, there.revision, value, sameLife(there, ttlMs));
        return mended ? this.#adopt(mended) : undefined;
      }
      if (there && claim && !isOurs(claim.attributes) && !ended(there, clock.nowMs())) {
        throw lost(key, `it is now held by node ${claim.attributes.publicIp}`);
      }
      const rival = this.#rival(snapshot);
      if (rival) throw lost(key, `lease ${rival} now covers it`);
      // Somebody may be in the middle of writing it.
      const isDamaged = (there && !claim) || snapshot.unreadable.some((unreadable) => unreadable.key === key);
      if (isDamaged && !isHalfWritten) {
        isHalfWritten = true;
        await clock.sleep(halfWrittenMs, signal);
        continue;
      }
      // Gone, ended or damaged, and nobody else's.
      const state = there ? (claim ? 'has ended' : 'is damaged') : 'was removed';
      logger.warn({ key }, `lease ${key} ${state}: putting it back`);
      const record = there
        ? await store.replace(key, there.revision, value, sameLife(there, ttlMs))
        : await store.create(key, value, { ttlMs });
      if (record) return this.#adopt(record);
    }
    if (!signal.aborted) throw new TwillError('ERR_TWILL_STORE', `lease ${this.#record.key} keeps changing`);
  }

  /** The key of a live claim of another on our subnet. */
  #rival(snapshot: StoreSnapshot): string | null {
    const nowMs = this.#terms.clock.nowMs();
    const rival = snapshot.records.find((record) => {
      const lease = record.key === this.#record.key || ended(record, nowMs) ? null : decoded(record);
      return lease !== null && overlap(lease.subnets, this.#lease.subnets);
    });
    return rival?.key ?? null;
  }

  #adopt(record: StoreRecord): void {
    this.#record = record;
    this.#lease = decodeLease(record);
    this.#plan();
  }

  /**
   * A reservation has no end, hence no renewal; what ends at a time that we do not know is renewed at once. Never more
   * often than each second, whatever the store says.
   */
  #plan(): void {
    const { clock, renewMarginMs, ttlMs } = this.#terms;
    const { expiresAtMs = Number.POSITIVE_INFINITY } = this.#record;
    const isUnknown = this.#record.expiresAtMs === Number.POSITIVE_INFINITY;
    const wantedMs = isUnknown ? 0 : expiresAtMs - Math.min(renewMarginMs, ttlMs / 2);
    this.#renewAtMs = Math.max(wantedMs, clock.nowMs() + Math.min(1000, ttlMs / 4));
  }
}

interface Taken {
  readonly record: StoreRecord;
  /** Only known from earlier: the store could not be asked. */
  readonly isKnownOnly: boolean;
}

/** One attempt; null where a race was lost. */
async function acquireOnce(
  terms: LeaseTerms,
  snapshot: StoreSnapshot,
  signal: AbortSignal,
): Promise<Taken | null> {
  const { store, netConf, attributes, clock, logger, ttlMs, random } = terms;
  const value = encodeLeaseValue(attributes);
  const own = ownRecords(snapshot, attributes);
  if (snapshot.asOfMs !== undefined) return fromMemory(own, terms);
  for (const { record, lease } of own) {
    const rival = olderClaim(snapshot, record, clock.nowMs());
    if (!rival && compatible(netConf, lease.subnets)) {
      logger.info(
        { key: record.key },
        `Found lease (${record.key}) for current IP (${attributes.publicIp}), reusing`,
      );
      return taken(await store.replace(record.key, record.revision, value, sameLife(record, ttlMs)));
    }
    const why = rival ? `overlaps the older ${rival.key}` : 'does not fit the network configuration';
    logger.warn({ key: record.key }, `lease ${record.key} is ours but ${why}: removing it`);
    if (!(await store.remove(record.key, record.revision))) return null;
  }
  const nowMs = clock.nowMs();
  const others = takenSubnets(snapshot, nowMs, new Set(own.map(({ record }) => record.key)));
  const subnets = chooseSubnets(netConf, others, terms.previous, random);
  const key = leaseKey(subnets);
  const old = snapshot.records.find((record) => record.key === key && ended(record, nowMs));
  if (old) await store.remove(key, old.revision);
  const record = await store.create(key, value, { ttlMs });
  if (!record) return null;
  // Keys of different shape may cover the same addresses, so a created key alone proves nothing.
  const rival = olderClaim(await store.list(signal), record, clock.nowMs());
  if (!rival) {
    logger.info({ key }, `Allocated lease (${key}) to current node (${attributes.publicIp})`);
    return taken(record);
  }
  await store.remove(key, record.revision);
  return null;
}

function taken(record: StoreRecord | null): Taken | null {
  return record && { record, isKnownOnly: false };
}

/** While the store cannot be asked, the lease that we had is the best we can have. */
function fromMemory(own: readonly OwnRecord[], { netConf, logger, store }: LeaseTerms): Taken {
  const known = own.find(({ lease }) => compatible(netConf, lease.subnets));
  if (!known) throw unavailable(`${store.description} has not answered yet, and no lease of ours is known`);
  const { record } = known;
  logger.warn(
    { key: record.key },
    `going on with lease ${record.key}, which was ours when the store last answered`,
  );
  return { record, isKnownOnly: true };
}

/** A reservation stays one. */
function sameLife({ expiresAtMs }: StoreRecord, ttlMs: number): PutOptions {
  return expiresAtMs === undefined ? {} : { ttlMs };
}

function unavailable(why: string): TwillError {
  return new TwillError('ERR_TWILL_STORE_UNAVAILABLE', why);
}

function lost(key: string, why: string): TwillError {
  const fix = 'stop that node or give this one a public IP of its own, then start again';
  return new TwillError('ERR_TWILL_LEASE_LOST', `our lease ${key} is lost: ${why}; ${fix}`);
}

function timeText({ expiresAtMs }: StoreRecord): string {
  if (expiresAtMs === undefined) return 'never';
  return Number.isFinite(expiresAtMs) ? new Date(expiresAtMs).toISOString() : 'not known';
}
