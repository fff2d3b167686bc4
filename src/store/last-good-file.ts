/**
 * What we last knew of a store, in a file: one line with the checksum of the rest, then JSON. Replaced in one step, so a
 * crash leaves the old one or the new one. When it was last known to be true is the file's mtime.
 */
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
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
  const temporary = join(dirname(path), `.last-good.${process.pid}.${randomBytes(6).toString('hex')}`);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(`${FORMAT} ${checksum(body)}\n${body}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
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
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('not a regular file');
    if (stats.size > LONGEST_FILE_BYTES) throw new Error(`larger than ${LONGEST_FILE_BYTES} bytes`);
    return parse(await file.readFile('utf8'), stats.mtimeMs);
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
