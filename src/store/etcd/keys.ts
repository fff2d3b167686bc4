/** Where things stand in etcd, and what a key-value pair becomes for the agent. Whoever can write there can put anything there. */
import type { UnreadableRecord } from '../../lease/record.js';
import type { StoreRecord } from '../store.js';
import type { KeyValue } from './messages.js';

const LONGEST_VALUE_BYTES = 256 * 1024;
const LONGEST_KEY_BYTES = 256;

export interface Keys {
  readonly config: Buffer;
  /** Up to and with the last "/". */
  readonly subnets: Buffer;
  /** The first key behind all of them. */
  readonly subnetsEnd: Buffer;
}

export function keysBelow(prefix: string): Keys {
  return {
    config: Buffer.from(`${prefix}/config`),
    subnets: Buffer.from(`${prefix}/subnets/`),
    subnetsEnd: Buffer.from(`${prefix}/subnets0`),
  };
}

/** A record, or what is wrong with it. `endsAtMs`: when its etcd lease ends, as far as anybody has asked. */
export function entryOf(
  { key, value, createRevision, modRevision, lease }: KeyValue,
  { subnets }: Keys,
  endsAtMs: number | undefined,
): StoreRecord | UnreadableRecord {
  const name = textOf(key.subarray(subnets.length));
  if (name === null) {
    const shown = Buffer.from(key.subarray(subnets.length, subnets.length + LONGEST_KEY_BYTES)).toString(
      'latin1',
    );
    return { key: JSON.stringify(shown), reason: 'its key is not UTF-8 text' };
  }
  if (key.length - subnets.length > LONGEST_KEY_BYTES) {
    return {
      key: `${name.slice(0, LONGEST_KEY_BYTES)}...`,
      reason: `its key is longer than ${LONGEST_KEY_BYTES} bytes`,
    };
  }
  if (value.length > LONGEST_VALUE_BYTES)
    return { key: name, reason: `larger than ${LONGEST_VALUE_BYTES} bytes` };
  const text = textOf(value);
  if (text === null) return { key: name, reason: 'not UTF-8 text' };
  return {
    key: name,
    value: text,
    // Without a lease it is a reservation. Another node's end is etcd's business: it deletes the key.
    ...(lease !== 0n && { expiresAtMs: endsAtMs ?? Number.POSITIVE_INFINITY }),
    revision: String(modRevision),
    createdOrder: createRevision,
  };
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(from: Uint8Array): string | null {
  try {
    return strict.decode(from);
  } catch {
    return null;
  }
}
