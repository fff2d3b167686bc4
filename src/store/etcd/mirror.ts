/** The leases in etcd as far as we have heard: a listing, kept up to date by events, and the point in etcd's history it stands at. */
import type { UnreadableRecord } from '../../lease/record.js';
import type { StoreRecord, StoreSnapshot } from '../store.js';
import { entryOf, type Keys } from './keys.js';
import { EVENT_DELETE, type KeyValue, type ResponseHeader, type WatchResponse } from './messages.js';

type Entry = StoreRecord | UnreadableRecord;
type EndOf = (lease: bigint) => number | undefined;

export class Mirror {
  readonly #keys: Keys;
  readonly #endOf: EndOf;
  readonly #entries: Map<string, Entry>;
  #header: ResponseHeader;

  /** `before`: the mirror that this one replaces; what has not changed since stays the same object. */
  constructor(
    { header, kvs }: { header: ResponseHeader; kvs: readonly KeyValue[] },
    keys: Keys,
    endOf: EndOf,
    before?: Mirror | null,
  ) {
    this.#keys = keys;
    this.#endOf = endOf;
    this.#header = header;
    this.#entries = new Map(
      kvs.map((kv) => {
        const id = idOf(kv.key);
        const known = before ? before.#entries.get(id) : undefined;
        const isSame = known && 'revision' in known && known.revision === String(kv.modRevision);
        return [id, isSame ? known : this.#entry(kv)];
      }),
    );
  }

  get revision(): bigint {
    return this.#header.revision;
  }

  snapshot(): StoreSnapshot {
    const records: StoreRecord[] = [];
    const unreadable: UnreadableRecord[] = [];
    for (const entry of this.#entries.values()) {
      if ('reason' in entry) unreadable.push(entry);
      else records.push(entry);
    }
    return { records, unreadable };
  }

  /**
   * Whether a header can be of the history that we followed. One that lags behind may come from a member that does, or
   * from a cluster that was restored from a backup.
   */
  isOfSameHistory({ clusterId, revision, raftTerm }: ResponseHeader): boolean {
    const ours = this.#header;
    return clusterId === ours.clusterId && revision >= ours.revision && raftTerm >= ours.raftTerm;
  }

  /** Whether what `before` knew is older than this, and not another cluster's or a later one's that was lost. */
  continues(before: Mirror): boolean {
    return before.#header.clusterId === this.#header.clusterId && before.revision <= this.revision;
  }

  /** What we have changed ourselves; the event of it is still to come. */
  learn(kv: KeyValue): void {
    this.#entries.set(idOf(kv.key), this.#entry(kv));
  }
  forget(key: Uint8Array): void {
    this.#entries.delete(idOf(key));
  }

  /** Whether anything has changed. */
  apply({ header, events }: WatchResponse): boolean {
    let revision = this.#header.revision;
    for (const { type, kv } of events) {
      if (!kv) continue;
      if (type === EVENT_DELETE) this.#entries.delete(idOf(kv.key));
      else this.#entries.set(idOf(kv.key), this.#entry(kv));
      if (kv.modRevision > revision) revision = kv.modRevision;
    }
    this.#header = { ...(header ?? this.#header), revision };
    return events.length > 0;
  }

  #entry(kv: KeyValue): Entry {
    return entryOf(kv, this.#keys, this.#endOf(kv.lease));
  }
}

function idOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
