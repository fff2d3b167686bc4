/** The lease records of a cluster as flannel's nodes see them, whatever holds them. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Etcd, etcdPrefix } from './etcd.js';

export interface FlannelRecords {
  /** Value by key, below `subnets/`. */
  list(): Promise<ReadonlyMap<string, string>>;
  put(key: string, value: string): Promise<void>;
  remove(key: string): Promise<void>;
}

/** Where the cluster gives each node its subnet: as one of its nodes has them. */
export interface GivenRecords extends FlannelRecords {
  /** The key of what our node was given. */
  given(): Promise<string>;
  /** What our node has said of its VTEPs before. */
  macs(): Promise<{ readonly [family in 4 | 6]: string | null }>;
  /** Tells the cluster that the network of our node works. */
  up(): Promise<void>;
}

export function areGiven(records: FlannelRecords): records is GivenRecords {
  return 'given' in records;
}

/** Those of our directory store, with an end after a day as flannel's have in etcd. */
export class DirectoryRecords implements FlannelRecords {
  readonly #subnets: string;
  readonly #expiry: string;
  readonly #scratch: string;
  static #count = 0;

  constructor(store: string) {
    this.#subnets = join(store, 'subnets');
    this.#expiry = join(store, 'expiry');
    this.#scratch = join(store, '.tmp');
  }

  async list(): Promise<ReadonlyMap<string, string>> {
    const keys = (await readdir(this.#subnets)).filter((key) => !key.startsWith('.'));
    const values = await Promise.all(
      keys.map((key) => readFile(join(this.#subnets, key), 'utf8').catch(() => null)),
    );
    return new Map(keys.flatMap((key, i) => (values[i] ? [[key, values[i]] as const] : [])));
  }

  /** Moved into place, the end first: readers see the old record or the new one, and neither without an end. */
  async put(key: string, value: string): Promise<void> {
    await mkdir(this.#scratch, { recursive: true });
    const fresh = join(this.#scratch, `flannel-${process.pid}-${DirectoryRecords.#count++}`);
    await writeFile(fresh, value);
    await mkdir(this.#expiry, { recursive: true });
    await writeFile(`${fresh}-end`, `${new Date(Date.now() + 86_400_000).toISOString()}\n`);
    await rename(`${fresh}-end`, join(this.#expiry, key));
    await rename(fresh, join(this.#subnets, key));
  }

  remove(key: string): Promise<void> {
    return rm(join(this.#subnets, key), { force: true });
  }
}

/** Those in etcd, read and written by etcdctl: keys with a lease of a day, as flannel's. */
export class EtcdRecords implements FlannelRecords {
  readonly #etcd: Etcd;

  constructor(etcd: Etcd) {
    this.#etcd = etcd;
  }

  async list(): Promise<ReadonlyMap<string, string>> {
    // flannel's listing has no "/" at the end.
    const answer = JSON.parse(await this.#etcd.ctl('get', '--prefix', '-w', 'json', `${etcdPrefix}/subnets`));
    const text = (base64: string) => Buffer.from(base64, 'base64').toString();
    const pairs = (answer.kvs ?? []) as { key: string; value: string }[];
    return new Map(
      pairs.map(({ key, value }) => [text(key).slice(`${etcdPrefix}/subnets/`.length), text(value)]),
    );
  }

  async put(key: string, value: string): Promise<void> {
    await this.#etcd.put(`subnets/${key}`, value, `--lease=${await this.#etcd.grant(86_400)}`);
  }

  remove(key: string): Promise<void> {
    return this.#etcd.remove(`subnets/${key}`);
  }
}
