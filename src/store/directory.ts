/**
 * Leases as files, for one machine or a shared file system, readable and editable by hand:
 *
 *   PATH/config                  net-conf.json
 *   PATH/subnets/10.244.1.0-24   one lease, the JSON that etcd would hold
 *   PATH/expiry/10.244.1.0-24    when it ends (RFC 3339); no file: never
 *   PATH/.lock, PATH/.tmp/       ours
 *
 * A record appears by link(2), which fails where the name exists: of nodes that race for a subnet one wins, whatever
 * else goes wrong. Changes are a compare and a rename under flock(2). Names that begin with "." are not records.
 *
 * An expiry counts only if it is not older than its record. So what a hand writes or edits lasts until a hand removes
 * it or its owner renews it, even over what an earlier lease of that name left behind. The age of a claim is its file's
 * mtime, which our own writes preserve.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TwillError } from '../errors.js';
import { loadNative } from '../native/binding.js';
import { guard } from '../native/errors.js';
import { watchDirectories } from './directory-watch.js';
import { RecordReader, readBounded } from './record-file.js';
import type { PutOptions, Store, StoreRecord, StoreSnapshot } from './store.js';

/** Records are read in groups of this size. */
const READ_TOGETHER = 64;
/** A lock held longer belongs to a process that hangs. */
const MOST_LOCK_MS = 10_000;

export class DirectoryStore implements Store {
  readonly description: string;
  readonly #path: string;
  readonly #reader: RecordReader;

  private constructor(path: string) {
    this.#path = path;
    this.description = `directory ${path}`;
    this.#reader = new RecordReader(join(path, 'subnets'), join(path, 'expiry'));
  }

  /** Makes the folders that are missing. Throws ERR_TWILL_STORE. */
  static async open(path: string): Promise<DirectoryStore> {
    try {
      for (const folder of ['subnets', 'expiry', '.tmp'])
        await mkdir(join(path, folder), { recursive: true });
    } catch (cause) {
      throw trouble(`cannot use store directory ${path}`, cause, 'choose another --store');
    }
    return new DirectoryStore(path);
  }

