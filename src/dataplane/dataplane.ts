/** The library's dataplane: an overlay node inside any program. */
import { randomBytes } from 'node:crypto';
import type { Peer } from '../backend/backend.js';
import type { OffloadName } from '../config/offload.js';
import { TwillError } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import { Prefix } from '../net/prefix.js';
import { BufferPool } from './buffer-pool.js';
import { configureDevice, refuseNestedUnderlay, refuseRivalRoute } from './device.js';
import { Engine, udpUnderlay } from './engine.js';
import type { PeerStats } from './peer-stats.js';
import type { PlaneStats, PlaneTrace } from './plane.js';
import { EngineTap, type PlaneTap, type TapOptions } from './tap.js';
import { UserPort } from './user-port.js';

export interface DataplaneOptions {
  readonly encap: 'vxlan' | 'udp';
  /** Our slices of the overlay, one per family: packets for them are delivered here. `10.244.1.0/24`. */
  readonly subnets: readonly (Prefix | string)[];
  /** With a TUN: routes to these lead to it. Default: none. */
  readonly networks?: readonly (Prefix | string)[];
  /** A TUN device (needs CAP_NET_ADMIN), or this program (needs nothing). */
  readonly overlay:
    | { readonly kind: 'tun'; readonly name?: string; readonly persist?: boolean }
    | { readonly kind: 'user' };
  /** UDP sockets on these local addresses, one per family, or this program. */
  readonly underlay:
    | { readonly kind: 'udp'; readonly addresses: readonly (IpAddress | string)[] }
    | { readonly kind: 'user' };
  /** UDP port of the cluster. Default: 8472 for vxlan, 8285 for udp, as flannel. */
  readonly port?: number;
  /** VXLAN network identifier, 24 bits. Default 1. */
  readonly vni?: number;
  /** Our VTEP's MAC. Default: a random local one. */
  readonly mac?: MacAddress | string;
  /** That of frames with IPv6 inside. Default: the same. */
  readonly macV6?: MacAddress | string;
  /** Largest inner packet, bytes. Default: what an underlay of 1500 leaves. */
  readonly mtuBytes?: number;
  /** Addresses of this node that no peer may send from, beside those of the underlay. */
  readonly ownAddresses?: readonly (IpAddress | string)[];
  /** Accept only what a known peer may send. Default true. */
  readonly sourceCheck?: boolean;
  /** Native threads. Default 1; 0: nothing moves but in `step`. */
  readonly workers?: number;
  /** Processors that the workers stay on, by turns. Default: any. */
  readonly workerCpus?: readonly number[];
  /** What the kernel may do for the packet path, between a TUN and sockets. Default: all that it can. */
  readonly offload?: readonly OffloadName[];
  /** Packet buffers. Default: enough for the workers, at least 1,024. */
  readonly poolSlots?: number;
}

const DEFAULT_PORT = { vxlan: 8472, udp: 8285 } as const;
const DEFAULT_MTU_BYTES = { vxlan: { 4: 1450, 6: 1430 }, udp: { 4: 1472, 6: 1452 } } as const;

export class Dataplane implements AsyncDisposable {
  readonly #engine: Engine;
  /** The TUN's name; null with a user port. */
  readonly deviceName: string | null;
  readonly mac: MacAddress;
  /** Largest inner packet, bytes. */
  readonly mtuBytes: number;
  readonly pool: BufferPool;
  /** Inner packets in and out of the program; null with a TUN. */
  readonly overlay: UserPort | null;
  /** Payloads of datagrams in and out of the program; null with sockets. */
  readonly underlay: UserPort | null;

  private constructor(engine: Engine, options: DataplaneOptions, mac: MacAddress, mtuBytes: number) {
    const { native } = engine;
    this.#engine = engine;
    this.mac = mac;
    this.mtuBytes = mtuBytes;
    this.deviceName = options.overlay.kind === 'tun' ? native.deviceName : null;
    this.pool = new BufferPool(native);
    this.overlay = options.overlay.kind === 'user' ? new UserPort(native, this.pool, 'overlay') : null;
    this.underlay = options.underlay.kind === 'user' ? new UserPort(native, this.pool, 'underlay') : null;
  }

