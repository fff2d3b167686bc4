/**
 * Our own lease where the cluster gives it: the subnet is what the node was given, and we say how it is reached. What we
 * have said is said again whenever it is not there, for example after the node has been registered anew. A subnet that is
 * another one then cannot be taken up under running pods: that ends us, and the next start has it.
 */
import type { NetConf } from '../config/net-conf.js';
import { TwillError } from '../errors.js';
import { decodeLease, encodeLeaseValue } from '../lease/codec.js';
import type { Lease, LeaseAttributes } from '../lease/lease.js';
import type { Logger } from '../observe/log.js';
import type { GivingStore, StoreRecord, StoreSnapshot } from '../store/store.js';
import type { Clock } from './clock.js';
import type { OwnLease } from './own-lease.js';
import { Perseverance } from './perseverance.js';
import { untilServed } from './until-served.js';

export interface GivenLeaseTerms {
  readonly store: GivingStore;
  /** Our node's. */
  readonly name: string;
  readonly netConf: NetConf;
  readonly attributes: LeaseAttributes;
  /** What the store said a moment ago, if anybody has asked it. */
  readonly listing?: StoreSnapshot;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

const leastBetweenMs = 1000;

export class GivenLease implements OwnLease {
  readonly #terms: GivenLeaseTerms;
  #attributes: LeaseAttributes;
  #said: LeaseAttributes;
  #record: StoreRecord;
  #lease: Lease;
  /** What is to be said, or said again. */
  #doubt: boolean;
  #isUpUnsaid = false;
  #carries = false;
  #seenRevision: string | undefined;
  readonly #perseverance: Perseverance;
  #wake: () => void = () => {};

  private constructor(terms: GivenLeaseTerms, record: StoreRecord, doubt: boolean) {
    this.#terms = terms;
    this.#perseverance = new Perseverance(terms);
    this.#attributes = this.#said = terms.attributes;
    this.#record = record;
    this.#lease = decodeLease(record);
    this.#doubt = doubt;
  }

  /** Waits while the node has no subnet. Throws ERR_TWILL_CONFIG where the subnet is none of the overlay network. */
  static async acquire(terms: GivenLeaseTerms, signal: AbortSignal): Promise<GivenLease> {
    const { store, attributes, netConf, name, logger } = terms;
    let first = terms.listing;
    const once = async () => {
      const listing = first ?? (await store.list(signal));
      first = undefined;
      if (listing.asOfMs === undefined)
        return { record: await store.announce(attributes, signal), isKnownOnly: false };
      const record = listing.records.find(({ holder }) => holder === name);
      if (record) return { record, isKnownOnly: true };
      throw new TwillError(
        'ERR_TWILL_STORE_UNAVAILABLE',
        `${store.description} has not answered yet, and the subnet of node ${name} is not known`,
      );
    };
    const { record, isKnownOnly } = await untilServed(once, terms, signal);
    const lease = new GivenLease(terms, record, isKnownOnly);
    checkSubnets(lease.lease, netConf, name);
    if (isKnownOnly)
      logger.warn(
        { key: record.key },
        `going on with ${record.key}, which was ours when the store last answered`,
      );
    else logger.info({ key: record.key }, `Lease ${record.key} is that of node ${name}`);
    return lease;
  }

  get lease(): Lease {
    return this.#lease;
  }

  get renewsAtMs(): null {
    return null;
  }

  observe({ records, asOfMs }: StoreSnapshot): void {
    if (asOfMs !== undefined) return;
    const seen = records.find(({ holder }) => holder === this.#terms.name)?.revision;
    // That somebody else has changed is no reason to ask again.
    if (seen === this.#seenRevision) return;
    this.#seenRevision = seen;
    if (seen === this.#record.revision) return;
    this.#doubt = true;
    this.#wake();
  }

  readdress(attributes: LeaseAttributes): void {
    if (encodeLeaseValue(attributes) === encodeLeaseValue(this.#attributes)) return;
    this.#attributes = attributes;
    this.#doubt = true;
    this.#wake();
  }

  carries(): void {
    if (this.#carries) return;
    this.#carries = true;
    this.#isUpUnsaid = true;
    this.#wake();
  }

  async keep(signal: AbortSignal): Promise<void> {
    const what = `what node ${this.#terms.name} says of itself`;
    while (!signal.aborted) {
      if (!this.#doubt && !this.#isUpUnsaid) {
        await this.#sleep(Number.POSITIVE_INFINITY, signal);
        continue;
      }
      try {
        if (this.#doubt) await this.#sayAgain(signal);
        if (this.#isUpUnsaid) await this.#sayUp(signal);
        this.#perseverance.succeeded(what);
      } catch (error) {
        if (error instanceof TwillError && error.code === 'ERR_TWILL_LEASE_LOST') throw error;
        if (signal.aborted) return;
        await this.#sleep(this.#perseverance.failed(what, error), signal);
      }
    }
  }

  async #sayAgain(signal: AbortSignal): Promise<void> {
    const { store, logger, name } = this.#terms;
    const attributes = this.#attributes;
    this.#doubt = false; // before it is looked at: what is observed from here on counts again
    let record: StoreRecord;
    try {
      record = await store.announce(attributes, signal);
    } catch (error) {
      this.#doubt = true;
      throw error;
    }
    const { key } = this.#record;
    if (record.key !== key) throw given(name, key, record.key);
    if (record.revision === this.#record.revision) return;
    const isMove = attributes !== this.#said;
    const what = isMove
      ? `is at ${attributes.publicIp} now: it says so`
      : 'has been written anew: it says again how it is reached';
    logger.info({ key }, `node ${name} ${what}`);
    this.#said = attributes;
    this.#record = record;
    this.#lease = decodeLease(record);
    // Another hand that is as stubborn as we are shall not make a storm of it.
    await this.#terms.clock.sleep(leastBetweenMs, signal);
    // A node that was registered anew has lost that, too.
    this.#isUpUnsaid = this.#carries;
  }

  async #sayUp(signal: AbortSignal): Promise<void> {
    this.#isUpUnsaid = false;
    try {
      await this.#terms.store.announceUp(signal);
    } catch (error) {
      this.#isUpUnsaid = true;
      throw error;
    }
  }

  /** Something to say ends it early. */
  #sleep(durationMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    return this.#terms.clock.sleep(durationMs, AbortSignal.any([signal, woken.signal]));
  }
}

/** Throws ERR_TWILL_CONFIG. */
function checkSubnets({ subnets }: Lease, netConf: NetConf, name: string): void {
  for (const family of ['v4', 'v6'] as const) {
    const range = netConf[family];
    if (!range) continue;
    const subnet = subnets[family];
    const which = family === 'v4' ? 'IPv4' : 'IPv6';
    const field = family === 'v4' ? 'Network' : 'IPv6Network';
    if (!subnet)
      throw new TwillError(
        'ERR_TWILL_CONFIG',
        `node ${name} has no ${which} PodCIDR, and the network configuration enables ${which}: the cluster must be of both families, or Enable${which} be false`,
      );
    if (!range.network.contains(subnet))
      throw new TwillError(
        'ERR_TWILL_CONFIG',
        `PodCIDR ${subnet} of node ${name} lies outside ${field} ${range.network}: let net-conf.json and --cluster-cidr of kube-controller-manager agree`,
      );
  }
}

function given(name: string, before: string, now: string): TwillError {
  const why = `the cluster gives node ${name} another subnet: ${now}`;
  return new TwillError('ERR_TWILL_LEASE_LOST', `our lease ${before} is lost: ${why}; a new start takes it`);
}
