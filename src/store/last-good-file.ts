/**
 * What we last knew of a store, in a file: one line with the checksum of the rest, then JSON. Replaced in one step, so a
 * crash leaves the old one or the new one. When it was last known to be true is the file's mtime.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openRegularFile, replaceFile } from './files.js';
import type { StoreSnapshot } from './store.js';

const FORMAT = 'twill-last-good-1';
/** 100,000 leases are about 20 MB. */
const LONGEST_FILE_BYTES = 256 * 1024 * 1024;

export interface LastGood {
  /** The text of net-conf.json. */
  readonly config: string;
  readonly snapshot: StoreSnapshot;
}

/** Throws what the system says. */
export async function writeLastGood(path: string, { config, snapshot }: LastGood): Promise<void> {
  const { records, unreadable } = snapshot;
  const body = JSON.stringify({ config, records: records.map(plainRecord), unreadable });
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await replaceFile(path, `${FORMAT} ${checksum(body)}\n${body}\n`, 0o600);
}

/** It is still true now. */
export async function touchLastGood(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now);
}

/** null: there is none. Throws what is wrong with it. */
export async function readLastGood(path: string): Promise<LastGood | null> {
  let file: FileHandle | undefined;
  try {
    const opened = await openRegularFile(path, LONGEST_FILE_BYTES);
    file = opened.file;
    return parse(await file.readFile('utf8'), Number(opened.stats.mtimeNs) / 1e6);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  } finally {
    await file?.close();
  }
}

function parse(text: string, asOfMs: number): LastGood {
  const end = text.indexOf('\n');
  const [format, sum] = text.slice(0, end).split(' ');
  const body = text.slice(end + 1, -1);
  if (end < 0 || format !== FORMAT) throw new Error('not a file of this version');
  if (sum !== checksum(body)) throw new Error('its checksum is wrong');
  // The checksum vouches for the shape: nobody but us has written it.
  const { config, records, unreadable } = JSON.parse(body) as {
    config: string;
    records: PlainRecord[];
    unreadable: { key: string; reason: string }[];
  };
  return { config, snapshot: { records: records.map(recordOf), unreadable, asOfMs } };
}

type PlainRecord = ReturnType<typeof plainRecord>;

function plainRecord({ key, value, revision, createdOrder, expiresAtMs }: StoreSnapshot['records'][number]) {
  return {
    ...{ key, value, revision, createdOrder: String(createdOrder) },
    ...(expiresAtMs !== undefined && { expiresAtMs: Number.isFinite(expiresAtMs) ? expiresAtMs : null }),
  };
}

function recordOf({ createdOrder, expiresAtMs, ...rest }: PlainRecord): StoreSnapshot['records'][number] {
  return {
    ...rest,
    createdOrder: BigInt(createdOrder),
    ...(expiresAtMs !== undefined && { expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY }),
  };
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}
