/**
 * Leases in etcd v3, in flannel's places and flannel's form, so that both can share a cluster:
 *
 *   PREFIX/config                  net-conf.json
 *   PREFIX/subnets/10.244.1.0-24   one lease; it hangs on an etcd lease, or on none (a reservation)
 *
 * A key appears by a transaction that wants it not to be there, and changes by one that wants its revision, so of two
 * nodes that race one wins. A renewal is a new etcd lease, as flannel has it; the old one ends by itself.
 */
import type { EtcdOptions } from '../../config/store-options.js';
import { TwillError } from '../../errors.js';
import { latest } from '../latest.js';
import type { PutOptions, Store, StoreRecord, StoreSnapshot } from '../store.js';
import { EtcdClient } from './client.js';
import { unavailable } from './failure.js';
import { entryOf, type Keys, keysBelow } from './keys.js';
import { LeaseEnds } from './lease-ends.js';
import { COMPARE_EQUAL, COMPARE_MOD_REVISION, COMPARE_VERSION, type KeyValue } from './messages.js';
import { Mirror } from './mirror.js';
import { RANGE, TXN } from './rpc.js';
import { followLeases } from './watch.js';

const LIST_TIMEOUT_MS = 10_000;
const FRESH_MS = 30_000;

export class EtcdStore implements Store {
  readonly description: string;
  readonly #prefix: string;
  readonly #client: EtcdClient;
  readonly #keys: Keys;
  readonly #ends: LeaseEnds;
  #listed: { readonly mirror: Mirror; readonly atMs: number } | null = null;

  constructor(options: EtcdOptions) {
    this.description = `etcd ${options.endpoints.join(',')} ${options.prefix}`;
    this.#prefix = options.prefix;
    this.#client = new EtcdClient(options);
    this.#keys = keysBelow(options.prefix);
    this.#ends = new LeaseEnds(this.#client);
  }

  async readConfig(signal?: AbortSignal): Promise<string> {
    const { kvs } = await this.#client.call(RANGE, { key: this.#keys.config }, { signal });
    const [config] = kvs;
    if (config) return Buffer.from(config.value).toString('utf8');
    const example = `'{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}'`;
    throw new TwillError(
      'ERR_TWILL_STORE_EMPTY',
      `there is no ${this.#prefix}/config in etcd: write the network configuration there, for example etcdctl put ${this.#prefix}/config ${example}`,
    );
  }

  async list(signal?: AbortSignal): Promise<StoreSnapshot> {
    const mirror = await this.#mirror(null, signal);
    this.#listed = { mirror, atMs: performance.now() };
    return mirror.snapshot();
  }

  async *watch(
    signal: AbortSignal,
    onTrouble: (error: Error | null) => void = () => {},
  ): AsyncIterable<StoreSnapshot> {
    const ending = new AbortController();
    const ended = AbortSignal.any([signal, ending.signal]);
    const { changed, values } = latest<Mirror>(ended);
    const start = this.#takeListed();
    const following = followLeases(
      {
        client: this.#client,
        keys: this.#keys,
        start,
        list: (before, aborted) => this.#mirror(before, aborted),
        onChange: changed,
        onTrouble,
      },
      ended,
    );
    try {
      for await (const mirror of values) yield mirror.snapshot();
    } finally {
      ending.abort();
      await following;
    }
  }

  async create(key: string, value: string, { ttlMs }: PutOptions): Promise<StoreRecord | null> {
    return this.#put(key, { target: COMPARE_VERSION }, value, ttlMs);
  }

  async replace(
    key: string,
    revision: string,
    value: string,
    { ttlMs }: PutOptions,
  ): Promise<StoreRecord | null> {
    return this.#put(key, { target: COMPARE_MOD_REVISION, modRevision: BigInt(revision) }, value, ttlMs);
  }

  async remove(key: string, revision: string): Promise<boolean> {
    const at = this.#pathOf(key);
    const { succeeded } = await this.#client.call(TXN, {
      compare: [
        { key: at, result: COMPARE_EQUAL, target: COMPARE_MOD_REVISION, modRevision: BigInt(revision) },
      ],
      success: [{ deleteRange: { key: at } }],
    });
    if (succeeded) this.#listed?.mirror.forget(at);
    return succeeded;
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  /** A listing of just now is as good a start for a watch as another one: events bring what has come since. */
  #takeListed(): Mirror | null {
    const listed = this.#listed;
    this.#listed = null;
    return listed && performance.now() - listed.atMs < FRESH_MS ? listed.mirror : null;
  }

  async #mirror(before: Mirror | null, signal?: AbortSignal): Promise<Mirror> {
    const range = { key: this.#keys.subnets, rangeEnd: this.#keys.subnetsEnd };
    const { header, kvs } = await this.#client.call(RANGE, range, { signal, timeoutMs: LIST_TIMEOUT_MS });
    if (!header) throw unavailable('etcd answers without a header');
    await this.#ends.learn(kvs, { signal });
    return new Mirror({ header, kvs }, this.#keys, (lease) => this.#ends.of(lease), before);
  }

  async #put(
    key: string,
    condition: { readonly target: number; readonly modRevision?: bigint },
    value: string,
    ttlMs: number | undefined,
  ): Promise<StoreRecord | null> {
    const at = this.#pathOf(key);
    const lease = ttlMs === undefined ? 0n : await this.#ends.grant(ttlMs);
    const request = {
      compare: [{ key: at, result: COMPARE_EQUAL, ...condition }],
      success: [{ put: { key: at, value: Buffer.from(value), lease } }, { range: { key: at } }],
      failure: [{ range: { key: at } }],
    };
    const { succeeded, responses } = await this.#client.call(TXN, request).catch(async (error) => {
      // Refused, so surely not done. Else it may have been, and the grant be in use.
      const isRefused = error instanceof TwillError && error.code === 'ERR_TWILL_STORE';
      if (isRefused && lease !== 0n) await this.#ends.revoke(lease);
      throw error;
    });
    const [there] = responses.at(-1)?.range?.kvs ?? [];
    // An attempt of ours may have succeeded and its answer been lost: the lease is nobody else's.
    if (there && (succeeded || (lease !== 0n && there.lease === lease))) return this.#adopt(there);
    if (lease !== 0n) await this.#ends.revoke(lease);
    return null;
  }

  #adopt(kv: KeyValue): StoreRecord {
    this.#ends.own(kv.key);
    this.#listed?.mirror.learn(kv);
    const entry = entryOf(kv, this.#keys, this.#ends.of(kv.lease));
    if ('reason' in entry) throw new TwillError('ERR_TWILL_STORE', `lease ${entry.key}: ${entry.reason}`);
    return entry;
  }

  #pathOf(key: string): Buffer {
    return Buffer.concat([this.#keys.subnets, Buffer.from(key)]);
  }
}
