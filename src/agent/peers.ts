/**
 * From the store's leases to the plane's peer table: one snapshot in, one change of the table out. A record that cannot
 * become a peer is quarantined by name, alone; the others never notice.
 */
import type { Backend, BackendNode, Peer } from '../backend/backend.js';
import type { Plane } from '../dataplane/plane.js';
import type { Lease } from '../lease/lease.js';
import { type LeaseSet, ofNode } from '../lease/lease-set.js';
import type { Logger } from '../observe/log.js';
import type { LeaseSource, StoreSnapshot } from '../store/store.js';
import type { Clock } from './clock.js';

export interface PeerTableParts {
  readonly store: LeaseSource;
  readonly leases: LeaseSet;
  readonly backend: Backend;
  readonly node: BackendNode;
  readonly plane: Plane;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Sees every snapshot first. */
  readonly onSnapshot: (snapshot: StoreSnapshot) => void;
}

export interface PeerLease {
  readonly lease: Lease;
  readonly peers: readonly Peer[];
}

export interface Quarantined {
  readonly key: string;
  readonly reason: string;
}

/** Changes up to this many are logged one by one. */
const mostLines = 20;
/** A snapshot that would remove most peers is believed when it is still so after this time. */
const confirmAfterMs = 2000;

export class PeerTable {
  readonly #parts: PeerTableParts;
  #node: BackendNode;
  #decisions = new WeakMap<Lease, readonly Peer[] | string>();
  #entries: readonly PeerLease[] = [];
  #refused: readonly Quarantined[] = [];
  #reasons = new Map<string, string>();
  #snapshots = 0;
  #relistAtMs = Number.POSITIVE_INFINITY;
  #planChanged: () => void = () => {};
  #lastSnapshotAtMs: number | null = null;
  #trouble: string | null = null;
  #missing: string | null = 'the leases of the other nodes have not been read yet';
  #resolveApplied: () => void = () => {};
  /** Resolves when the first complete snapshot is in the plane. */
  readonly applied = new Promise<void>((resolve) => {
    this.#resolveApplied = resolve;
  });

  constructor(parts: PeerTableParts) {
    this.#parts = parts;
    this.#node = parts.node;
  }

  get entries(): readonly PeerLease[] {
    return this.#entries;
  }
  get quarantined(): readonly Quarantined[] {
    return [...this.#parts.leases.quarantined, ...this.#refused];
  }
  get lastSnapshotAtMs(): number | null {
    return this.#lastSnapshotAtMs;
  }
  /** What is wrong with the store now; the table then stands as it was. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Why the plane does not have the peers of the last snapshot; null: it has. */
  get missing(): string | null {
    return this.#missing;
  }

  /** Follows the store until `signal` aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const { store, clock, logger } = this.#parts;
    const relisting = this.#relist(signal);
    while (!signal.aborted) {
      try {
        for await (const snapshot of store.watch(signal, (error) => this.#note(error))) this.apply(snapshot);
      } catch (error) {
        if (!signal.aborted) logger.error({ err: error }, 'the watch of the store ended: starting it again');
      }
      await clock.sleep(1000, signal);
    }
    await relisting;
  }

  /** Lists again as soon as possible, for example on SIGHUP. */
  refresh(): void {
    this.#relistAtMs = 0;
    this.#planChanged();
  }

  apply(snapshot: StoreSnapshot): void {
    const { leases, clock, logger, onSnapshot } = this.#parts;
    this.#snapshots += 1;
    this.#lastSnapshotAtMs = snapshot.asOfMs ?? clock.nowMs();
    if (snapshot.asOfMs === undefined) this.#trouble = null;
    onSnapshot(snapshot);
    const change = leases.apply(snapshot, clock.nowMs());
    this.#decide();
    if (change.held) {
      logger.warn(
        { held: leases.held },
        'the store suddenly lacks most leases: kept until a second listing says so too',
      );
    }
    if (this.#publish()) this.#resolveApplied();
    this.#logChange(change);
    this.#relistAtMs = clock.nowMs() + (change.held ? confirmAfterMs : this.#untilNextEndMs());
    this.#planChanged();
  }

  /** We are at other addresses now: what was refused because of the old ones may be right, and the other way round. */
  readdress(node: BackendNode): void {
    this.#node = node;
    this.#decisions = new WeakMap();
    if (this.#snapshots === 0) return;
    this.#decide();
    this.#publish();
    this.#logChange({ added: [], changed: [], removed: [] });
  }

  #publish(): boolean {
    const { plane, logger } = this.#parts;
    try {
      plane.setPeers(this.#entries.flatMap(({ peers }) => peers));
      this.#missing = null;
      return true;
    } catch (error) {
      this.#missing = `the peer table could not be changed: ${(error as Error).message}`;
      logger.error({ err: error }, 'the peer table could not be changed; it stands as it was');
      return false;
    }
  }

  #decide(): void {
    const entries: PeerLease[] = [];
    const refused: Quarantined[] = [];
    for (const lease of this.#parts.leases.leases) {
      const decision = this.#decision(lease);
      if (typeof decision === 'string')
        refused.push({ key: lease.key, reason: ofNode(lease.holder, decision) });
      else entries.push({ lease, peers: decision });
    }
    this.#entries = entries;
    this.#refused = refused;
  }

  /** The rows, or why there are none; of a lease that stays as it was the same as before. */
  #decision(lease: Lease): readonly Peer[] | string {
    const before = this.#decisions.get(lease);
    if (before !== undefined) return before;
    const decision = this.#decideOne(lease);
    this.#decisions.set(lease, decision);
    return decision;
  }

  #decideOne(lease: Lease): readonly Peer[] | string {
    const { backend } = this.#parts;
    const node = this.#node;
    const decision = backend.decide(lease);
    if ('refused' in decision) return decision.refused;
    for (const { endpoint, mac } of decision.peers) {
      if (endpoint.address.equals(node.publicIp) || node.publicIpv6?.equals(endpoint.address)) {
        return `its public IP ${endpoint.address} is our own: packets would come back to us`;
      }
      if (mac && node.mac?.equals(mac))
        return `its VtepMAC ${mac} is our own: one of the two nodes is a clone`;
    }
    return decision.peers;
  }

