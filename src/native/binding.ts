/**
 * The one typed door to the native addon. Nothing else in `src/` may load it. Addresses cross as bytes in network order
 * (4 or 16), MACs as 6 bytes; C++ parses no text.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TwillError } from '../errors.js';

/** Where the engine gets its overlay packets. */
export type NativeOverlay =
  | {
      kind: 'tun';
      /** Device name; `%d` lets the kernel choose the number. */
      name: string;
      /** Keep the device when the process ends. */
      persist: boolean;
    }
  | { kind: 'user' };

export type NativeUnderlay =
  | {
      kind: 'udp';
      /** Local address to bind, 4 or 16 bytes; all zero is the wildcard. */
      bindAddress: Uint8Array;
      /** Source address of what we send (the wildcard lets the kernel choose). Same family as bindAddress. */
      sourceAddress: Uint8Array;
      port: number;
      /** Sockets with ports of their own to send flows from (VXLAN); 0 sends from `port`. */
      sourcePorts: number;
    }
  | { kind: 'user' };

export interface NativeEngineOptions {
  encap: 'udp' | 'vxlan';
  /** Port of the cluster, for the loop check. */
  port: number;
  vni: number;
  /** Our VTEP MAC, 6 bytes (zero for udp). */
  mac: Uint8Array;
  /** That of frames with IPv6 inside, where it is another. */
  macV6?: Uint8Array | null;
  /** Packets for these are ours: packed prefixes, 18 bytes each: family (4|6), length, 16 bytes of address. */
  ownSubnets: Uint8Array;
  /** Our own addresses, which must not appear as inner source: packed as ownSubnets (/32, /128). */
  ownAddresses: Uint8Array;
  /** Source of ICMP answers: packed as ownSubnets, one per family at most. */
  icmpSources: Uint8Array;
  /** Largest inner packet in bytes. */
  innerMtu: number;
  sourceCheck: boolean;
  overlay: NativeOverlay;
  underlays: NativeUnderlay[];
  /** Native threads; 0: no thread, the caller drives with `step()`. */
  workers: number;
  /** Processors that the workers stay on, by turns; empty: any. */
  workerCpus: readonly number[];
  /** Slots of each pool. */
  poolSlots: number;
  /** Names of native/offload/offloads.def that are wanted. */
  offload: readonly string[];
}

/** UserEvent of native/engine/engine.h. */
export const USER_EVENT = {
  overlayReadable: 1,
  underlayReadable: 2,
  poolFree: 4,
  overlayRoom: 8,
  underlayRoom: 16,
} as const;

export interface NativeTapOptions {
  /** Outer addresses of peers, packed as ownSubnets; empty: all. */
  peers: Uint8Array;
  /** Holding inner source or destination, packed as ownSubnets; empty: all. */
  subnets: Uint8Array;
  /** Drop reasons by name, `none` for what was delivered; null: whatever its fate. */
  drops: readonly string[] | null;
  /** Of so many packets one is looked at. */
  every: number;
  /** Most of a payload that is kept. */
  snapBytes: number;
  /** For each worker; a power of two. */
  ringBytes: number;
}

/** Counters of one direction: `received = delivered + sum(drops)` holds in every value returned. */
export interface NativeDirection {
  received: number;
  receivedBytes: number;
  delivered: number;
  deliveredBytes: number;
  /** Every drop reason by name. */
  drops: Record<string, number>;
}

export interface NativeStats {
  encap: NativeDirection;
  decap: NativeDirection;
  /** ICMP errors answered into the overlay. */
  icmpSent: number;
  icmpSuppressed: number;
  /** Version of the peer table that new packets see. */
  generation: number;
  peers: number;
  workers: number;
  poolFree: number;
  poolSlots: number;
  /** By name. `refused`: how often the kernel said no, at the probe or about a packet (which then went without). */
  offloads: Record<string, { wanted: boolean; active: boolean; refused: number }>;
  /** How checksums are summed on this processor. */
  checksum: string;
}

/** What `trace` finds for one address. */
export interface NativeTrace {
  /** null where a peer was found. */
  drop: string | null;
  endpointAddress?: Uint8Array;
  endpointPort?: number;
  /** The cooked header in front of the inner packet, as bytes. */
  header?: Uint8Array;
}

