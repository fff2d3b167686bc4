/**
 * The nodes as far as we have heard, as lease records, and the point in the cluster's history that this is as of. What
 * does not concern us (the kubelet reports of each node every few minutes) changes nothing here.
 */
import { createHash } from 'node:crypto';
import { leaseOfNode, type NodeFacts, type NodeReading } from '../../lease/node-annotations.js';
import type { UnreadableRecord } from '../../lease/record.js';
import type { StoreRecord, StoreSnapshot } from '../store.js';
import type { SeenNode } from './node.js';

type Entry = StoreRecord | UnreadableRecord | null;

interface Known {
  readonly revision: string;
  /** null: no node of ours. */
  readonly entry: Entry;
}

export class NodeMirror {
  readonly #reading: NodeReading;
  readonly #known = new Map<string, Known>();
  resourceVersion = '';

  constructor(reading: NodeReading) {
    this.#reading = reading;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Whether anything has changed. `before`: a mirror that this one replaces; what is as it was there stays the same object. */
  put({ facts }: SeenNode, before: NodeMirror | null = this): boolean {
    const revision = revisionOf(facts);
    const known = before ? before.#known.get(facts.name) : undefined;
    const isSame = known?.revision === revision;
    this.#known.set(
      facts.name,
      isSame ? known : { revision, entry: entryOf(facts, revision, this.#reading) },
    );
    return !isSame;
  }

  /** Whether it was there. */
  drop(name: string): boolean {
    return this.#known.delete(name);
  }

  /** Whether it says the same as another one. */
  equals(other: NodeMirror): boolean {
    if (other.size !== this.size) return false;
    for (const [name, { revision }] of this.#known)
      if (other.#known.get(name)?.revision !== revision) return false;
    return true;
  }

  /** Of nodes with the same PodCIDR the oldest has it. */
  snapshot(): StoreSnapshot {
    const records = new Map<string, StoreRecord>();
    const unreadable: UnreadableRecord[] = [];
    for (const { entry } of this.#known.values()) {
      if (entry === null) continue;
      if ('reason' in entry) {
        unreadable.push(entry);
        continue;
      }
      const other = records.get(entry.key);
      const [first, second] = other && isOlder(other, entry) ? [other, entry] : [entry, other];
      records.set(entry.key, first);
      if (second)
        unreadable.push({
          key: second.holder ?? second.key,
          reason: `its PodCIDR ${second.key} is that of the older node ${first.holder}`,
        });
    }
    return { records: [...records.values()], unreadable };
  }
}

/** The record of one node; null where it is no node of ours. */
export function recordOf(facts: NodeFacts, reading: NodeReading): Entry {
  return entryOf(facts, revisionOf(facts), reading);
}

function entryOf(facts: NodeFacts, revision: string, reading: NodeReading): Entry {
  const lease = leaseOfNode(facts, reading);
  if (lease === null) return null;
  const { key } = lease;
  const { name } = facts;
  if ('reason' in lease)
    return { key, reason: key === name ? lease.reason : `node ${name}: ${lease.reason}` };
  return {
    ...{ key, value: lease.value, revision, holder: name },
    createdOrder: BigInt(facts.createdAtMs),
    // It ends with its node.
    expiresAtMs: Number.POSITIVE_INFINITY,
  };
}

/** Changes with what concerns us, and with nothing else. */
function revisionOf(facts: NodeFacts): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('base64url').slice(0, 22);
}

function isOlder(a: StoreRecord, b: StoreRecord): boolean {
  if (a.createdOrder !== b.createdOrder) return a.createdOrder < b.createdOrder;
  return (a.holder ?? '') < (b.holder ?? '');
}
