/**
 * When etcd leases end, of those few that concern us: what we were granted, and what our own keys hang on. Of all the
 * others nobody asks, or a start would cost a request for each node of the cluster.
 */
import type { EtcdClient, RequestOptions } from './client.js';
import { unavailable } from './failure.js';
import type { KeyValue } from './messages.js';
import { LEASE_GRANT, LEASE_REVOKE, LEASE_TIME_TO_LIVE } from './rpc.js';

/** One is in use; the others are of lost races and earlier renewals. */
const MOST_REMEMBERED = 64;

export class LeaseEnds {
  readonly #client: EtcdClient;
  readonly #endsAtMs = new Map<bigint, number>();
  /** Keys that we have written, as Latin-1. */
  readonly #ownKeys = new Set<string>();

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  of(lease: bigint): number | undefined {
    return this.#endsAtMs.get(lease);
  }

  own(key: Uint8Array): void {
    this.#ownKeys.add(Buffer.from(key).toString('latin1'));
  }

  async grant(ttlMs: number): Promise<bigint> {
    // Counted from before the request: better a little early than late.
    const askedAtMs = Date.now();
    const ttlSeconds = BigInt(Math.ceil(ttlMs / 1000));
    const granted = await this.#client.call(LEASE_GRANT, { ttlSeconds });
    if (granted.error !== '') throw unavailable(`etcd grants no lease: ${granted.error}`);
    this.#remember(granted.id, askedAtMs + Number(granted.ttlSeconds) * 1000);
    return granted.id;
  }

  /** Of a grant that nothing hangs on. What cannot be revoked ends by itself. */
  async revoke(lease: bigint): Promise<void> {
    this.#endsAtMs.delete(lease);
    await this.#client.call(LEASE_REVOKE, { id: lease }).catch(() => {});
  }

  /** Asks for those of our own keys that hang on a lease which is not from us: of an earlier run, or another hand's. */
  async learn(kvs: readonly KeyValue[], options: RequestOptions): Promise<void> {
    if (this.#ownKeys.size === 0) return;
    for (const { key, lease } of kvs) {
      if (lease === 0n || this.#endsAtMs.has(lease)) continue;
      if (!this.#ownKeys.has(Buffer.from(key).toString('latin1'))) continue;
      const askedAtMs = Date.now();
      const { ttlSeconds } = await this.#client.call(LEASE_TIME_TO_LIVE, { id: lease }, options);
      this.#remember(lease, askedAtMs + Math.max(Number(ttlSeconds), 0) * 1000);
    }
  }

  #remember(lease: bigint, endsAtMs: number): void {
    this.#endsAtMs.set(lease, endsAtMs);
    const [oldest] = this.#endsAtMs.keys();
    if (this.#endsAtMs.size > MOST_REMEMBERED && oldest !== undefined) this.#endsAtMs.delete(oldest);
  }
}
