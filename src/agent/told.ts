/** What an agent tells of itself, in types: statusJson, peerRows and traceJson make it. */

/** What went one way through the dataplane. */
export interface DirectionStatus {
  /** Packets that came in; `received = delivered + sum of drops`. */
  readonly received: number;
  /** Bytes of these. */
  readonly receivedBytes: number;
  /** Packets that went out. */
  readonly delivered: number;
  /** Bytes of these. */
  readonly deliveredBytes: number;
  /** By drop reason, zeros too. */
  readonly drops: { readonly [reason: string]: number };
}

/** What `twill status` shows: the node and how it is. */
export interface AgentStatus {
  /** Of the package. */
  readonly version: string;
  /** Who we are in the overlay. */
  readonly node: {
    /** Of the underlay. */
    readonly interface: string;
    readonly publicIp: string;
    readonly publicIpv6: string | null;
    /** Ours; two with a space between them where both families have one. */
    readonly subnet: string;
    /** RFC 3339; null: never, or only the store knows. */
    readonly leaseExpiresAt: string | null;
    readonly leaseRenewsAt: string | null;
    readonly device: string;
    /** Largest inner packet. */
    readonly mtuBytes: number;
    /** Why the device carries nothing, if so. */
    readonly deviceTrouble: string | null;
  };
  /** What carries the packets, and what our lease says of it. */
  readonly backend: {
    readonly type: string;
    readonly port: number;
    readonly vni?: number;
    readonly mac?: string;
    readonly macV6?: string;
  };
  /** Where leases are kept; `trouble`: why it cannot be asked, if so. */
  readonly store: {
    readonly description: string;
    readonly trouble: string | null;
    readonly lastSnapshotAt: string | null;
  };
  /** Whether it carries and can be told of: every condition of `readiness` holds. */
  readonly ready: boolean;
  /** What each condition lacks; null: nothing. */
  readonly readiness: { readonly [condition: string]: string | null };
  /** Of the peer table: each change raises it by one. */
  readonly generation: number;
  /** Rows of the peer table. */
  readonly peers: number;
  /** Records of the store that cannot become peers. */
  readonly quarantined: readonly { readonly key: string; readonly reason: string }[];
  /** Since the device is open. */
  readonly counters: {
    readonly encap: DirectionStatus;
    readonly decap: DirectionStatus;
    readonly icmpSent: number;
    readonly icmpSuppressed: number;
  };
  /** Packet buffers. */
  readonly pool: { readonly free: number; readonly slots: number };
  /** Native threads that carry packets. */
  readonly workers: number;
  /** Since the agent started. */
  readonly uptimeSeconds: number;
}

/** A row of the peer table, as `twill peers` shows it. */
export interface PeerStatus {
  /** Of its record in the store. */
  readonly key: string;
  /** Addresses that are behind it. */
  readonly subnet: string;
  /** Outer address and UDP port. */
  readonly endpoint: { readonly address: string; readonly port: number };
  /** Of VXLAN. */
  readonly mac: string | null;
  /** RFC 3339; null: never, or only the store knows. */
  readonly expiresAt: string | null;
  /** Whether its lease never ends. */
  readonly isReservation: boolean;
  /** To it. */
  readonly encap: PeerCounts;
  /** From it. */
  readonly decap: PeerCounts;
  /** Since the last packet from it; null: none came. */
  readonly idleSeconds: number | null;
}

/** What went one way between a peer and us. */
export interface PeerCounts {
  /** Delivered; a super-packet counts as its segments. */
  readonly packets: number;
  /** Of these. */
  readonly bytes: number;
  /** Packets that ended early. */
  readonly drops: number;
}

/** What would become of a packet to one address, as `twill trace` shows it. */
export interface TraceStatus {
  /** The inner destination. */
  readonly address: string;
  /** Whether it is in our own subnet. */
  readonly ownSubnet: boolean;
  /** Largest inner packet. */
  readonly mtuBytes: number;
  /** Why a packet to this address would go nowhere; null: it would go. */
  readonly drop: string | null;
  /** Whose subnet holds it; null: nobody's. */
  readonly peer: Omit<PeerStatus, 'endpoint'> | null;
  /** Where the datagram would go. */
  readonly endpoint: { readonly address: string; readonly port: number } | null;
  /** The bytes in front of the inner packet, field by field, in hexadecimal. */
  readonly header: readonly { readonly bytes: string; readonly meaning: string }[];
  /** Where there is a drop: records that hold the address and cannot become peers. */
  readonly quarantined?: readonly { readonly key: string; readonly reason: string }[];
}
