/** What an agent tells of itself, in types: statusJson, peerRows and traceJson make it. */

export interface DirectionStatus {
  /** Packets and bytes; `received = delivered + sum of drops`. */
  readonly received: number;
  readonly receivedBytes: number;
  readonly delivered: number;
  readonly deliveredBytes: number;
  /** By drop reason, zeros too. */
  readonly drops: { readonly [reason: string]: number };
}

export interface AgentStatus {
  readonly version: string;
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
  readonly backend: {
    readonly type: string;
    readonly port: number;
    readonly vni?: number;
    readonly mac?: string;
    readonly macV6?: string;
  };
  readonly store: {
    readonly description: string;
    readonly trouble: string | null;
    readonly lastSnapshotAt: string | null;
  };
  /** Whether it carries and can be told of; what each condition lacks, null: nothing. */
  readonly ready: boolean;
  readonly readiness: { readonly [condition: string]: string | null };
  /** Of the peer table: each change raises it by one. */
  readonly generation: number;
  /** Rows of the peer table. */
  readonly peers: number;
  /** Records of the store that cannot become peers. */
  readonly quarantined: readonly { readonly key: string; readonly reason: string }[];
  readonly counters: {
    readonly encap: DirectionStatus;
    readonly decap: DirectionStatus;
    readonly icmpSent: number;
    readonly icmpSuppressed: number;
  };
  readonly pool: { readonly free: number; readonly slots: number };
  readonly workers: number;
  readonly uptimeSeconds: number;
}

export interface PeerStatus {
  /** Of its record in the store. */
  readonly key: string;
  readonly subnet: string;
  readonly endpoint: { readonly address: string; readonly port: number };
  /** Of VXLAN. */
  readonly mac: string | null;
  /** RFC 3339; null: never, or only the store knows. */
  readonly expiresAt: string | null;
  readonly isReservation: boolean;
  /** To it. */
  readonly encap: PeerCounts;
  /** From it. */
  readonly decap: PeerCounts;
  /** Since the last packet from it; null: none came. */
  readonly idleSeconds: number | null;
}

export interface PeerCounts {
  readonly packets: number;
  readonly bytes: number;
  readonly drops: number;
}

export interface TraceStatus {
  readonly address: string;
  readonly ownSubnet: boolean;
  readonly mtuBytes: number;
  /** Why a packet to this address would go nowhere; null: it would go. */
  readonly drop: string | null;
  readonly peer: Omit<PeerStatus, 'endpoint'> | null;
  readonly endpoint: { readonly address: string; readonly port: number } | null;
  /** The bytes in front of the inner packet, field by field, in hexadecimal. */
  readonly header: readonly { readonly bytes: string; readonly meaning: string }[];
  /** Where there is a drop: records that hold the address and cannot become peers. */
  readonly quarantined?: readonly { readonly key: string; readonly reason: string }[];
}