  async readConfig(): Promise<string> {
    const path = join(this.#path, 'config');
    try {
      return (await readBounded(path)).text;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw trouble(`cannot read ${path}`, cause);
      const example = '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}';
      throw new TwillError(
        'ERR_TWILL_STORE',
        `there is no ${path}: write the network configuration there, for example ${example}`,
      );
    }
  }

  async list(): Promise<StoreSnapshot> {
    let names: string[];
    try {
      names = await readdir(join(this.#path, 'subnets'));
    } catch (cause) {
      throw trouble(`cannot list ${join(this.#path, 'subnets')}`, cause);
    }
    const keys = names.filter((name) => !name.startsWith('.')).sort();
    const records: StoreRecord[] = [];
    const unreadable: { key: string; reason: string }[] = [];
    for (let at = 0; at < keys.length; at += READ_TOGETHER) {
      const group = keys.slice(at, at + READ_TOGETHER);
      for (const entry of await Promise.all(group.map((key) => this.#reader.read(key)))) {
        if (entry === null) continue;
        if ('reason' in entry) unreadable.push(entry);
        else records.push(entry);
      }
    }
    this.#reader.forgetAllBut(keys);
    return { records, unreadable };
  }

  async *watch(
    signal: AbortSignal,
    onTrouble: (error: Error | null) => void = () => {},
  ): AsyncIterable<StoreSnapshot> {
    const folders = ['subnets', 'expiry'].map((name) => join(this.#path, name));
    const changes = watchDirectories(folders, signal);
    let last: string | null = null;
    for await (const _ of changes.ticks()) {
      let snapshot: StoreSnapshot;
      try {
        snapshot = await this.list();
        onTrouble(null);
      } catch (error) {
        if (signal.aborted) return;
        onTrouble(error as Error);
        changes.retry();
        continue;
      }
      const signature = JSON.stringify([
        snapshot.records.map(({ key, revision, expiresAtMs }) => [key, revision, expiresAtMs]),
        snapshot.unreadable,
      ]);
      if (signature === last) continue;
      last = signature;
      yield snapshot;
    }
  }

  create(key: string, value: string, options: PutOptions): Promise<StoreRecord | null> {
    return this.#locked(`cannot create lease ${key}`, async () => {
      const target = this.#recordPath(key);
      if (await exists(target)) return null;
      const temporary = await this.#writeTemporary(value);
      try {
        await this.#writeExpiry(key, options);
        await link(temporary, target);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null;
        throw error;
      } finally {
        await rm(temporary, { force: true });
      }
      return this.#reread(key);
    });
  }

  replace(key: string, revision: string, value: string, options: PutOptions): Promise<StoreRecord | null> {
    return this.#locked(`cannot replace lease ${key}`, async () => {
      const before = await this.#reader.read(key);
      if (before === null || 'reason' in before || before.revision !== revision) return null;
      const target = this.#recordPath(key);
      if (value !== before.value) {
        const temporary = await this.#writeTemporary(value);
        // The age of the claim stays: its millisecond, in whose middle no rounding moves it.
        const mtimeSeconds = (Number(before.createdOrder) + 0.5) / 1000;
        await utimes(temporary, mtimeSeconds, mtimeSeconds);
        await rename(temporary, target);
      }
      await this.#writeExpiry(key, options);
      return this.#reread(key);
    });
  }

  remove(key: string, revision: string): Promise<boolean> {
    return this.#locked(`cannot remove lease ${key}`, async () => {
      const before = await this.#reader.read(key);
      if (before === null || 'reason' in before || before.revision !== revision) return false;
      await rm(this.#recordPath(key));
      await rm(this.#expiryPath(key), { force: true });
      return true;
    });
  }

  async close(): Promise<void> {}

  async #reread(key: string): Promise<StoreRecord | null> {
    const record = await this.#reader.read(key);
    return record === null || 'reason' in record ? null : record;
  }

  /** The path of a new file with this content, on disk before anybody can see it. */
  async #writeTemporary(content: string): Promise<string> {
    const path = join(this.#path, '.tmp', `${process.pid}.${randomBytes(8).toString('hex')}`);
    const file = await open(path, 'wx', 0o644);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    return path;
  }

  async #writeExpiry(key: string, { ttlMs }: PutOptions): Promise<void> {
    if (ttlMs === undefined) return rm(this.#expiryPath(key), { force: true });
    const text = `${new Date(Date.now() + ttlMs).toISOString()}\n`;
    await rename(await this.#writeTemporary(text), this.#expiryPath(key));
  }

  /** The kernel lets go of the lock with the descriptor, however we end. */
  async #locked<T>(what: string, act: () => Promise<T>): Promise<T> {
    let file: FileHandle | undefined;
    try {
      file = await open(join(this.#path, '.lock'), 'a', 0o644);
      const { fd } = file;
      const endMs = performance.now() + MOST_LOCK_MS;
      while (!guard(() => loadNative().tryLockFile(fd))) {
        if (performance.now() > endMs) throw new Error('another process keeps the lock');
        await delay(1 + Math.random() * 4);
      }
      return await act();
    } catch (cause) {
      throw trouble(`${what} in ${this.#path}`, cause);
    } finally {
      await file?.close();
    }
  }

  #recordPath(key: string): string {
    return join(this.#path, 'subnets', safeName(key));
  }
  #expiryPath(key: string): string {
    return join(this.#path, 'expiry', safeName(key));
  }
}

/** Keys come from our own codec; this is the second lock on the door. */
function safeName(key: string): string {
  if (/^[0-9a-f.:&-]{1,128}$/.test(key) && !key.startsWith('.')) return key;
  throw new Error(`${JSON.stringify(key.slice(0, 80))} is no lease key`);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

function trouble(what: string, cause: unknown, fix?: string): TwillError {
  const { code, message, errno, syscall } = cause as NodeJS.ErrnoException;
  const isRefused = code === 'EACCES' || code === 'EPERM';
  const remedy = isRefused ? 'run as a user that may, or choose another --store' : fix;
  const hint = remedy === undefined ? '' : `: ${remedy}`;
  return new TwillError('ERR_TWILL_STORE', `${what}: ${message}${hint}`, {
    ...(errno !== undefined && { errno: Math.abs(errno) }),
    ...(syscall !== undefined && { syscall }),
    cause,
  });
}
