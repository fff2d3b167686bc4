/** A store under a watch, as the agent would follow it: what it knows now, and which troubles it has had. */
import type { TestContext } from 'node:test';
import type { EtcdOptions } from '../../src/config/store-options.js';
import { EtcdStore } from '../../src/store/etcd/etcd-store.js';
import type { LeaseSource, Store, StoreSnapshot } from '../../src/store/store.js';
import { until } from './namespaces.js';

export class FollowedStore<Kind extends LeaseSource = Store> {
  readonly store: Kind;
  readonly snapshots: StoreSnapshot[] = [];
  /** Each once: a message, and null when it is over. */
  readonly troubles: (string | null)[] = [];
  readonly #stop = new AbortController();
  readonly #following: Promise<void>;

  constructor(store: Kind) {
    this.store = store;
    this.#following = this.#follow();
  }

  static over(t: TestContext, options: EtcdOptions): FollowedStore {
    const followed = new FollowedStore(new EtcdStore(options));
    t.after(() => followed.close());
    return followed;
  }

  get last(): StoreSnapshot | undefined {
    return this.snapshots.at(-1);
  }
  get keys(): string {
    return (this.last?.records ?? []).map(({ key }) => key).join(' ');
  }
  value(key: string): string | undefined {
    return this.last?.records.find((record) => record.key === key)?.value;
  }
  get trouble(): string | null {
    return this.troubles.at(-1) ?? null;
  }

  async hasKeys(keys: string, withinMs?: number): Promise<void> {
    await until(`leases ${keys}`, async () => this.last !== undefined && this.keys === keys, withinMs);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
    await this.store.close();
  }

  async #follow(): Promise<void> {
    const note = (error: Error | null) => {
      const message = error?.message ?? null;
      if (message !== this.trouble) this.troubles.push(message);
    };
    for await (const snapshot of this.store.watch(this.#stop.signal, note)) this.snapshots.push(snapshot);
  }
}
