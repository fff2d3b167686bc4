/** The agent's state, for `twill status` and `twill peers`. Pure. */
import type { Backend, BackendNode } from '../backend/backend.js';
import type { PeerColumn, PeerStats } from '../dataplane/peer-stats.js';
import type { DirectionStats, Plane } from '../dataplane/plane.js';
import type { Lease, LeaseSubnets } from '../lease/lease.js';
import type { Mended } from './mended.js';
import type { PeerLease, PeerTable } from './peers.js';
import type { PlaneChoice } from './plane-choice.js';
import type { AgentStatus, DirectionStatus, FirewallStatus, PeerStatus } from './told.js';
import type { Underlay } from './underlay.js';

export interface StatusParts {
  readonly version: string;
  readonly underlay: Underlay;
  /** How often it became another one. */
  readonly underlayMoves: number;
  readonly node: BackendNode;
  readonly lease: Lease;
  /** null: never, for it has no end. */
  readonly leaseRenewsAtMs: number | null;
  readonly plane: Plane;
  readonly planeChoice: PlaneChoice;
  readonly mended: Mended;
  readonly backend: Backend;
  /** Why the device carries nothing, if so. */
  readonly deviceTrouble: string | null;
  /** Settings of the host that pods lack. */
  readonly hostTroubles: readonly string[];
  /** The host's rules; null: none of our business. */
  readonly firewall: FirewallStatus | null;
  readonly storeDescription: string;
  readonly peers: PeerTable;
  /** What each condition lacks; null: it holds. */
  readonly readiness: { readonly [condition: string]: string | null };
  readonly upMs: number;
}

export function agentStatus(parts: StatusParts): AgentStatus {
  const { backend, lease, node, peers, plane, underlay } = parts;
  const stats = plane.stats();
  return {
    version: parts.version,
    node: {
      interface: underlay.interface,
      interfaceMtuBytes: underlay.mtuBytes,
      underlayMoves: parts.underlayMoves,
      publicIp: node.publicIp.toString(),
      publicIpv6: node.publicIpv6?.toString() ?? null,
      subnet: subnetText(lease.subnets),
      leaseExpiresAt: timeText(lease.expiresAtMs),
      leaseRenewsAt: timeText(parts.leaseRenewsAtMs ?? undefined),
      device: plane.deviceName,
      mtuBytes: plane.mtuBytes,
      deviceTrouble: parts.deviceTrouble,
    },
    backend: {
      type: backend.type,
      ...tunnelStatus(backend),
      ...(node.mac && { mac: node.mac.toString() }),
      ...(node.macV6 && { macV6: node.macV6.toString() }),
    },
    dataplane: {
      kind: plane.kind,
      why: parts.planeChoice.why,
      troubles: [...plane.troubles].map(([subnet, reason]) => ({
        subnet: subnet === '' ? null : subnet,
        reason,
      })),
      foreignRoutes: [...plane.foreignRoutes],
      mended: parts.mended.status(),
    },
    store: {
      description: parts.storeDescription,
      trouble: peers.trouble,
      lastSnapshotAt: timeText(peers.lastSnapshotAtMs ?? undefined),
    },
    hostTroubles: [...parts.hostTroubles],
    firewall: parts.firewall,
    ready: Object.values(parts.readiness).every((missing) => missing === null),
    readiness: { ...parts.readiness },
    generation: stats.generation,
    peers: stats.peers,
    quarantined: peers.quarantined.map(({ key, reason }) => ({ key, reason })),
    counters: {
      encap: direction(stats.encap),
      decap: direction(stats.decap),
      icmpSent: stats.icmpSent,
      icmpSuppressed: stats.icmpSuppressed,
    },
    identity: {
      encap: stats.encap && identityHolds(stats.encap),
      decap: stats.decap && identityHolds(stats.decap),
    },
    pool: { free: stats.poolFree, slots: stats.poolSlots },
    workers: stats.workers,
    offloads: { ...stats.offloads },
    checksum: stats.checksum,
    uptimeSeconds: Math.floor(parts.upMs / 1000),
  };
}

function tunnelStatus(backend: Backend): Omit<AgentStatus['backend'], 'type'> {
  if (backend.carrier !== 'tunnel') return {};
  const { port, vni, directRouting } = backend;
  return { port, ...(vni !== undefined && { vni }), directRouting };
}

/** One row for each row of the peer table, with what went to and came from it. */
export function* peerRows(
  entries: readonly PeerLease[],
  plane: Pick<Plane, 'peerStats' | 'wayOf' | 'troubles'>,
): Generator<PeerStatus> {
  const stats = plane.peerStats();
  const { troubles } = plane;
  const rowOf = new Map(stats?.peers.map((peer, row) => [peer, row]));
  for (const { lease, peers } of entries) {
    for (const peer of peers) {
      yield {
        key: lease.key,
        subnet: peer.subnet.toString(),
        endpoint: { address: peer.endpoint.address.toString(), port: peer.endpoint.port },
        mac: peer.mac?.toString() ?? null,
        way: plane.wayOf(peer),
        trouble: troubles.get(peer.subnet.toString()) ?? null,
        expiresAt: timeText(lease.expiresAtMs),
        isReservation: lease.expiresAtMs === undefined,
        ...peerCounts(stats, rowOf.get(peer)),
      };
    }
  }
}

/** What went to and came from one peer; nothing where it is not in the table, null where nobody counts. */
export function peerCounts(
  stats: PeerStats | null,
  row: number | undefined,
): Pick<PeerStatus, 'encap' | 'decap' | 'idleSeconds'> {
  if (!stats) return { encap: null, decap: null, idleSeconds: null };
  const count = (column: PeerColumn) => (row === undefined ? 0 : stats.get(row, column));
  const idleSeconds = row === undefined ? Number.POSITIVE_INFINITY : count('idleSeconds');
  return {
    encap: { packets: count('encapPackets'), bytes: count('encapBytes'), drops: count('encapDrops') },
    decap: { packets: count('decapPackets'), bytes: count('decapBytes'), drops: count('decapDrops') },
    idleSeconds: Number.isFinite(idleSeconds) ? Math.round(idleSeconds * 10) / 10 : null,
  };
}

/** Every packet received is either delivered or dropped under a name. */
export function identityHolds({ received, delivered, drops }: DirectionStats): boolean {
  return received === delivered + Object.values(drops).reduce((sum, count) => sum + count, 0);
}

export function subnetText({ v4, v6 }: LeaseSubnets): string {
  return [v4, v6].flatMap((subnet) => (subnet ? [subnet.toString()] : [])).join(' ');
}

function direction(stats: DirectionStats | null): DirectionStatus | null {
  if (!stats) return null;
  const { received, receivedBytes, delivered, deliveredBytes, drops } = stats;
  return { received, receivedBytes, delivered, deliveredBytes, drops: { ...drops } };
}

/** null: never, or at a time that only the store knows. */
export function timeText(atMs: number | undefined): string | null {
  return atMs === undefined || !Number.isFinite(atMs) ? null : new Date(atMs).toISOString();
}
