/**
 * The userspace plane: our engine behind a TUN device. `open` does all that needs privilege, early and in one place:
 *
 *   sockets, device (by the engine) -> MTU, queue -> lease's base address as /32 (/128) -> up
 *   -> one aggregate route for each overlay network
 *
 * From then on a join or leave touches our own table alone, never the kernel's. `reconcile` compares the device with that
 * plan again: what others changed is put right, and a device that is gone is opened anew, as a fresh engine with the same
 * peers.
 *
 * With DirectRouting a peer on a network of ours has a route of its own beside its row in the table: it is longer than that
 * to the device, so packets take it, and where it goes they are back in the tunnel. The engine goes on taking what such
 * a peer sends in a tunnel.
 */
import type { Peer, TunnelBackend } from '../backend/backend.js';
import type { OffloadName } from '../config/offload.js';
import type { LeaseSubnets } from '../lease/lease.js';
import { type NetlinkEvent, netlink } from '../native/netlink.js';
import type { IpAddress } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import type { Prefix } from '../net/prefix.js';
import {
  configureDevice,
  type DevicePlan,
  deviceFaults,
  makeWay,
  refuseNestedUnderlay,
  refuseRivalRoute,
  resizeDevice,
} from './device.js';
import { Engine, type EnginePlace, udpUnderlay } from './engine.js';
import { EntryKeeper } from './kernel/entry-keeper.js';
import type { WantedEntry } from './kernel/reconcile.js';
import { directEntries, peerOf } from './kernel/wanted.js';
import { askOnLink, nowhere, type OnLink } from './kernel/ways.js';
import type { PeerStats } from './peer-stats.js';
import type { Plane, PlaneState, PlaneStats, PlaneTrace, PlaneUnderlay, Way } from './plane.js';
import { addStats } from './stats.js';
import { EngineTap, type PlaneTap, type TapOptions } from './tap.js';

export interface UserspacePlaneOptions extends Omit<PlaneUnderlay, 'interface'> {
  readonly backend: TunnelBackend;
  /** Ours. */
  readonly subnets: LeaseSubnets;
  /** Our VTEP MAC, for VXLAN. */
  readonly mac?: MacAddress;
  /** That of frames with IPv6 inside, where it is another. */
  readonly macV6?: MacAddress;
  readonly overlayNetworks: readonly Prefix[];
  /** Native threads, at least 1. */
  readonly workers: number;
  /** Processors that the workers stay on, by turns. Default: any. */
  readonly workerCpus?: readonly number[];
  /** Accept only what a known peer may send. */
  readonly sourceCheck: boolean;
  /** What the kernel may do for the packet path. Default: all that it can. */
  readonly offload?: readonly OffloadName[];
  /** Default: the backend's name for it. */
  readonly deviceName?: string;
  /** Devices of the kernel that give way to ours: they are deleted at the last moment, and what they carried with them. */
  readonly replaces?: readonly { readonly index: number; readonly name: string }[];
  /** The device outlives us. */
  readonly persistDevice?: boolean;
}

export class UserspacePlane implements Plane {
  readonly kind = 'userspace';
  readonly watchesNeighbours = false;
  #options: UserspacePlaneOptions;
  #engine: Engine;
  #deviceName: string;
  #wanted: readonly Peer[] = [];
  /** What the engines before this one did. */
  #past: PlaneStats | null = null;
  #tap: EngineTap | null = null;
  /** Of direct routes, and of what an earlier run has left of them. */
  readonly #routes: EntryKeeper;
  #onLink: OnLink = nowhere;
  #pastOfPeers = new Map<string, Float64Array>();
  #isKnown = false;
  #isClosed = false;

  private constructor(engine: Engine, options: UserspacePlaneOptions) {
    this.#engine = engine;
    this.#deviceName = engine.native.deviceName;
    // The next device takes the name of this one, also where the kernel picked the number.
    this.#options = { ...options, deviceName: this.#deviceName, replaces: [] };
    this.#routes = new EntryKeeper(this.#territory);
  }

  /** Throws ERR_TWILL_SOCKET, _DEVICE, _PRIVILEGE, _NETLINK or _CONFIG; nothing is left behind then. */
  static open(options: UserspacePlaneOptions): UserspacePlane {
    return new UserspacePlane(openEngine(options), options);
  }

