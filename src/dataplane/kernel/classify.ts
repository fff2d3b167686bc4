/**
 * Which of the kernel's entries are ours, and which routes of others lie in our way. Pure.
 *
 * Ours is, whoever has made it: on a device of ours every permanent neighbour and forwarding entry, every address of the
 * overlay, and the routes into the overlay that have our protocol or flannel's. Elsewhere the routes into the overlay with
 * our protocol; with flannel's (which is that of `ip route add`) only where a peer holds just that subnet, for there flannel
 * itself would put its own in their place. Everything else is somebody's, and is left alone.
 */
import type { ForwardingEntry, HostAddress, Neighbour, Route } from '../../native/netlink.js';
import type { Prefix } from '../../net/prefix.js';
import {
  DEFAULT_METRIC,
  type Entry,
  keyOf,
  type RouteEntry,
  RT_TABLE_MAIN,
  RTN_UNICAST,
  RTPROT_BOOT,
  RTPROT_TWILL,
} from './entry.js';

/** Where entries can be ours. */
export interface Territory {
  readonly networks: readonly Prefix[];
  /** Indexes of our devices. */
  readonly devices: readonly number[];
  /** Indexes of devices whose routes somebody else of us keeps. */
  readonly aside: readonly number[];
  /** Our slices: what leads there leads to our own pods. */
  readonly own: readonly Prefix[];
}

/** What the kernel has, as dumped. */
export interface KernelTables {
  readonly routes: readonly Route[];
  readonly addresses: readonly HostAddress[];
  /** Of our devices, by index. */
  readonly neighbours: ReadonlyMap<number, readonly Neighbour[]>;
  readonly forwarding: ReadonlyMap<number, readonly ForwardingEntry[]>;
}

export interface ForeignRoute {
  readonly route: RouteEntry;
  /** With the kernel's own metric: where we want one to the same destination, it is in the way. */
  readonly isInTheWay: boolean;
}

export interface Actual {
  readonly ours: ReadonlyMap<string, Entry>;
  /** Further ones with the key of one of ours. */
  readonly doubles: readonly Entry[];
  /** Could be flannel's or an administrator's: ours where we want it, else theirs. */
  readonly adoptable: ReadonlyMap<string, RouteEntry>;
  /** Of others, into the overlay. */
  readonly foreign: readonly ForeignRoute[];
}

const NUD_PERMANENT = 0x80;

export function classify(tables: KernelTables, { networks, devices, aside, own: slices }: Territory): Actual {
  const ours = new Map<string, Entry>();
  const doubles: Entry[] = [];
  const adoptable = new Map<string, RouteEntry>();
  const foreign: ForeignRoute[] = [];
  const own = (entry: Entry) => {
    const key = keyOf(entry);
    if (ours.has(key)) doubles.push(entry);
    else ours.set(key, entry);
  };
  const isInside = (place: Prefix) => networks.some((network) => network.contains(place));
  for (const { destination, gateway, index, table, type, protocol, priority, source } of tables.routes) {
    if (table !== RT_TABLE_MAIN || !destination || !isInside(destination)) continue;
    if (aside.includes(index) || slices.some((slice) => slice.contains(destination))) continue;
    const route: RouteEntry = { kind: 'route', destination, gateway, index, onlink: false, protocol };
    const isPlain = type === RTN_UNICAST && priority === DEFAULT_METRIC[destination.family] && !source;
    const isInTheWay = priority === DEFAULT_METRIC[destination.family];
    if (protocol === RTPROT_TWILL && isPlain) own(route);
    else if (protocol !== RTPROT_BOOT || !isPlain) foreign.push({ route, isInTheWay });
    else if (devices.includes(index)) own(route);
    // A device or pod that somebody routes to is no peer of anybody's.
    else if (gateway && !adoptable.has(keyOf(route))) adoptable.set(keyOf(route), route);
    else foreign.push({ route, isInTheWay });
  }
  for (const { index, address, length } of tables.addresses) {
    if (devices.includes(index) && networks.some((network) => network.contains(address)))
      own({ kind: 'address', index, address, length });
  }
  for (const [index, neighbours] of tables.neighbours) {
    for (const { address, mac, state } of neighbours)
      if ((state & NUD_PERMANENT) !== 0) own({ kind: 'neighbour', index, address, mac });
  }
  for (const [index, entries] of tables.forwarding) {
    for (const { mac, endpoint, state } of entries) {
      // A default destination, or a group of many: nothing that a peer is made of.
      if (!endpoint || mac.isZero || mac.isMulticast || (state & NUD_PERMANENT) === 0) continue;
      own({ kind: 'forwarding', index, mac, endpoint });
    }
  }
  return { ours, doubles, adoptable, foreign };
}
