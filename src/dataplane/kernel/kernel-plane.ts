/**
 * The kernel plane: its own vxlan device carries the packets, and we keep its entries. For each peer that is a neighbour, a
 * forwarding entry and a route, as flannel makes them; with DirectRouting a route alone where the peer is on a network of
 * ours. Device and entries outlive us, and the next start finds them again: packets pass meanwhile.
 */
import type { Peer, TunnelBackend } from '../../backend/backend.js';
import { TwillError } from '../../errors.js';
import type { LeaseSubnets } from '../../lease/lease.js';
import { type Link, type NetlinkEvent, netlink } from '../../native/netlink.js';
import type { IpAddress, IpFamily } from '../../net/ip.js';
import type { MacAddress } from '../../net/mac.js';
import type { Prefix } from '../../net/prefix.js';
import { deleteDevices, refuseNestedUnderlay } from '../device.js';
import type { Plane, PlaneCounts, PlaneState, PlaneTrace, PlaneUnderlay, Way } from '../plane.js';
import { hostPrefix } from '../prefixes.js';
import { noTap } from '../tap.js';
import { aliasOf } from './alias.js';
import { EntryKeeper } from './entry-keeper.js';
import { LinkTally } from './link-stats.js';
import type { WantedEntry } from './reconcile.js';
import { tunnelHeader } from './tunnel-header.js';
import { type DevicePlan, ensureDevice } from './vxlan-device.js';
import { peerEntries, peerOf } from './wanted.js';
import { askOnLink, nowhere, type OnLink } from './ways.js';

export interface KernelPlaneOptions {
  readonly backend: TunnelBackend;
  /** Ours. */
  readonly subnets: LeaseSubnets;
  /** Our VTEP MAC; that of frames with IPv6 inside, where it is another. */
  readonly mac: MacAddress;
  readonly macV6?: MacAddress;
  /** Underlay addresses that we send from. */
  readonly localAddress: IpAddress;
  readonly localAddressV6?: IpAddress;
  /** The underlay interface: one that goes and comes back has another number. */
  readonly interface: string;
  readonly externalMtuBytes: number;
  readonly overlayNetworks: readonly Prefix[];
  /** Devices of earlier runs: those of our name are kept where they fit, the others deleted. */
  readonly replaces?: readonly { readonly index: number; readonly name: string }[];
}

interface OwnDevice {
  readonly plan: Omit<DevicePlan, 'lower'>;
  readonly subnet: Prefix;
  /** 0: it is not there. */
  index: number;
}

export class KernelPlane implements Plane {
  readonly kind = 'kernel';
  readonly deviceName: string;
  readonly watchesNeighbours = true;
  #options: KernelPlaneOptions;
  #devices: readonly OwnDevice[];
  readonly #tally = new LinkTally();
  readonly #keeper: EntryKeeper;
  #peers: readonly Peer[] = [];
  #onLink: OnLink = nowhere;
  #generation = 0;

  private constructor(options: KernelPlaneOptions) {
    this.#options = options;
    const plans = plansOf(options);
    refuseNestedUnderlay(
      plans.map(({ plan }) => plan.local),
      options.overlayNetworks,
    );
    const names = plans.map(({ plan }) => plan.name);
    deleteDevices((options.replaces ?? []).filter(({ name }) => !names.includes(name)));
    this.#devices = plans.map((own) => ({ ...own, index: 0 }));
    this.deviceName = names[0] ?? '';
    this.#keeper = new EntryKeeper(this.#territory);
    this.#keepDevices(netlink.links());
    for (const { index, subnet } of this.#devices) {
      netlink.linkSet(index, { up: true });
      netlink.addressAdd(index, hostPrefix(subnet.address));
    }
  }

  /** Throws ERR_TWILL_DEVICE, _PRIVILEGE, _NETLINK or _CONFIG. What was there of entries stays until the first peers are known. */
  static open(options: KernelPlaneOptions): KernelPlane {
    return new KernelPlane(options);
  }

