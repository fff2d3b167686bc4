/**
 * What we last knew of a store, in a file: one line with the checksum of the rest, then JSON. Replaced in one step, so a
 * crash leaves the old one or the new one. When it was last known to be true is the file's mtime.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { IpAddress } from '../net/ip.js';
import { openRegularFile, replaceFile } from './files.js';
import type { OwnNode, StoreSnapshot } from './store.js';

const FORMAT = 'twill-last-good-1';
/** 100,000 leases are about 20 MB. */
const LONGEST_FILE_BYTES = 256 * 1024 * 1024;

export interface LastGood {
  /** The text of net-conf.json; `''`: it is not in that store. */
  readonly config: string;
  readonly snapshot: StoreSnapshot;
  /** Where the store knows nodes by name. */
  readonly ownNode?: OwnNode;
}

/** Throws what the system says. */
export async function writeLastGood(path: string, { config, snapshot, ownNode }: LastGood): Promise<void> {
  const { records, unreadable } = snapshot;
  const node = ownNode && {
    ...ownNode,
    publicIp: ownNode.publicIp?.toString(),
    publicIpv6: ownNode.publicIpv6?.toString(),
  };
  const body = JSON.stringify({ config, records: records.map(plainRecord), unreadable, node });
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
  const { config, records, unreadable, node } = JSON.parse(body) as {
    config: string;
    records: PlainRecord[];
    unreadable: { key: string; reason: string }[];
    node?: PlainNode;
  };
  const snapshot = { records: records.map(recordOf), unreadable, asOfMs };
  return { config, snapshot, ...(node && { ownNode: nodeOf(node) }) };
}

interface PlainNode {
  readonly name: string;
  readonly publicIp?: string;
  readonly publicIpv6?: string;
}

function nodeOf({ name, publicIp, publicIpv6 }: PlainNode): OwnNode {
  return {
    name,
    ...(publicIp !== undefined && { publicIp: IpAddress.parse(publicIp) }),
    ...(publicIpv6 !== undefined && { publicIpv6: IpAddress.parse(publicIpv6) }),
  };
}

type PlainRecord = ReturnType<typeof plainRecord>;

function plainRecord(record: StoreSnapshot['records'][number]) {
  const { key, value, revision, createdOrder, expiresAtMs, holder } = record;
  return {
    ...{ key, value, revision, createdOrder: String(createdOrder) },
    ...(holder !== undefined && { holder }),
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
