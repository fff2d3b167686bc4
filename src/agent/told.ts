/** What an agent tells of itself, in types: agentStatus, peerRows and traceStatus make it. */

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
    /** Largest packet of the underlay. */
    readonly interfaceMtuBytes: number;
    /** How often another address, MTU or interface of the underlay was taken. */
    readonly underlayMoves: number;
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
    /** Of a tunnel: its UDP port. */
    readonly port?: number;
    readonly vni?: number;
    /** Whether peers on our link are reached without the tunnel. */
    readonly directRouting?: boolean;
    readonly mac?: string;
    readonly macV6?: string;
  };
  /** Which dataplane it is. */
  readonly dataplane: {
    /** `userspace`, `kernel` or `routes`. */
    readonly kind: string;
    /** Why it was chosen. */
    readonly why: string;
    /** What the kernel refuses, by peer; null: it is no one peer's. */
    readonly troubles: readonly { readonly subnet: string | null; readonly reason: string }[];
    /** Routes of others that stand in the way. */
    readonly foreignRoutes: readonly string[];
    /** What others changed and was put right. */
    readonly mended: MendedStatus;
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
  /** Since the device is open; null where nobody counts, as with routes alone. */
  readonly counters: {
    readonly encap: DirectionStatus | null;
    readonly decap: DirectionStatus | null;
    readonly icmpSent: number | null;
    readonly icmpSuppressed: number | null;
  };
  /** Whether `received = delivered + sum of drops` holds in these counters. */
  readonly identity: { readonly encap: boolean | null; readonly decap: boolean | null };
  /** Packet buffers; null: the kernel's plane has none. */
  readonly pool: { readonly free: number | null; readonly slots: number | null };
  /** Native threads that carry packets; null: the kernel does. */
  readonly workers: number | null;
  /** By name. `refused`: how often the kernel said no. */
  readonly offloads: {
    readonly [name: string]: { readonly wanted: boolean; readonly active: boolean; readonly refused: number };
  };
  /** How checksums are summed on this processor; null: the kernel does. */
  readonly checksum: string | null;
  /** Settings of this host that keep pods from being reached, each with its remedy. */
  readonly hostTroubles: readonly string[];
  /** The host's rules for masquerading and forwarding; null: none of our business. */
  readonly firewall: FirewallStatus | null;
  /** Since the agent started. */
  readonly uptimeSeconds: number;
}

/** What others had changed and we have put right. */
export interface MendedStatus {
  /** How often. */
  readonly count: number;
  /** The last of it; `at` as in RFC 3339, `what` in words. */
  readonly last: readonly { readonly at: string; readonly what: string }[];
}

/** How the host's rules for masquerading and forwarding are. */
export interface FirewallStatus {
  /** What was asked for: `auto`, or who is to hold the rules. */
  readonly mode: string;
  /** Who holds them, as `nftables` or `iptables-nft`; null: not known yet. */
  readonly holder: string | null;
  /** Whether traffic that leaves the overlay is masqueraded. */
  readonly masquerade: boolean;
  /** Whether forwarding to and from the overlay is accepted. */
  readonly forward: boolean;
  /** Whether masquerading chooses ports at random. */
  readonly randomPorts: boolean;
  /** Whether all rules are there; null: not known. */
  readonly isRight: boolean | null;
  /** Why they cannot be set, if so. */
  readonly troubles: readonly string[];
  /** Rules that were put right since they were first right. */
  readonly mended: MendedStatus;
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
  /** `tunnel`, or `direct` where it is on our link and routes may lead to it. */
  readonly way: string;
  /** What the kernel refuses about it; null: nothing. */
  readonly trouble: string | null;
  /** RFC 3339; null: never, or only the store knows. */
  readonly expiresAt: string | null;
  /** Whether its lease never ends. */
  readonly isReservation: boolean;
  /** To it; null: nobody counts by peer. */
  readonly encap: PeerCounts | null;
  /** From it; null: nobody counts by peer. */
  readonly decap: PeerCounts | null;
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
  readonly peer: Omit<PeerStatus, 'endpoint' | 'way' | 'trouble'> | null;
  /** Where the datagram would go. */
  readonly endpoint: { readonly address: string; readonly port: number } | null;
  /** `tunnel` or `direct`; absent where there is a drop. */
  readonly way?: string;
  /** The bytes in front of the inner packet, field by field, in hexadecimal. */
  readonly header: readonly { readonly bytes: string; readonly meaning: string }[];
  /** Where there is a drop: records that hold the address and cannot become peers. */
  readonly quarantined?: readonly { readonly key: string; readonly reason: string }[];
}