  get deviceName(): string {
    return this.#deviceName;
  }

  concerns({ index }: NetlinkEvent): boolean {
    // Whether a peer is near depends on all routes and links.
    return index === this.#deviceIndex || this.#options.backend.directRouting;
  }

  get troubles(): ReadonlyMap<string, string> {
    return this.#routes.troubles;
  }
  get foreignRoutes(): readonly string[] {
    return this.#routes.foreign;
  }

  wayOf({ endpoint }: Peer): Way {
    return this.#onLink(endpoint.address) === null ? 'tunnel' : 'direct';
  }

  get mtuBytes(): number {
    return mtuOf(this.#options);
  }

  setPeers(wanted: readonly Peer[]): number {
    this.#wanted = wanted;
    if (this.#pastOfPeers.size > 0) {
      const subnets = new Set(wanted.map(({ subnet }) => subnet.toString()));
      for (const subnet of this.#pastOfPeers.keys())
        if (!subnets.has(subnet)) this.#pastOfPeers.delete(subnet);
    }
    // Without a device the next engine will know them.
    if (!this.#engine.isClosed) this.#engine.setPeers(wanted);
    this.#isKnown = true;
    this.#routes.want(this.#direct());
    return this.stats().generation;
  }

  stats(): PlaneStats {
    return addStats(this.#past, this.#engine.stats());
  }

  peerStats(): PeerStats {
    return this.#engine.peerStats().add(this.#pastOfPeers);
  }

  trace(destination: IpAddress): PlaneTrace {
    const peer = peerOf(destination, this.#wanted);
    const way = peer ? this.wayOf(peer) : 'tunnel';
    return { ...this.#engine.trace(destination), ...(way === 'direct' && { way, header: new Uint8Array() }) };
  }

  openTap(options: TapOptions): PlaneTap {
    this.#tap = new EngineTap(this.#engine, options, () => {
      this.#tap = null;
    });
    return this.#tap;
  }

  isTurning(): boolean {
    // Between two devices there is no worker that could be stuck.
    return this.#engine.isClosed || this.#engine.isTurning();
  }

  reconcile(isChanged: boolean): PlaneState {
    if (this.#isClosed) return { mended: [], trouble: null, retryInMs: null };
    const device = this.#keepDevice();
    if (!this.#isKnown) return { ...device, retryInMs: null };
    if (!isChanged) this.#routes.retry();
    const routes = isChanged && this.#options.backend.directRouting ? this.#routes.look(this.#direct()) : [];
    return { ...device, mended: [...device.mended, ...routes], retryInMs: this.#routes.retryInMs };
  }

  #keepDevice(): Omit<PlaneState, 'retryInMs'> {
    const link = netlink.links().find(({ index }) => index === this.#deviceIndex);
    if (!link || this.#engine.isClosed) {
      this.#reopen();
      return { mended: ['it was gone, and has been made anew'], trouble: null };
    }
    const { name } = link;
    const renamed = name === this.#deviceName ? [] : [`it is called ${name} now`];
    this.#deviceName = name;
    if (!link.up)
      return { mended: renamed, trouble: `it is down: "ip link set ${name} up" lets packets pass again` };
    const plan = planOf(this.#options);
    const faults = deviceFaults(link, plan);
    if (faults.length > 0) {
      for (const network of plan.networks) refuseRivalRoute(network, [name]);
      configureDevice(link.index, name, plan);
    }
    return { mended: [...renamed, ...faults], trouble: null };
  }

  rebind(underlay: PlaneUnderlay): void {
    const { localAddressV6: _, ...rest } = this.#options;
    const options = { ...rest, ...underlay };
    refuseNestedUnderlay(localsOf(options), options.overlayNetworks);
    const before = this.#options;
    if (this.#engine.isClosed) {
      // The device could not be made anew yet, perhaps for want of this.
      this.#options = options;
      try {
        this.#reopen();
      } catch (error) {
        this.#options = before;
        throw error;
      }
      return;
    }
    this.#engine.rebind(placeOf(options));
    this.#options = options;
    if (mtuOf(before) !== this.mtuBytes) resizeDevice(this.#deviceIndex, this.mtuBytes);
  }

  close(): void {
    this.#isClosed = true;
    this.#engine.close();
  }

  get #deviceIndex(): number {
    return this.#engine.native.deviceIndex;
  }

  /** Our route to the overlay network is no peer's. */
  get #territory() {
    const { overlayNetworks: networks, subnets } = this.#options;
    const own = [subnets.v4, subnets.v6].flatMap((subnet) => subnet ?? []);
    return { networks, own, devices: [], aside: [this.#deviceIndex] };
  }

  #direct(): WantedEntry[] {
    if (!this.#options.backend.directRouting) return [];
    this.#onLink = askOnLink(this.#wanted, [this.#deviceIndex]);
    return this.#wanted.flatMap((peer) => {
      const index = this.#onLink(peer.endpoint.address);
      return index === null ? [] : directEntries(peer, index);
    });
  }

  /** The sockets go with the old engine, for two cannot hold the port; its counters stay. */
  #reopen(): void {
    this.#engine.close();
    this.#deviceName = this.#options.deviceName ?? this.#deviceName;
    const engine = openEngine(this.#options);
    this.#past = addStats(this.#past, this.#engine.stats());
    this.#pastOfPeers = this.#engine.peerStats().add(this.#pastOfPeers).bySubnet();
    this.#engine = engine;
    this.#deviceName = engine.native.deviceName;
    engine.setPeers(this.#wanted);
    this.#routes.move(this.#territory);
    this.#tap?.follow(engine);
  }
}

/** An engine with its device in place; nothing is left behind where that fails. */
function openEngine(options: UserspacePlaneOptions): Engine {
  const { backend } = options;
  const { encap, port, vni = 0 } = backend;
  const plan = planOf(options);
  const wantedName = options.deviceName ?? backend.deviceName;
  const replaced = options.replaces ?? [];
  refuseNestedUnderlay(localsOf(options), plan.networks);
  const givingWay = replaced.map(({ name }) => name);
  for (const network of plan.networks) refuseRivalRoute(network, [wantedName, ...givingWay]);
  if (replaced.length > 0) makeWay(replaced);
  const engine = Engine.open({
    ...{ encap, port, vni, ownSubnets: plan.subnets, ...placeOf(options) },
    mac: options.mac ?? MacAddress.fromBytes(new Uint8Array(6)),
    ...(options.macV6 && { macV6: options.macV6 }),
    sourceCheck: options.sourceCheck,
    overlay: { kind: 'tun', name: wantedName, persist: options.persistDevice ?? false },
    workers: options.workers,
    ...(options.workerCpus && { workerCpus: options.workerCpus }),
    ...(options.offload && { offload: options.offload }),
  });
  try {
    const { deviceIndex, deviceName } = engine.native;
    configureDevice(deviceIndex, deviceName, plan);
  } catch (error) {
    engine.close();
    throw error;
  }
  return engine;
}

function planOf(options: UserspacePlaneOptions): DevicePlan {
  return {
    mtuBytes: mtuOf(options),
    subnets: [options.subnets.v4, options.subnets.v6].flatMap((subnet) => subnet ?? []),
    networks: options.overlayNetworks,
    acceptLocal: options.sourceCheck,
  };
}

function placeOf(options: UserspacePlaneOptions): EnginePlace {
  const { encap, port } = options.backend;
  return {
    innerMtuBytes: mtuOf(options),
    ownAddresses: options.ownAddresses,
    underlays: localsOf(options).map((address) => udpUnderlay(encap, address, port)),
  };
}

function mtuOf(options: UserspacePlaneOptions): number {
  const { backend, externalMtuBytes } = options;
  return Math.min(...localsOf(options).map(({ family }) => backend.deviceMtu(externalMtuBytes, family)));
}

/** One underlay address a family. With IPv6 alone the agent names the same address twice. */
function localsOf({ localAddress, localAddressV6 }: UserspacePlaneOptions): IpAddress[] {
  const locals = [localAddress, localAddressV6];
  return [4, 6].flatMap((family) => locals.find((address) => address?.family === family) ?? []);
}