  /** Throws ERR_TWILL_ADDRESS, _ARGUMENT, _SOCKET, _DEVICE, _NETLINK, _PRIVILEGE or _POOL; nothing is left behind then. */
  static async open(options: DataplaneOptions): Promise<Dataplane> {
    const { encap, vni = 1, port = DEFAULT_PORT[encap], workers = 1 } = options;
    if (encap !== 'vxlan' && encap !== 'udp') throw wrong('encap', encap, '"vxlan" or "udp"');
    requireInteger('vni', vni, 0, 0xffffff);
    requireInteger('port', port, 1, 65_535);
    requireInteger('workers', workers, 0, 64);
    const locals = options.underlay.kind === 'udp' ? options.underlay.addresses.map(toAddress) : [];
    if (options.underlay.kind === 'udp' && locals.length === 0)
      throw wrong('underlay.addresses', '[]', 'at least one address');
    const fallback = Math.min(
      ...(locals.length > 0 ? locals : [IpAddress.of(4, 0n)]).map(
        ({ family }) => DEFAULT_MTU_BYTES[encap][family],
      ),
    );
    const mtuBytes = options.mtuBytes ?? fallback;
    requireInteger('mtuBytes', mtuBytes, 68, 65_535);
    const mac =
      typeof options.mac === 'string'
        ? MacAddress.parse(options.mac)
        : (options.mac ?? MacAddress.local(randomBytes(6)));
    const macV6 = typeof options.macV6 === 'string' ? MacAddress.parse(options.macV6) : options.macV6;
    const subnets = options.subnets.map(toPrefix);
    const networks = (options.networks ?? []).map(toPrefix);
    const wantedName = options.overlay.kind === 'tun' ? (options.overlay.name ?? 'twill%d') : '';
    if (options.overlay.kind === 'tun') {
      refuseNestedUnderlay(locals, networks);
      for (const network of networks) refuseRivalRoute(network, [wantedName]);
    }
    const engine = Engine.open({
      ...{ encap, port, vni, mac, workers, ownSubnets: subnets, innerMtuBytes: mtuBytes },
      ...(macV6 && { macV6 }),
      ownAddresses: [
        ...locals.filter(({ isUnspecified }) => !isUnspecified),
        ...(options.ownAddresses ?? []).map(toAddress),
      ],
      sourceCheck: options.sourceCheck ?? true,
      overlay:
        options.overlay.kind === 'tun'
          ? { kind: 'tun', name: wantedName, persist: options.overlay.persist ?? false }
          : { kind: 'user' },
      underlays:
        options.underlay.kind === 'user'
          ? [{ kind: 'user' }]
          : locals.map((address) => udpUnderlay(encap, address, port)),
      ...(options.offload && { offload: options.offload }),
      ...(options.workerCpus && { workerCpus: options.workerCpus }),
      ...(options.poolSlots !== undefined && { poolSlots: options.poolSlots }),
    });
    try {
      const { deviceIndex, deviceName } = engine.native;
      if (options.overlay.kind === 'tun')
        configureDevice(deviceIndex, deviceName, {
          ...{ mtuBytes, subnets, networks },
          acceptLocal: options.sourceCheck ?? true,
        });
    } catch (error) {
      engine.close();
      throw error;
    }
    return new Dataplane(engine, options, mac, mtuBytes);
  }

  get peers(): readonly Peer[] {
    return this.#engine.peers;
  }

  /**
   * Makes the peer table equal to `peers` in one step: a packet sees it before or after, never half. Returns the table's
   * generation. For VXLAN each needs a `mac`.
   */
  setPeers(peers: readonly Peer[]): number {
    return this.#engine.setPeers(peers);
  }

  /** `received = delivered + sum of drops` holds for each direction in every value returned. */
  stats(): PlaneStats {
    return this.#engine.stats();
  }

  /** What each peer of the table sent and got since it is there. */
  peerStats(): PeerStats {
    return this.#engine.peerStats();
  }

  /** What would happen to a packet to this address. */
  trace(destination: IpAddress | string): PlaneTrace {
    return this.#engine.trace(toAddress(destination));
  }

  /** Copies what passes from now on, until it is closed. One at a time: ERR_TWILL_ARGUMENT where one is open. */
  openTap(options: TapOptions = {}): PlaneTap {
    return new EngineTap(this.#engine, options);
  }

  /** With `workers: 0`: carries what is there, once in each direction; how many packets came in. */
  step(): number {
    return this.#engine.native.step();
  }

  /** Stops the workers, closes sockets and device. A second call does nothing. */
  async close(): Promise<void> {
    this.#engine.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function toPrefix(value: Prefix | string): Prefix {
  return typeof value === 'string' ? Prefix.parse(value) : value;
}

function toAddress(value: IpAddress | string): IpAddress {
  return typeof value === 'string' ? IpAddress.parse(value) : value;
}

function requireInteger(name: string, value: number, lowest: number, highest: number): void {
  if (Number.isInteger(value) && value >= lowest && value <= highest) return;
  throw wrong(name, value, `an integer from ${lowest} to ${highest}`);
}

function wrong(name: string, value: unknown, fix: string): TwillError {
  return new TwillError('ERR_TWILL_ARGUMENT', `Dataplane.open: ${name} is ${value}: it must be ${fix}`);
}
