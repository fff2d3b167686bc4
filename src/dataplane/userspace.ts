/**
 * The userspace plane: our engine behind a TUN device. `open` does all that needs privilege, early and in one place:
 *
 *   sockets, device (by the engine) -> MTU, queue, IPv6 switches -> lease's base address as /32 (/128) -> up
 *   -> one aggregate route for each overlay network
 *
 * From then on a join or leave touches our own table alone, never the kernel's.
 */
import { writeFileSync } from 'node:fs';
import type { Backend, Peer } from '../backend/backend.js';
import { TwillError } from '../errors.js';
import type { LeaseSubnets } from '../lease/lease.js';
import { loadNative, type NativeEngine, type NativeUnderlay } from '../native/binding.js';
import { guard } from '../native/errors.js';
import { netlink } from '../native/netlink.js';
import { IpAddress } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import type { Prefix } from '../net/prefix.js';
import { packPeerChange, peersBySubnet } from './peer-ops.js';
import type { Plane, PlaneStats, PlaneTrace } from './plane.js';
import { hostPrefix, packPrefixes } from './prefixes.js';

export interface UserspacePlaneOptions {
  readonly backend: Backend;
  /** Ours. */
  readonly subnets: LeaseSubnets;
  /** Our VTEP MAC, for VXLAN. */
  readonly mac?: MacAddress;
  /** Underlay addresses that we send from; a second one for IPv6 beside IPv4. */
  readonly localAddress: IpAddress;
  readonly localAddressV6?: IpAddress;
  readonly externalMtuBytes: number;
  readonly overlayNetworks: readonly Prefix[];
  /** All addresses of this host: none may be the inner source of what peers send. */
  readonly ownAddresses: readonly IpAddress[];
  /** Native threads, at least 1. */
  readonly workers: number;
  /** Accept only what a known peer may send. */
  readonly sourceCheck: boolean;
  /** Default: the backend's name for it. */
  readonly deviceName?: string;
  /** The device outlives us. */
  readonly persistDevice?: boolean;
}

/** Sockets that VXLAN flows are spread over: enough for receivers to use all their queues, few enough to batch. */
const SOURCE_PORTS = 16;
/** Slots of the pool for each worker, and altogether at least. Only slots that were used cost memory. */
const SLOTS_PER_WORKER = 512;
const LEAST_SLOTS = 1024;
/** Packets that the device holds while the worker is busy: 40 ms at 100,000 packets a second. */
const TX_QUEUE_PACKETS = 4000;
const RT_TABLE_MAIN = 254;

export class UserspacePlane implements Plane {
  readonly deviceName: string;
  readonly mtuBytes: number;
  readonly #engine: NativeEngine;
  #peers: ReadonlyMap<string, Peer> = new Map();
  #generation = 0;

  private constructor(engine: NativeEngine, mtuBytes: number) {
    this.#engine = engine;
    this.deviceName = engine.deviceName;
    this.mtuBytes = mtuBytes;
  }

  /** Throws ERR_TWILL_SOCKET, _DEVICE, _PRIVILEGE, _NETLINK or _CONFIG; nothing is left behind then. */
  static open(options: UserspacePlaneOptions): UserspacePlane {
    const { backend, overlayNetworks, subnets } = options;
    const locals = [options.localAddress, options.localAddressV6].flatMap((address) => address ?? []);
    refuseNestedUnderlay(locals, overlayNetworks);
    for (const network of overlayNetworks)
      refuseRivalRoute(network, options.deviceName ?? backend.deviceName);
    const mtuBytes = Math.min(
      ...locals.map(({ family }) => backend.deviceMtu(options.externalMtuBytes, family)),
    );
    const own = [subnets.v4, subnets.v6].flatMap((subnet) => subnet ?? []);
    const bases = own.map(({ address }) => hostPrefix(address));
    const engine = guard(() =>
      loadNative().openEngine({
        encap: backend.encap,
        port: backend.port,
        vni: backend.vni ?? 0,
        mac: options.mac?.bytes() ?? new Uint8Array(6),
        ownSubnets: packPrefixes(own),
        ownAddresses: packPrefixes(options.ownAddresses.map(hostPrefix)),
        icmpSources: packPrefixes(bases),
        innerMtu: mtuBytes,
        sourceCheck: options.sourceCheck,
        overlay: {
          kind: 'tun',
          name: options.deviceName ?? backend.deviceName,
          persist: options.persistDevice ?? false,
        },
        underlays: locals.map((address) => underlay(backend, address)),
        workers: options.workers,
        poolSlots: Math.max(SLOTS_PER_WORKER * options.workers, LEAST_SLOTS),
      }),
    );
    const plane = new UserspacePlane(engine, mtuBytes);
    try {
      configureDevice(engine, mtuBytes, bases, overlayNetworks);
    } catch (error) {
      plane.close();
      if (!(error instanceof TwillError)) throw error;
      throw new TwillError(error.code, `device ${engine.deviceName}: ${error.message}`, { cause: error });
    }
    return plane;
  }