  get mtuBytes(): number {
    return Math.min(...this.#devices.map(({ plan }) => plan.mtu));
  }

  get deviceIndexes(): readonly number[] {
    return this.#devices.map(({ index }) => index);
  }

  get devices(): readonly string[] {
    return this.#devices.map(({ plan }) => plan.name);
  }

  setPeers(wanted: readonly Peer[]): number {
    this.#peers = wanted;
    this.#askWays();
    this.#keeper.want(this.#wanted());
    this.#generation += 1;
    return this.#generation;
  }

  reconcile(isChanged: boolean): PlaneState {
    // What an earlier run has left stays until we know our peers.
    const isKnown = this.#generation > 0;
    const mended = isChanged ? this.#look(isKnown) : [];
    if (!isChanged && isKnown) this.#keeper.retry();
    const down = this.#down();
    const trouble = down === null ? null : `it is down: "ip link set ${down} up" lets packets pass again`;
    const { hasFlannelsRoutes, retryInMs } = this.#keeper;
    return { mended, trouble, retryInMs, hasFlannelsRoutes: isChanged && isKnown && hasFlannelsRoutes };
  }

  /** What of a device cannot be changed in place, its address above all, makes it anew; its entries come with it. */
  rebind(underlay: PlaneUnderlay): void {
    const [options, devices] = [this.#options, this.#devices];
    const { localAddressV6: _, ...rest } = options;
    const wanted = { ...rest, ...underlay };
    const plans = plansOf(wanted);
    refuseNestedUnderlay(
      plans.map(({ plan }) => plan.local),
      options.overlayNetworks,
    );
    const indexOf = (name: string) => devices.find(({ plan }) => plan.name === name)?.index ?? 0;
    this.#options = wanted;
    this.#devices = plans.map((own) => ({ ...own, index: indexOf(own.plan.name) }));
    try {
      this.#look(this.#generation > 0);
    } catch (error) {
      this.#options = options;
      this.#devices = devices;
      throw error;
    }
  }

  concerns({ kind, index }: NetlinkEvent): boolean {
    if (kind === 'neighbour') return this.#devices.some((device) => device.index === index);
    // A route may lead into the overlay from anywhere, and whether a peer is near depends on all of them.
    return true;
  }

  get troubles(): ReadonlyMap<string, string> {
    return this.#keeper.troubles;
  }
  get foreignRoutes(): readonly string[] {
    return this.#keeper.foreign;
  }

  wayOf({ endpoint }: Peer): Way {
    return this.#onLink(endpoint.address) === null ? 'tunnel' : 'direct';
  }

  stats(): PlaneCounts {
    const { encap, decap } = this.#tally.read(this.#devices.map(({ index }) => index));
    return {
      ...{ encap, decap, generation: this.#generation, peers: this.#peers.length },
      ...{ icmpSent: null, icmpSuppressed: null, workers: null, poolFree: null, poolSlots: null },
      ...{ offloads: {}, checksum: null },
    };
  }

  /** The kernel counts none by peer. */
  peerStats(): null {
    return null;
  }

  trace(destination: IpAddress): PlaneTrace {
    const { mtuBytes } = this;
    const peer = peerOf(destination, this.#peers);
    if (!peer) return { drop: 'no_route', mtuBytes };
    const way = this.wayOf(peer);
    const { vni = 0 } = this.#options.backend;
    const own = this.#devices.find(({ plan }) => plan.family === destination.family);
    const isTunnel = way === 'tunnel' && own && peer.mac;
    const header = isTunnel
      ? tunnelHeader(vni, peer.mac, own.plan.mac, destination.family)
      : new Uint8Array();
    return { drop: null, endpoint: peer.endpoint, header, mtuBytes, way };
  }

  openTap(): never {
    throw noTap(this.deviceName);
  }

  isTurning(): boolean {
    return true;
  }

  /** Device and entries stay. */
  close(): void {}

  get #territory() {
    const devices = this.#devices.map(({ index }) => index);
    const { overlayNetworks: networks, subnets } = this.#options;
    return { networks, devices, aside: [], own: [subnets.v4, subnets.v6].flatMap((own) => own ?? []) };
  }

  /** What had to be put right. */
  #look(isKnown: boolean): string[] {
    const mended = this.#keepDevices(netlink.links());
    if (!isKnown) return mended;
    this.#askWays();
    return [...mended, ...this.#keeper.look(this.#wanted())];
  }

  #askWays(): void {
    const tunnels = this.#devices.map(({ index }) => index);
    this.#onLink = this.#options.backend.directRouting ? askOnLink(this.#peers, tunnels) : nowhere;
  }

  /** What had to be put right. */
  #keepDevices(links: readonly Link[]): string[] {
    const mended: string[] = [];
    const lower = links.find(({ name }) => name === this.#options.interface)?.index;
    if (lower === undefined)
      throw new TwillError('ERR_TWILL_DEVICE', `its interface ${this.#options.interface} is gone`);
    for (const device of this.#devices) {
      const kept = ensureDevice({ ...device.plan, lower }, links);
      if (kept.index !== device.index) this.#tally.follow(kept.index);
      device.index = kept.index;
      const { name } = device.plan;
      mended.push(
        ...kept.mended.map((what) => `${name}: ${what}${kept.isNew ? ', and has been made anew' : ''}`),
      );
    }
    this.#keeper.move(this.#territory);
    return mended;
  }

  /** The first of our devices that is down. */
  #down(): string | null {
    const links = netlink.links();
    const isUp = (device: OwnDevice) => links.some(({ index, up }) => index === device.index && up);
    return this.#devices.find((device) => !isUp(device))?.plan.name ?? null;
  }

  #wanted(): WantedEntry[] {
    const own = this.#devices.map(({ index, subnet }): WantedEntry => {
      const { address, length } = hostPrefix(subnet.address);
      return { owner: null, entry: { kind: 'address', index, address, length } };
    });
    const devices = new Map<IpFamily, number>(this.#devices.map(({ plan, index }) => [plan.family, index]));
    const terms = { devices, onLink: this.#onLink };
    return [...own, ...this.#peers.flatMap((peer) => peerEntries(peer, terms))];
  }
}

function plansOf(options: KernelPlaneOptions): Omit<OwnDevice, 'index'>[] {
  const { backend, subnets, mac, macV6, localAddress, localAddressV6, externalMtuBytes } = options;
  const { vni = 0, port, gbp, learning } = backend;
  const locals = [localAddress, localAddressV6];
  const wanted = ([4, 6] as const).flatMap((family) => {
    const subnet = family === 4 ? subnets.v4 : subnets.v6;
    const local = locals.find((address) => address?.family === family);
    return subnet && local ? [{ family, subnet, local }] : [];
  });
  // One for both families, so that no pod has to find out.
  const mtu = Math.min(...wanted.map(({ family }) => backend.deviceMtu(externalMtuBytes, family)));
  const alias = aliasOf(options.overlayNetworks);
  return wanted.map(({ family, subnet, local }) => {
    const name = family === 4 ? `flannel.${vni}` : `flannel-v6.${vni}`;
    const ownMac = family === 6 ? (macV6 ?? mac) : mac;
    const place = { name, family, local, mac: ownMac };
    return { subnet, plan: { ...place, mtu, vni, port, gbp, learning, alias } };
  });
}
