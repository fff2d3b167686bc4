/** One native engine, as the planes and the library use it: values in, values out. */
import type { Peer } from '../backend/backend.js';
import { OFFLOADS, type OffloadName } from '../config/offload.js';
import {
  loadNative,
  type NativeEngine,
  type NativeEngineOptions,
  type NativeOverlay,
  type NativeUnderlay,
} from '../native/binding.js';
import { guard } from '../native/errors.js';
import { IpAddress } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import { Prefix } from '../net/prefix.js';
import { type PeerChange, packPeerChange, peerChange, peersBySubnet, samePeer } from './peer-ops.js';
import { PeerStats } from './peer-stats.js';
import type { PlaneStats, PlaneTrace } from './plane.js';
import { hostPrefix, packPrefixes } from './prefixes.js';
import { UserEvents } from './user-events.js';

/** Where an engine stands on the underlay, and what follows from that. */
export interface EnginePlace {
  /** Addresses of this node, which nobody else may send from. */
  readonly ownAddresses: readonly IpAddress[];
  readonly innerMtuBytes: number;
  readonly underlays: NativeUnderlay[];
}

export interface EngineOptions extends EnginePlace {
  readonly encap: 'udp' | 'vxlan';
  /** UDP port of the cluster. */
  readonly port: number;
  readonly vni: number;
  /** Our VTEP MAC; zero for udp. */
  readonly mac: MacAddress;
  /** That of frames with IPv6 inside, where it is another. */
  readonly macV6?: MacAddress;
  /** Packets for these are ours; each base address is also that of the ICMP errors we send. */
  readonly ownSubnets: readonly Prefix[];
  readonly sourceCheck: boolean;
  readonly overlay: NativeOverlay;
  /** Native threads; 0: the program calls `step`. */
  readonly workers: number;
  /** Processors that the workers stay on, by turns. Default: any. */
  readonly workerCpus?: readonly number[];
  /** Default: all. */
  readonly offload?: readonly OffloadName[];
  /** Default: enough for the workers. */
  readonly poolSlots?: number;
}

/** Slots of the pool for each worker, and altogether at least. Only slots that were used cost memory. */
const SLOTS_PER_WORKER = 512;
const LEAST_SLOTS = 1024;
/** Sockets that VXLAN flows are spread over: enough for receivers to use all their queues, few enough to batch. */
const SOURCE_PORTS = 16;

export class Engine {
  readonly native: NativeEngine;
  /** What it tells of user ports and pool. It holds this object until it is closed, so a running engine is never collected. */
  readonly events: UserEvents;
  #options: EngineOptions;
  readonly #peers = new Map<string, Peer>();
  #packedSubnets: Uint8Array | null = null;
  #generation = 0;
  #isClosed = false;
  /** By the number that packets carry; emptied when peers go. */
  #subnetByNumber: (Prefix | null)[] = [];

  private constructor(native: NativeEngine, events: UserEvents, options: EngineOptions) {
    this.native = native;
    this.events = events;
    this.#options = options;
  }

  /** Throws ERR_TWILL_SOCKET, _DEVICE, _PRIVILEGE, _POOL or _ARGUMENT; nothing is left behind then. */
  static open(options: EngineOptions): Engine {
    const events = new UserEvents();
    let engine: Engine | null = null;
    const native = guard(() =>
      loadNative().openEngine(nativeOptions(options), (bits) => engine?.events.dispatch(bits)),
    );
    engine = new Engine(native, events, options);
    events.attach(native);
    return engine;
  }

