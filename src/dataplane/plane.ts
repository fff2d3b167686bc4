/**
 * What the agent asks of a dataplane: make the wanted peers so, and tell what is going on. The userspace plane (our
 * engine) is one; planes of the kernel are others.
 */
import type { Peer } from '../backend/backend.js';
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
export interface PlaneStats {
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

/** What would happen to a packet from this node to one address. */
export type PlaneTrace =
  | {
      readonly drop: null;
      readonly endpoint: { readonly address: IpAddress; readonly port: number };
      /** The bytes in front of the inner packet inside the UDP payload; empty for flannel's udp. */
      readonly header: Uint8Array;
      readonly mtuBytes: number;
    }
  | { readonly drop: string; readonly mtuBytes: number };

/** What came of a look at the device. */
export interface DeviceState {
  /** What was found changed and has been put right, in words. */
  readonly mended: readonly string[];
  /** Why no packet can pass although nothing of ours is wrong; null: they can. */
  readonly trouble: string | null;
}

export interface Plane {
  readonly deviceName: string;
  /** The kernel's number for it; another one after `reconcile` had to make the device anew. */
  readonly deviceIndex: number;
  /** Largest inner packet in bytes. */
  readonly mtuBytes: number;
  /** Makes the peer table equal to `wanted` in one step (packets see it before or after, never half); the generation. */
  setPeers(wanted: readonly Peer[]): number;
  stats(): PlaneStats;
  /**
   * What each peer of the table sent and got since it is there. Read before `stats`, the sums over peers are never above
   * the totals.
   */
  peerStats(): PeerStats;
  trace(destination: IpAddress): PlaneTrace;
  /** Copies what passes from now on. One at a time: ERR_TWILL_BUSY where one is open. */
  openTap(options: TapOptions): PlaneTap;
  /**
   * Compares the device with what it should be and puts right what others have changed. A device that was set down stays
   * down, for somebody wanted it so. Throws a TwillError where mending fails: forwarding then stands still until a later call.
   */
  reconcile(): DeviceState;
  /** Whether all that carries packets has shown a sign of life since the last call; ask no faster than it can. */
  isTurning(): boolean;
  /** Stops forwarding, removes what was made. A second call does nothing. */
  close(): void;
}
