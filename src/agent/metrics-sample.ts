/** The agent's state as `/metrics` tells it. Nothing is asked of the store or the kernel for it. */
import type { Backend, BackendNode } from '../backend/backend.js';
import type { PeerStats } from '../dataplane/peer-stats.js';
import type { Plane } from '../dataplane/plane.js';
import type { Lease } from '../lease/lease.js';
import type { DataplaneSample } from '../observe/metrics.js';
import type { FirewallKeeper } from './firewall-keeper.js';
import type { Mended } from './mended.js';
import type { PeerTable } from './peers.js';
import { subnetText } from './status.js';
import type { Underlay } from './underlay.js';

export interface DataplaneParts {
  readonly underlay: Underlay;
  readonly node: BackendNode;
  readonly backend: Backend;
  readonly plane: Plane;
  readonly mended: Mended;
  readonly peers: PeerTable;
  readonly lease: Lease;
  /** null: never. */
  readonly leaseRenewsAtMs: number | null;
  readonly deviceTrouble: string | null;
  readonly firewall: Pick<FirewallKeeper, 'hasTrouble' | 'mendedTotal'>;
  readonly underlayMoves: number;
  readonly nowMs: number;
}

/** Subnets as text: made anew only when the peers have changed. */
export class SubnetTexts {
  #generation = -1;
  #texts: readonly string[] = [];

  of({ peers }: PeerStats, generation: number): readonly string[] {
    if (generation !== this.#generation || peers.length !== this.#texts.length) {
      this.#texts = peers.map(({ subnet }) => subnet.toString());
      this.#generation = generation;
    }
    return this.#texts;
  }
}

export function dataplaneSample(parts: DataplaneParts, texts: SubnetTexts): DataplaneSample {
  const { backend, lease, node, nowMs, peers, plane, underlay } = parts;
  const peerStats = plane.peerStats();
  const stats = plane.stats();
  const { encap, decap, icmpSent, icmpSuppressed, generation } = stats;
  return {
    node: {
      ...{ interface: underlay.interface, public_ip: node.publicIp.toString() },
      ...(node.publicIpv6 && { public_ipv6: node.publicIpv6.toString() }),
      ...{ subnet: subnetText(lease.subnets), device: plane.deviceName, backend: backend.type },
      dataplane: plane.kind,
    },
    mtuBytes: plane.mtuBytes,
    peerCounts: peerStats && {
      subnets: texts.of(peerStats, generation),
      get: (row, column) => peerStats.get(row, column),
      idleSeconds: (row) => peerStats.get(row, 'idleSeconds'),
    },
    ...{ encap, decap, icmpSent, icmpSuppressed, generation },
    peers: stats.peers,
    quarantined: peers.quarantined.length,
    ...{ workers: stats.workers, poolSlots: stats.poolSlots, poolFree: stats.poolFree },
    ...{ offloads: stats.offloads, checksum: stats.checksum },
    mended: parts.mended.count,
    peersInTrouble: plane.troubles.size,
    deviceTrouble: parts.deviceTrouble !== null,
    rulesTrouble: parts.firewall.hasTrouble,
    rulesMended: parts.firewall.mendedTotal,
    underlayMoves: parts.underlayMoves,
    storeTrouble: peers.trouble !== null,
    storeAgeSeconds: peers.lastSnapshotAtMs === null ? null : (nowMs - peers.lastSnapshotAtMs) / 1000,
    leaseExpiresAtMs: lease.expiresAtMs ?? null,
    leaseRenewsAtMs: parts.leaseRenewsAtMs,
  };
}
