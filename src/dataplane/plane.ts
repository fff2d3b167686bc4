/**
 * What the agent asks of a dataplane: make the wanted peers so, and tell what is going on. The userspace plane (our
 * engine) is one; planes of the kernel are others.
 */
import type { Peer } from '../backend/backend.js';
import type { NetlinkEvent } from '../native/netlink.js';
import type { IpAddress } from '../net/ip.js';
import type { PeerStats } from './peer-stats.js';
import type { PlaneTap, TapOptions } from './tap.js';

/**
 * Packets of one direction since open. `received = delivered + sum of drops` holds in every value returned.
 * Counts are exact up to 2^53.
 */
export interface DirectionStats {
  /** Packets that came in. */
  readonly received: number;
  /** Bytes of these. */
  readonly receivedBytes: number;
  /** Packets that went out; a super-packet counts as its segments. */
  readonly delivered: number;
  /** Bytes of these. */
  readonly deliveredBytes: number;
  /** Every drop reason of this direction by name, zero ones too. */
  readonly drops: Readonly<Record<string, number>>;
}

/** What a dataplane has done since it is open, and what it has. */
export interface PlaneStats extends PlaneCounts {
  /** Overlay to underlay. Bytes are those of inner packets. */
  readonly encap: DirectionStats;
  /** Underlay to overlay. Bytes received are those of datagrams, bytes delivered those of inner packets. */
  readonly decap: DirectionStats;
  /** ICMP errors answered into the overlay. */
  readonly icmpSent: number;
  /** ICMP errors held back by the rate limit. */
  readonly icmpSuppressed: number;
  /** Version of the peer table that new packets see; each change of peers raises it by one. */
  readonly generation: number;
  /** Rows of the peer table. */
  readonly peers: number;
  /** Native threads that carry packets. */
  readonly workers: number;
  /** Buffers of the pool that are nobody's now. */
  readonly poolFree: number;
  /** Buffers of the pool. */
  readonly poolSlots: number;
  /**
   * Offloads by name: asked for, in use now, and how often the kernel refused one (at the start or about a packet, which
   * then went without it).
   */
  readonly offloads: Readonly<Record<string, { wanted: boolean; active: boolean; refused: number }>>;
  /** How this processor sums checksums: `avx512`, `avx2`, `neon` or `scalar`. */
  readonly checksum: string;
}

/** The same of any plane; null: there is no such thing, or nobody counts it. */
export interface PlaneCounts {
  readonly encap: DirectionStats | null;
  readonly decap: DirectionStats | null;
  readonly icmpSent: number | null;
  readonly icmpSuppressed: number | null;
  readonly generation: number;
  readonly peers: number;
  readonly workers: number | null;
  readonly poolFree: number | null;
  readonly poolSlots: number | null;
  readonly offloads: Readonly<Record<string, { wanted: boolean; active: boolean; refused: number }>>;
  readonly checksum: string | null;
}

/** What would happen to a packet from this node to one address. */
export type PlaneTrace =
  | {
      readonly drop: null;
      readonly endpoint: { readonly address: IpAddress; readonly port: number };
      /** The bytes in front of the inner packet inside the UDP payload; empty for flannel's udp. */
      readonly header: Uint8Array;
      readonly mtuBytes: number;
      /** Default: in a tunnel. */
      readonly way?: Way;
    }
  | { readonly drop: string; readonly mtuBytes: number };

/** How packets for a peer leave this host: inside datagrams, or as they are, on a network that the peer is on too. */
export type Way = 'tunnel' | 'direct';

/** `userspace`: our engine. `kernel`: its vxlan device. `routes`: those of the host. `none`: nothing is carried. */
export type PlaneKind = 'userspace' | 'kernel' | 'routes' | 'none';

/** What came of a look at what the kernel has of ours. */
export interface PlaneState {
  /** What was found changed and has been put right, in words. */
  readonly mended: readonly string[];
  /** Routes of ours were among it that had become flannel's to the same place: as its start leaves them. */
  readonly hasFlannelsRoutes?: boolean;
  /** Why no packet can pass although nothing of ours is wrong; null: they can. */
  readonly trouble: string | null;
  /** When something that was refused is to be tried again; null: nothing waits. */
  readonly retryInMs: number | null;
}

/** Where a plane stands on the underlay. */
export interface PlaneUnderlay {
  /** Its name: one that goes and comes back has another number. */
  readonly interface: string;
  /** Addresses that we send from; a second one for IPv6 beside IPv4. */
  readonly localAddress: IpAddress;
  readonly localAddressV6?: IpAddress;
  /** Of the interface, bytes. */
  readonly externalMtuBytes: number;
  /** All addresses of this host: none may be the inner source of what peers send. */
  readonly ownAddresses: readonly IpAddress[];
}

export interface Plane {
  readonly kind: PlaneKind;
  /** Of ours; where the host's routes carry the packets, the interface that they leave by. */
  readonly deviceName: string;
  /** Numbers of our devices, where the kernel's carry the packets: 0 for one that is not there. */
  readonly deviceIndexes?: readonly number[];
  /** Changes of neighbours and forwarding entries concern it too. */
  readonly watchesNeighbours: boolean;
  /** Largest inner packet in bytes; another one after `rebind` to an interface of another MTU. */
  readonly mtuBytes: number;
  /** Makes the peer table equal to `wanted` in one step (packets see it before or after, never half); the generation. */
  setPeers(wanted: readonly Peer[]): number;
  /** How packets for a peer leave now. */
  wayOf(peer: Peer): Way;
  /** Peers of the table that are not reached as wanted, and why, by subnet; `''`: what is no peer's. */
  readonly troubles: ReadonlyMap<string, string>;
  /** Routes of others into the overlay, in words: they are left alone. */
  readonly foreignRoutes: readonly string[];
  stats(): PlaneCounts;
  /**
   * What each peer of the table sent and got since it is there; null: nobody counts it. Read before `stats`, the sums
   * over peers are never above the totals.
   */
  peerStats(): PeerStats | null;
  trace(destination: IpAddress): PlaneTrace;
  /**
   * Copies what passes from now on. One at a time: ERR_TWILL_BUSY where one is open; ERR_TWILL_CONTROL where packets
   * do not pass us.
   */
  openTap(options: TapOptions): PlaneTap;
  /**
   * Compares what the kernel has of ours with what it should be and puts right what others have changed; without
   * `isChanged` tries again what is due, no more. A device that was set down stays down, for somebody wanted it so. Throws a
   * TwillError where the device cannot be mended: forwarding then stands still until a later call.
   */
  reconcile(isChanged: boolean): PlaneState;
  /** Whether such a change calls for a look. */
  concerns(event: NetlinkEvent): boolean;
  /**
   * Takes another place on the underlay, and goes on with the same peers and counters; our engine loses no packet for it.
   * Throws a TwillError where that place cannot be had yet: all is as it was then.
   */
  rebind(underlay: PlaneUnderlay): void;
  /** Whether all that carries packets has shown a sign of life since the last call; ask no faster than it can. */
  isTurning(): boolean;
  /** Ends our part: what of it is ours alone goes, what the kernel does by itself goes on. A second call does nothing. */
  close(): void;
}