/** One published row, packed for `publish`: see native/engine/peer_ops.h for the layout (48 bytes). */
export interface NativeEngine {
  readonly deviceName: string;
  readonly deviceIndex: number;
  /** Applies packed operations as one change set and returns the new generation. */
  publish(ops: Uint8Array): number;
  /**
   * Takes `innerMtu`, `ownSubnets`, `ownAddresses`, `icmpSources`, `sourceCheck` and `underlays` from now on; all else of
   * the options stays as it was opened. No packet is lost for it. Where it throws, all is as it was.
   */
  rebind(options: NativeEngineOptions): void;
  stats(): NativeStats;
  /**
   * Writes seven numbers for each packed prefix (as `ownSubnets`): packets, bytes and drops to it, the same from it, and
   * the seconds since the last delivered packet from it (Infinity: none). Zeros for what is no peer.
   */
  peerCounts(subnets: Uint8Array, counts: Float64Array): void;
  trace(address: Uint8Array): NativeTrace;
  /**
   * The pool's memory, for user ports: slots of equal size, a packet anywhere in its slot behind some headroom; a record
   * for each slot, and the list of slots that calls are about (native/binding/user_ports.h). `headerBytes`: what has to be
   * free in front of a packet that goes into the overlay. To be called once.
   */
  buffers(): {
    slab: ArrayBuffer;
    records: ArrayBuffer;
    list: ArrayBuffer;
    slotBytes: number;
    headroomBytes: number;
    headerBytes: number;
  };
  /** Free slots of the pool. */
  free(): number;
  /** Puts at most `count` fresh slots for the program into the list; how many there were. */
  take(count: number): number;
  /** The first `count` of the list, back to the pool: all or, where one is not the program's, none. */
  give(count: number): void;
  /** `side`: 0 overlay, 1 underlay. Puts at most `count` packets that have come into the list, with records; how many. */
  pull(side: number, count: number): number;
  /** How many of the first `count` of the list the engine took, in order; the rest stay the program's. All are checked first. */
  push(side: number, count: number): number;
  /** A copy of these bytes; false where there is no slot or no room. */
  write(side: number, bytes: Uint8Array): boolean;
  /** From here on the listener is told of these (USER_EVENT), also of packets that wait already. Not 0: the process stays alive. */
  listen(events: number): void;
  /** Whether so many slots, or places in the queue to the engine, are free now. If not, the listener is told once when they are. */
  awaitFree(count: number): boolean;
  awaitRoom(side: number, count: number): boolean;
  /** Whose row of the peer table has, or had last, this number. */
  peerSubnet(number: number): { address: Uint8Array; length: number } | null;
  /** Copies what passes from now on, see native/tap/. One at a time. */
  openTap(options: NativeTapOptions): void;
  /** Whole records (native/tap/record.h); how many bytes they take. */
  readTap(out: Uint8Array): number;
  /** Packets that the filter wanted: copied, or lost for want of room. */
  countTap(): { kept: number; lost: number };
  closeTap(): void;
  /** One sweep in both directions on an engine with `workers: 0`; packets moved. */
  step(): number;
  /** Whether every worker has turned since the last call, which asks them anew. True where there is none. */
  turning(): boolean;
  close(): void;
}

export interface NativeLink {
  index: number;
  name: string;
  alias: string;
  kind: string;
  mtu: number;
  up: boolean;
  mac: Uint8Array | null;
  /** ifindex of the lower device, 0 where there is none. */
  lower: number;
  /** ifindex of the bridge, bond or VRF that it belongs to, 0 where there is none. */
  master: number;
  carrier: boolean;
  vxlan?: {
    vni: number;
    port: number;
    local: Uint8Array | null;
    remote: Uint8Array | null;
    learning: boolean;
    l2miss: boolean;
    gbp: boolean;
    external: boolean;
  };
}
export interface NativeAddress {
  index: number;
  address: Uint8Array;
  prefixLength: number;
  /** RT_SCOPE_*: 0 global, 253 link, 254 host. */
  scope: number;
  /** IFA_F_* flags. */
  flags: number;
}
export interface NativeRoute {
  /** Destination, null for the default route. */
  destination: Uint8Array | null;
  prefixLength: number;
  family: 4 | 6;
  gateway: Uint8Array | null;
  /** Preferred source. */
  source: Uint8Array | null;
  index: number;
  table: number;
  priority: number;
  /** RTN_*: 1 unicast, 2 local, 6 blackhole, 7 unreachable. */
  type: number;
  /** RTPROT_*. */
  protocol: number;
  scope: number;
}
/** `lost`: the kernel dropped events; look at everything again. */
export type NativeNetlinkEvent = {
  kind: 'link' | 'address' | 'route' | 'neighbour' | 'lost';
  removed: boolean;
  index: number;
};

