/** One lease of the directory store, read from its files. Whoever can write there can put anything there. */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { UnreadableRecord } from '../lease/record.js';
import { openRegularFile } from './files.js';
import type { StoreRecord } from './store.js';

const LONGEST_FILE_BYTES = 256 * 1024;

/** Content and state of a regular file; follows no link, waits for no FIFO. Throws the system's error or a reason. */
export async function readBounded(path: string): Promise<{ text: string; stats: BigIntStats }> {
  const { file, stats } = await openRegularFile(path, LONGEST_FILE_BYTES);
  try {
    const bytes = Buffer.alloc(LONGEST_FILE_BYTES + 1);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    if (bytesRead > LONGEST_FILE_BYTES) throw new Error(`larger than ${LONGEST_FILE_BYTES} bytes`);
    try {
      return {
        text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, bytesRead)),
        stats,
      };
    } catch {
      throw new Error('not UTF-8 text');
    }
  } finally {
    await file.close();
  }
}

type Entry = StoreRecord | UnreadableRecord;

/** Reads records, those alone whose files have changed since the last time. */
export class RecordReader {
  readonly #records: string;
  readonly #expiry: string;
  readonly #known = new Map<string, { readonly signature: string; readonly entry: Entry }>();

  constructor(recordsPath: string, expiryPath: string) {
    this.#records = recordsPath;
    this.#expiry = expiryPath;
  }

  /** The record, why it is unreadable, or null where there is none (any more). */
  async read(key: string): Promise<Entry | null> {
    const path = join(this.#records, key);
    const expiryPath = join(this.#expiry, key);
    try {
      const [now, expiryNow] = await Promise.all([
        lstat(path, { bigint: true }),
        lstat(expiryPath, { bigint: true }).catch(() => null),
      ]);
      const signature = `${fileSignature(now)} ${expiryNow ? fileSignature(expiryNow) : '-'}`;
      const known = this.#known.get(key);
      if (known?.signature === signature) return known.entry;
      const entry = await this.#readAfresh(key, path, expiryPath);
      // A file written within the clock's last tick could change again unseen.
      const isSettled = Date.now() - Number(now.ctimeMs) > 1000;
      if (isSettled) this.#known.set(key, { signature, entry });
      else this.#known.delete(key);
      return entry;
    } catch (error) {
      this.#known.delete(key);
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return null;
      return { key, reason: `cannot be read: ${code === 'ELOOP' ? 'a symbolic link' : message}` };
    }
  }

  forgetAllBut(keys: readonly string[]): void {
    if (this.#known.size <= keys.length) return;
    const kept = new Set(keys);
    for (const key of this.#known.keys()) if (!kept.has(key)) this.#known.delete(key);
  }

  async #readAfresh(key: string, path: string, expiryPath: string): Promise<Entry> {
    const { text: value, stats } = await readBounded(path);
    const record = {
      ...{ key, value },
      revision: `${stats.ino}-${stats.mtimeNs}-${createHash('sha256').update(value).digest('hex').slice(0, 16)}`,
      createdOrder: stats.mtimeNs / 1_000_000n,
    };
    let expiry: { text: string; stats: BigIntStats };
    try {
      expiry = await readBounded(expiryPath);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return record;
      return { key, reason: `its file ${expiryPath} cannot be read: ${(error as Error).message}` };
    }
    if (expiry.stats.mtimeNs < stats.mtimeNs) return record;
    const expiresAtMs = parseTime(expiry.text.trim());
    if (expiresAtMs !== null) return { ...record, expiresAtMs };
    const shown = JSON.stringify(expiry.text.trim().slice(0, 40));
    return {
      key,
      reason: `its file ${expiryPath} holds ${shown}: it must be a time like 2030-01-31T12:00:00Z`,
    };
  }
}

function parseTime(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/.test(text)) return null;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : atMs;
}

function fileSignature({ ino, mtimeNs, ctimeNs, size }: BigIntStats): string {
  return `${ino}.${mtimeNs}.${ctimeNs}.${size}`;
}