  /**
   * Takes another place; no packet is lost for it. Throws ERR_TWILL_SOCKET where it cannot be had, and all is as it was
   * then; ERR_TWILL_CLOSED.
   */
  rebind(place: EnginePlace): void {
    const options = { ...this.#options, ...place };
    guard(() => this.native.rebind(nativeOptions(options)));
    this.#options = options;
  }

  get peers(): ReadonlyMap<string, Peer> {
    return this.#peers;
  }
  get generation(): number {
    return this.#generation;
  }
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Makes the peer table equal to `wanted` in one step; the generation. What did not change costs nothing. */
  setPeers(wanted: readonly Peer[]): number {
    const after = peersBySubnet(wanted);
    this.#publish(peerChange(this.#peers, after));
    // The caller's order, and its objects.
    this.#peers.clear();
    for (const [key, peer] of after) this.#peers.set(key, peer);
    this.#packedSubnets = null;
    return this.#generation;
  }

  /** Both in one step, costing what changes and not what is there; the generation. A subnet in both is set. */
  changePeers({ set, gone }: PeerChange): number {
    const after = peersBySubnet(set);
    const known = new Map(gone.map((subnet) => [subnet.toString(), subnet]));
    const change = {
      set: [...after].flatMap(([key, peer]) => (samePeer(this.#peers.get(key), peer) ? [] : [peer])),
      gone: [...known].flatMap(([key, subnet]) => (this.#peers.has(key) && !after.has(key) ? [subnet] : [])),
    };
    this.#publish(change);
    for (const subnet of change.gone) this.#peers.delete(subnet.toString());
    for (const peer of change.set) this.#peers.set(peer.subnet.toString(), peer);
    return this.#generation;
  }

  /** Whose packets carry this number; null: that peer has gone. */
  subnetOf(number: number): Prefix | null {
    const known = this.#subnetByNumber[number];
    if (known !== undefined) return known;
    const found = this.native.peerSubnet(number);
    const subnet = found && Prefix.of(IpAddress.fromBytes(found.address), found.length);
    const present = (subnet && this.#peers.get(subnet.toString())?.subnet) ?? null;
    this.#subnetByNumber[number] = present;
    return present;
  }

  stats(): PlaneStats {
    return guard(() => this.native.stats());
  }

  peerStats(): PeerStats {
    const peers = [...this.#peers.values()];
    this.#packedSubnets ??= packPrefixes(peers.map(({ subnet }) => subnet));
    const stats = new PeerStats(peers);
    const subnets = this.#packedSubnets;
    guard(() => this.native.peerCounts(subnets, stats.values));
    return stats;
  }

  trace(destination: IpAddress): PlaneTrace {
    const mtuBytes = this.#options.innerMtuBytes;
    const found = guard(() => this.native.trace(destination.bytes()));
    if (found.drop !== null) return { drop: found.drop, mtuBytes };
    const address = IpAddress.fromBytes(found.endpointAddress ?? new Uint8Array(4));
    const endpoint = { address, port: found.endpointPort ?? 0 };
    return { drop: null, endpoint, header: found.header ?? new Uint8Array(), mtuBytes };
  }

  /** Whether every worker has turned since the last call. */
  isTurning(): boolean {
    return guard(() => this.native.turning());
  }

  close(): void {
    this.#isClosed = true;
    this.events.close();
    this.native.close();
  }

  #publish(change: PeerChange): void {
    if (change.set.length + change.gone.length === 0) return;
    this.#generation = guard(() => this.native.publish(packPeerChange(change)));
    this.#subnetByNumber = [];
    this.#packedSubnets = null;
  }
}

function nativeOptions(options: EngineOptions): NativeEngineOptions {
  return {
    ...options,
    mac: options.mac.bytes(),
    macV6: options.macV6?.bytes() ?? null,
    ownSubnets: packPrefixes(options.ownSubnets),
    ownAddresses: packPrefixes(options.ownAddresses.map(hostPrefix)),
    icmpSources: packPrefixes(options.ownSubnets.map(({ address }) => hostPrefix(address))),
    innerMtu: options.innerMtuBytes,
    offload: options.offload ?? OFFLOADS,
    workerCpus: options.workerCpus ?? [],
    poolSlots: options.poolSlots ?? Math.max(SLOTS_PER_WORKER * options.workers, LEAST_SLOTS),
  };
}

/** flannel's udp proxy binds the interface's address and sends from there; the kernel's vxlan binds every address. */
export function udpUnderlay(encap: 'udp' | 'vxlan', address: IpAddress, port: number): NativeUnderlay {
  const isVxlan = encap === 'vxlan';
  return {
    kind: 'udp',
    bindAddress: isVxlan ? IpAddress.of(address.family, 0n).bytes() : address.bytes(),
    sourceAddress: address.bytes(),
    port,
    sourcePorts: isVxlan ? SOURCE_PORTS : 0,
  };
}