  /** A lease may end with nothing written to the store; then only a fresh listing tells. */
  async #relist(signal: AbortSignal): Promise<void> {
    const { clock, store } = this.#parts;
    while (!signal.aborted) {
      const changed = new AbortController();
      this.#planChanged = () => changed.abort();
      const waitMs = Math.max(Math.min(this.#relistAtMs - clock.nowMs(), 60_000), 0);
      if (waitMs > 0) await clock.sleep(waitMs, AbortSignal.any([signal, changed.signal]));
      if (signal.aborted) return;
      if (clock.nowMs() < this.#relistAtMs) continue;
      this.#relistAtMs = clock.nowMs() + confirmAfterMs;
      const before = this.#snapshots;
      try {
        const snapshot = await store.list(signal);
        // What the watch brought meanwhile is newer, and what is old news was known.
        if (this.#snapshots === before && snapshot.asOfMs === undefined) this.apply(snapshot);
      } catch (error) {
        if (!signal.aborted) this.#note(error as Error);
      }
    }
  }

  #untilNextEndMs(): number {
    const { leases, clock } = this.#parts;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { expiresAtMs } of leases.leases) nextMs = Math.min(nextMs, expiresAtMs ?? nextMs);
    // Not at the very end: give its owner's renewal a moment to be seen.
    return Math.max(nextMs - clock.nowMs() + 100, 1000);
  }

  #note(error: Error | null): void {
    // Nothing has changed, and that is news too.
    if (error === null && this.#lastSnapshotAtMs !== null) this.#lastSnapshotAtMs = this.#parts.clock.nowMs();
    const trouble = error?.message ?? null;
    if (trouble === this.#trouble) return;
    const { logger, store } = this.#parts;
    if (error) logger.warn({ err: error }, `trouble with ${store.description}: peers stay as they are`);
    else logger.info(`${store.description} is well again`);
    this.#trouble = trouble;
  }

  #logChange({
    added,
    changed,
    removed,
  }: {
    added: readonly Lease[];
    changed: readonly Lease[];
    removed: readonly Lease[];
  }): void {
    const { logger } = this.#parts;
    const reasons = new Map(this.quarantined.map(({ key, reason }) => [key, reason]));
    const lines: [string, readonly Lease[]][] = [
      ['Subnet added', added],
      ['Subnet changed', changed],
      ['Subnet removed', removed],
    ];
    if (added.length + changed.length + removed.length > mostLines) {
      const counts = `${added.length} added, ${changed.length} changed, ${removed.length} removed`;
      logger.info({ leases: this.#parts.leases.leases.length }, `Subnets: ${counts}`);
    } else {
      for (const [verb, leases] of lines) {
        for (const { key, attributes } of leases) {
          if (!reasons.has(key))
            logger.info(
              { key, publicIp: `${attributes.publicIp}` },
              `${verb}: ${key} via ${attributes.publicIp}`,
            );
        }
      }
    }
    const news = [...reasons].filter(([key, reason]) => this.#reasons.get(key) !== reason);
    for (const [key, reason] of news.slice(0, mostLines))
      logger.warn({ key, reason }, `quarantined: ${key}: ${reason}`);
    if (news.length > mostLines)
      logger.warn(`${news.length - mostLines} more records quarantined: see twill status`);
    this.#reasons = reasons;
  }
}