export interface NativeVxlanPlan {
  name: string;
  mac: Uint8Array;
  mtu: number;
  lower: number;
  vni: number;
  port: number;
  local: Uint8Array;
  learning: boolean;
  gbp: boolean;
}
export interface NativeLinkCounters {
  rxPackets: number;
  rxBytes: number;
  rxErrors: number;
  rxDropped: number;
  txPackets: number;
  txBytes: number;
  txErrors: number;
  txDropped: number;
}
export interface NativeNeighbour {
  address: Uint8Array;
  mac: Uint8Array;
  /** NUD_*. */
  state: number;
}
export interface NativeForwardingEntry {
  mac: Uint8Array;
  endpoint: Uint8Array | null;
  /** NUD_*. */
  state: number;
  self: boolean;
}
/** `add` fails where one with that key is there, `set` replaces it. */
export type NativeVerb = 'add' | 'set' | 'delete';
export type NativeNetlinkChange = { verb: NativeVerb; index: number } & (
  | {
      kind: 'route';
      destination: Uint8Array;
      prefixLength: number;
      gateway: Uint8Array | null;
      source: Uint8Array | null;
      onlink: boolean;
      /** 0: what the kernel gives it. */
      priority: number;
      protocol: number;
      /** RTN_*; 0: unicast. */
      type: number;
    }
  | { kind: 'neighbour'; address: Uint8Array; mac: Uint8Array | null }
  | { kind: 'forwarding'; mac: Uint8Array; endpoint: Uint8Array | null }
  | { kind: 'address'; address: Uint8Array; prefixLength: number }
);
export interface NativeRefusal {
  errno: number;
  message: string;
}

/** See native/netlink/. Every call is synchronous and acts in the network namespace of the process. */
export interface NativeNetlink {
  links(): NativeLink[];
  linkSet(
    index: number,
    change: {
      mtu?: number;
      up?: boolean;
      txQueueLength?: number;
      gsoMaxBytes?: number;
      name?: string;
      alias?: string;
      mac?: Uint8Array;
    },
  ): void;
  linkDelete(index: number): void;
  /** A vxlan device as flannel makes it. Errno EOPNOTSUPP where this kernel has none. */
  vxlanAdd(plan: NativeVxlanPlan): void;
  linkCounters(index: number): NativeLinkCounters;
  addresses(): NativeAddress[];
  addressAdd(index: number, address: Uint8Array, prefixLength: number): void;
  addressDelete(index: number, address: Uint8Array, prefixLength: number): void;
  routes(family: 4 | 6): NativeRoute[];
  /** Adds or replaces; `gateway` may be null; `onlink` accepts a gateway outside every connected prefix. */
  routeReplace(route: {
    destination: Uint8Array;
    prefixLength: number;
    index: number;
    gateway: Uint8Array | null;
    source: Uint8Array | null;
    onlink: boolean;
    blackhole?: boolean;
    /** The metric; 0: the kernel's choice. */
    priority?: number;
  }): void;
  routeDelete(route: {
    destination: Uint8Array;
    prefixLength: number;
    index: number;
    blackhole?: boolean;
    priority?: number;
  }): void;
  /** The kernel's answer to "how do you reach this address". */
  routeGet(destination: Uint8Array): NativeRoute;
  /** Many of them; null where the kernel does not reach an address. */
  routeGets(destinations: Uint8Array[]): (NativeRoute | null)[];
  /** Of one device. */
  neighbours(family: 4 | 6, index: number): NativeNeighbour[];
  forwarding(index: number): NativeForwardingEntry[];
  /** Many changes at once; null for each that was done, else why not. One that is refused holds up no other. */
  change(changes: NativeNetlinkChange[]): (NativeRefusal | null)[];
  /** Calls back after changes (coalesced); `stop()` ends it. Keeps no process alive by itself. */
  watch(
    onEvents: (events: NativeNetlinkEvent[]) => void,
    options?: { neighbours?: boolean },
  ): { stop(): void };
  /** The same for tables, chains and rules of nftables with these names. */
  watchNftables(tables: readonly string[], chains: readonly string[], onChange: () => void): { stop(): void };
}

export interface PingReport {
  sent: number;
  received: number;
  duplicated: number;
  /** Answers whose payload was not what had been sent. */
  corrupted: number;
  /** Of the received, in order of arrival. */
  rttMicros: number[];
}
export interface TcpReport {
  bytes: number;
  seconds: number;
  /** `hash`: of all bytes, to compare both ends. */
  streams: { bytes: number; hash: string; complete: boolean }[];
}
export interface UdpSendReport {
  sent: number;
  /** Of those, not taken by our own system: never on the way. */
  refused: number;
  seconds: number;
}
export interface UdpReceiveReport {
  /** Different datagrams. */
  received: number;
  bytes: number;
  duplicated: number;
  reordered: number;
  malformed: number;
  seconds: number;
  meanDelayMicros: number;
}

