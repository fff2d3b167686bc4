/**
 * A backend decides, from pure values, what our lease carries, which leases are peers of ours and how they are reached.
 * It does nothing: the dataplane makes the wanted state so.
 */
import type { Lease, LeaseAttributes } from '../lease/lease.js';
import type { IpAddress, IpFamily } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import type { Prefix } from '../net/prefix.js';

/** A row of the dataplane's peer table. Its identity is `subnet`. */
export interface Peer {
  /** Packets for these addresses go to it, and only packets from these are accepted from it. */
  readonly subnet: Prefix;
  /** Outer address and UDP port, where datagrams for it go; port 0: packets are routed to the address as they are. */
  readonly endpoint: { readonly address: IpAddress; readonly port: number };
  /** VTEP MAC, for VXLAN. */
  readonly mac?: MacAddress;
}

/** What a lease becomes: rows for the table, or the reason why it is no peer of ours. */
export type PeerDecision = { readonly peers: readonly Peer[] } | { readonly refused: string };

export interface BackendNode {
  readonly publicIp: IpAddress;
  readonly publicIpv6: IpAddress | null;
  /** Our VTEP MAC, for VXLAN. */
  readonly mac?: MacAddress;
  /** That of frames with IPv6 inside, where it is another. */
  readonly macV6?: MacAddress;
}

interface AnyBackend {
  readonly type: string;
  /** MTU of what pods use, from that of the underlay interface. */
  deviceMtu(externalMtu: number, underlay: IpFamily): number;
  attributes(node: BackendNode): LeaseAttributes;
  decide(lease: Lease): PeerDecision;
}

/** Packets go inside datagrams. */
export interface TunnelBackend extends AnyBackend {
  readonly carrier: 'tunnel';
  readonly encap: 'udp' | 'vxlan';
  /** UDP port of the cluster: 8285 or 8472 unless configured. */
  readonly port: number;
  readonly vni?: number;
  /** The device's name as flannel gives it: `flannel.1`; `flannel%d` lets the kernel pick the number. */
  readonly deviceName: string;
  /** A peer whose address is on a network of ours is routed to, without a tunnel. */
  readonly directRouting: boolean;
  /** What only the kernel's vxlan device can do. */
  readonly gbp: boolean;
  readonly learning: boolean;
  /** Bytes that the outer headers need over an underlay of this family. */
  overheadBytes(underlay: IpFamily): number;
}

/** The host's own routes carry them, each to a peer that must be on a network of ours. */
export interface RouteBackend extends AnyBackend {
  readonly carrier: 'routes';
}

/** Nothing is carried: a lease is taken, the rest is somebody else's. */
export interface LeaseBackend extends AnyBackend {
  readonly carrier: 'none';
}

export type Backend = TunnelBackend | RouteBackend | LeaseBackend;
