/**
 * The plane of `host-gw`: the host's own routes carry the packets, one for each peer through the peer itself. They outlive us.
 * With no peers at all it is that of `alloc`, which only sees to it that nothing is left of what another backend had made.
 */
import type { Backend, Peer } from '../../backend/backend.js';
import type { LeaseSubnets } from '../../lease/lease.js';
import { type NetlinkEvent, netlink } from '../../native/netlink.js';
import type { IpAddress } from '../../net/ip.js';
import type { Prefix } from '../../net/prefix.js';
import { deleteDevices, refuseNestedUnderlay } from '../device.js';
import type { Plane, PlaneCounts, PlaneState, PlaneTrace, PlaneUnderlay, Way } from '../plane.js';
import { noTap } from '../tap.js';
import { EntryKeeper } from './entry-keeper.js';
import type { WantedEntry } from './reconcile.js';
import { directEntries, peerOf } from './wanted.js';

export interface RoutePlaneOptions {
  readonly backend: Backend;
  /** The underlay interface. */
  readonly interface: string;
  readonly subnets: LeaseSubnets;
  readonly localAddress: IpAddress;
  readonly localAddressV6?: IpAddress;
  readonly externalMtuBytes: number;
  readonly overlayNetworks: readonly Prefix[];
  /** Devices of earlier runs, which are deleted. */
  readonly replaces?: readonly { readonly index: number; readonly name: string }[];
}

export class RoutePlane implements Plane {
  readonly kind: 'routes' | 'none';
  readonly watchesNeighbours = false;
  readonly #keeper: EntryKeeper;
  #options: RoutePlaneOptions;
  #index: number;
  #peers: readonly Peer[] = [];
  #generation = 0;

  private constructor(options: RoutePlaneOptions) {
    const { backend, overlayNetworks: networks } = options;
    this.#options = options;
    refuseNestedUnderlay(localsOf(options), networks);
    deleteDevices(options.replaces ?? []);
    this.kind = backend.carrier === 'none' ? 'none' : 'routes';
    this.#index = netlink.links().find(({ name }) => name === options.interface)?.index ?? 0;
    this.#keeper = new EntryKeeper({
      ...{ networks, devices: [], aside: [] },
      own: [options.subnets.v4, options.subnets.v6].flatMap((subnet) => subnet ?? []),
    });
  }

  /** Throws ERR_TWILL_CONFIG, _NETLINK or _PRIVILEGE. Routes of an earlier run stay until the first peers are known. */
  static open(options: RoutePlaneOptions): RoutePlane {
    return new RoutePlane(options);
  }

  get deviceName(): string {
    return this.#options.interface;
  }

  get mtuBytes(): number {
    const { backend, externalMtuBytes, localAddress } = this.#options;
    return backend.deviceMtu(externalMtuBytes, localAddress.family);
  }

  /** The routes follow to another interface. */
  rebind(underlay: PlaneUnderlay): void {
    const { localAddressV6: _, ...rest } = this.#options;
    const options = { ...rest, ...underlay };
    refuseNestedUnderlay(localsOf(options), options.overlayNetworks);
    this.#options = options;
    this.reconcile(true);
  }

  setPeers(wanted: readonly Peer[]): number {
    this.#peers = wanted;
    this.#keeper.want(this.#wanted());
    this.#generation += 1;
    return this.#generation;
  }

  reconcile(isChanged: boolean): PlaneState {
    // What an earlier run has left stays until we know our peers.
    const isKnown = this.#generation > 0;
    if (!isChanged && isKnown) this.#keeper.retry();
    const link = netlink.links().find(({ name }) => name === this.deviceName);
    if (!link) return { mended: [], trouble: 'it is gone', retryInMs: null };
    // An interface that went and came back has another number.
    this.#index = link.index;
    const mended = isChanged && isKnown ? this.#keeper.look(this.#wanted()) : [];
    const trouble = link.up || this.kind === 'none' ? null : 'it is down';
    return { mended, trouble, retryInMs: this.#keeper.retryInMs };
  }

  #wanted(): WantedEntry[] {
    return this.#peers.flatMap((peer) => directEntries(peer, this.#index));
  }

  concerns({ kind }: NetlinkEvent): boolean {
    return kind !== 'neighbour';
  }

  get troubles(): ReadonlyMap<string, string> {
    return this.#keeper.troubles;
  }
  get foreignRoutes(): readonly string[] {
    return this.#keeper.foreign;
  }

  wayOf(): Way {
    return 'direct';
  }

  /** What a route carries nobody counts. */
  stats(): PlaneCounts {
    return {
      ...{ encap: null, decap: null, generation: this.#generation, peers: this.#peers.length },
      ...{ icmpSent: null, icmpSuppressed: null, workers: null, poolFree: null, poolSlots: null },
      ...{ offloads: {}, checksum: null },
    };
  }

  peerStats(): null {
    return null;
  }

  trace(destination: IpAddress): PlaneTrace {
    const { mtuBytes } = this;
    const peer = peerOf(destination, this.#peers);
    if (!peer) return { drop: 'no_route', mtuBytes };
    return { drop: null, endpoint: peer.endpoint, header: new Uint8Array(), mtuBytes, way: 'direct' };
  }

  openTap(): never {
    throw noTap(this.deviceName);
  }

  isTurning(): boolean {
    return true;
  }

  /** The routes stay. */
  close(): void {}
}

function localsOf({ localAddress, localAddressV6 }: RoutePlaneOptions): IpAddress[] {
  return [localAddress, localAddressV6].flatMap((address) => address ?? []);
}