/** Traffic to measure with: see native/traffic/. Every call blocks until it is done: use a process of its own. */
export interface NativeTraffic {
  ping(options: {
    address: Uint8Array;
    count: number;
    intervalMicros: number;
    payloadBytes: number;
    timeoutMs: number;
  }): PingReport;
  /** For a time, or until `bytes` of each stream. */
  tcpSend(options: {
    address: Uint8Array;
    port: number;
    durationMs?: number;
    bytes?: number;
    streams: number;
    timeoutMs: number;
  }): TcpReport;
  tcpReceive(
    options: { address: Uint8Array; port: number; streams: number; timeoutMs: number },
    ready: (port: number) => void,
  ): TcpReport;
  /** `packetsPerSecond` 0: as fast as the system takes them. */
  udpSend(options: {
    address: Uint8Array;
    port: number;
    payloadBytes: number;
    packetsPerSecond: number;
    durationMs: number;
  }): UdpSendReport;
  udpReceive(
    options: { address: Uint8Array; port: number; quietMs: number; timeoutMs: number },
    ready: (port: number) => void,
  ): UdpReceiveReport;
  /** Flannel's udp proxy as it is (native/traffic/flannel_loop.h), until `stopDescriptor` is readable or closed. */
  flannelLoop(
    options: {
      /** Local address of the socket, 4 bytes. */
      address: Uint8Array;
      port: number;
      device: string;
      ownAddress: Uint8Array;
      mtuBytes: number;
      /** 12 bytes each: network, mask, next hop. */
      routes: Uint8Array;
      stopDescriptor: number;
    },
    opened: (name: string, index: number) => void,
    ready: () => void,
  ): void;
}

/** A TUN device by itself. After `close` all but `close`, `name` and `index` throw ERR_TWILL_CLOSED. */
export interface NativeTun {
  readonly name: string;
  readonly index: number;
  /** One packet; its length, or the negative errno: -EAGAIN where there is none now. Never waits. */
  read(out: Uint8Array): number;
  /** One packet; 0, or the negative errno. Never waits. */
  write(packet: Uint8Array): number;
  /**
   * Calls back on the event loop while the device is readable (1) or writable (2), with what it is; with a negative status
   * once, and never again, where the device is gone. 0: no more. Holds the listener, and the process, as long.
   */
  watch(events: number, listener: ((status: number, events: number) => void) | null): void;
  /** Whether a watch keeps the process alive. */
  keepAlive(keep: boolean): void;
  /** The device goes at once. A second call does nothing. */
  close(): void;
}

export interface NativeAddon {
  /** Names of all drop reasons in the order of their numbers; the number behind the last stands for none. */
  readonly dropReasons: readonly string[];
  /** The engine lives, and holds `listener`, until it is closed or its environment ends. `listener` must not throw. */
  openEngine(options: NativeEngineOptions, listener: (events: number) => void): NativeEngine;
  readonly netlink: NativeNetlink;
  readonly traffic: NativeTraffic;
  /** Opens or makes a TUN device; `%d` in the name lets the kernel choose the number. */
  openTun(name: string): NativeTun;
  /** flock(2), exclusive, without waiting: whether it is ours now. The kernel releases it when the descriptor closes. */
  tryLockFile(descriptor: number): boolean;
  /** One datagram, without waiting. `path` of a Unix socket; "@" in front: a name in the abstract namespace. */
  sendToUnixSocket(path: string, bytes: Uint8Array): void;
}

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
let loaded: NativeAddon | undefined;

/**
 * Loads the addon, once: one that was built here, or else the one for this machine that came with the package. Throws
 * ERR_TWILL_NATIVE with what is wrong and how to mend it where there is none.
 */
export function loadNative(): NativeAddon {
  if (loaded) return loaded;
  const machine = `${process.platform}-${process.arch}`;
  if (process.platform !== 'linux')
    throw new TwillError(
      'ERR_TWILL_NATIVE',
      `the packet path of Twill runs on Linux only, and this is ${machine}: what needs none of it, as twill/codec, works here`,
    );
  const find = createRequire(import.meta.url)('node-gyp-build') as FindAddon;
  const remedy = `"node ${join(root, 'native/build.mjs')}" builds it (needs a C++20 compiler, make and python3)`;
  try {
    find.resolve(root);
  } catch (cause) {
    const what = `there is no native addon for ${machine} (Node ${process.version}) in ${root}`;
    throw new TwillError('ERR_TWILL_NATIVE', `${what}: ${remedy}`, { cause });
  }
  try {
    loaded = find(root);
  } catch (cause) {
    const [why] = (cause as Error).message.split('\n');
    throw new TwillError('ERR_TWILL_NATIVE', `the native addon does not load (${why}): ${remedy}`, { cause });
  }
  return loaded;
}

/** node-gyp-build: `build/Release` below a folder first, then what `prebuilds` has for this machine and libc. */
interface FindAddon {
  (folder: string): NativeAddon;
  resolve(folder: string): string;
}