  setPeers(wanted: readonly Peer[]): number {
    const after = peersBySubnet(wanted);
    const ops = packPeerChange(this.#peers, after);
    if (ops.length > 0) this.#generation = guard(() => this.#engine.publish(ops));
    this.#peers = after;
    return this.#generation;
  }

  stats(): PlaneStats {
    return guard(() => this.#engine.stats());
  }

  trace(destination: IpAddress): PlaneTrace {
    const { mtuBytes } = this;
    const found = guard(() => this.#engine.trace(destination.bytes()));
    if (found.drop !== null) return { drop: found.drop, mtuBytes };
    const address = IpAddress.fromBytes(found.endpointAddress ?? new Uint8Array(4));
    const endpoint = { address, port: found.endpointPort ?? 0 };
    return { drop: null, endpoint, header: found.header ?? new Uint8Array(), mtuBytes };
  }

  close(): void {
    this.#engine.close();
  }
}

/** flannel's udp proxy binds the interface's address and sends from there; the kernel's vxlan binds every address. */
function underlay({ encap, port }: Backend, address: IpAddress): NativeUnderlay {
  const isVxlan = encap === 'vxlan';
  return {
    kind: 'udp',
    bindAddress: isVxlan ? IpAddress.of(address.family, 0n).bytes() : address.bytes(),
    sourceAddress: address.bytes(),
    port,
    sourcePorts: isVxlan ? SOURCE_PORTS : 0,
  };
}

function configureDevice(
  { deviceIndex: index, deviceName }: NativeEngine,
  mtuBytes: number,
  bases: readonly Prefix[],
  networks: readonly Prefix[],
): void {
  const hasV6 = networks.some(({ family }) => family === 6);
  // Without an IPv6 overlay the kernel's own router solicitations and the like would only be dropped by us.
  quietly(deviceName, hasV6 ? { accept_ra: 0, addr_gen_mode: 1 } : { disable_ipv6: 1 });
  netlink.linkSet(index, { mtu: mtuBytes, txQueueLength: TX_QUEUE_PACKETS });
  // A device that was kept may carry the address of an earlier lease.
  const stale = netlink
    .addresses()
    .filter((held) => held.index === index && networks.some((network) => network.contains(held.address)))
    .filter((held) => !bases.some(({ address }) => address.equals(held.address)));
  for (const address of stale) netlink.addressDelete(index, address);
  for (const base of bases) netlink.addressAdd(index, base);
  netlink.linkSet(index, { up: true });
  for (const destination of networks) netlink.routeReplace({ destination, index });
}

/** Switches of the kernel that only spare us noise; a kernel without IPv6 has none of them. */
function quietly(deviceName: string, switches: { readonly [name: string]: number }): void {
  for (const [name, value] of Object.entries(switches)) {
    try {
      writeFileSync(`/proc/sys/net/ipv6/conf/${deviceName}/${name}`, String(value));
    } catch {
      // As in flannel.
    }
  }
}

function refuseNestedUnderlay(locals: readonly IpAddress[], networks: readonly Prefix[]): void {
  for (const address of locals) {
    const network = networks.find((candidate) => candidate.contains(address));
    if (!network) continue;
    throw new TwillError(
      'ERR_TWILL_CONFIG',
      `our underlay address ${address} lies in the overlay network ${network}: choose another Network, or another --iface`,
    );
  }
}

/** The same route through another device: replacing it could cut this host off. */
function refuseRivalRoute(network: Prefix, deviceName: string): void {
  const links = netlink.links();
  for (const { destination, table, index } of netlink.routes(network.family)) {
    if (table !== RT_TABLE_MAIN || !destination?.equals(network)) continue;
    const name = links.find((link) => link.index === index)?.name ?? `link ${index}`;
    if (name === deviceName) continue;
    throw new TwillError(
      'ERR_TWILL_NETLINK',
      `a route to the overlay network ${network} leads to ${name} already: remove it with "ip route delete ${network} dev ${name}"`,
    );
  }
}
