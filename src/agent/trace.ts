/** What would happen to a packet from this node to one address, for people and programs. Pure. */
import type { Peer } from '../backend/backend.js';
import type { PeerStats } from '../dataplane/peer-stats.js';
import type { PlaneTrace } from '../dataplane/plane.js';
import { parseLeaseKey } from '../lease/codec.js';
import type { Lease, LeaseSubnets } from '../lease/lease.js';
import type { IpAddress } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import type { PeerLease, Quarantined } from './peers.js';
import { peerCounts, timeText } from './status.js';
import type { TraceStatus } from './told.js';

const MOST_CULPRITS = 10;

export interface TraceParts {
  readonly destination: IpAddress;
  /** What the packet path says. */
  readonly found: PlaneTrace;
  readonly entries: readonly PeerLease[];
  readonly quarantined: readonly Quarantined[];
  /** null: nobody counts by peer. */
  readonly stats: PeerStats | null;
  readonly ownSubnets: LeaseSubnets;
}

export function traceStatus(parts: TraceParts): TraceStatus {
  const { destination, found, entries, ownSubnets } = parts;
  const isOurs = [ownSubnets.v4, ownSubnets.v6].some((subnet) => subnet?.contains(destination));
  const base = { address: destination.toString(), ownSubnet: isOurs, mtuBytes: found.mtuBytes };
  if (found.drop !== null) {
    // A record that is there and may not count is what most often stands behind it.
    const culprits = parts.quarantined.filter(({ key }) => covers(key, destination));
    const quarantined = culprits.slice(0, MOST_CULPRITS).map(({ key, reason }) => ({ key, reason }));
    return { ...base, drop: found.drop, peer: null, endpoint: null, header: [], quarantined };
  }
  const rows = entries.flatMap(({ lease, peers }) => peers.map((peer) => ({ lease, peer })));
  const row = rows
    .filter(({ peer }) => peer.subnet.contains(destination))
    .sort((a, b) => b.peer.subnet.length - a.peer.subnet.length)[0];
  return {
    ...base,
    drop: null,
    peer: row ? peerStatus(row.lease, row.peer, parts.stats) : null,
    endpoint: { address: found.endpoint.address.toString(), port: found.endpoint.port },
    way: found.way ?? 'tunnel',
    header: explainHeader(found.header),
  };
}

function peerStatus(lease: Lease, peer: Peer, stats: PeerStats | null): TraceStatus['peer'] {
  const row = stats?.peers.indexOf(peer) ?? -1;
  return {
    ...{ key: lease.key, subnet: peer.subnet.toString(), mac: peer.mac?.toString() ?? null },
    ...{ expiresAt: timeText(lease.expiresAtMs), isReservation: lease.expiresAtMs === undefined },
    ...peerCounts(stats, row < 0 ? undefined : row),
  };
}

/** Whether a record under this key would hold the address, were it a good one. */
function covers(key: string, address: IpAddress): boolean {
  try {
    const { v4, v6 } = parseLeaseKey(key);
    return [v4, v6].some((subnet) => subnet?.contains(address));
  } catch {
    return false;
  }
}

/**
 * The bytes between the outer UDP header and the inner packet, field by field. flannel's udp has none; VXLAN has 8
 * (RFC 7348, section 5) and the 14 of an Ethernet header.
 */
export function explainHeader(header: Uint8Array): { bytes: string; meaning: string }[] {
  const field = (start: number, end: number, meaning: string) => {
    return { bytes: Buffer.from(header.subarray(start, end)).toString('hex'), meaning };
  };
  if (header.length === 0) return [];
  if (header.length !== 22) return [field(0, header.length, 'header')];
  const vni = Buffer.from(header).readUIntBE(4, 3);
  const isIpv6 = header[20] === 0x86 && header[21] === 0xdd;
  return [
    field(0, 4, 'VXLAN flags: a VNI is given'),
    field(4, 8, `VNI ${vni}`),
    field(8, 14, `inner destination MAC ${MacAddress.fromBytes(header.subarray(8, 14))}`),
    field(14, 20, `inner source MAC ${MacAddress.fromBytes(header.subarray(14, 20))}`),
    field(20, 22, `EtherType ${isIpv6 ? 'IPv6' : 'IPv4'}`),
  ];
}
