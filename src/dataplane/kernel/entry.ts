/** Entries of the kernel's tables that carry packets to peers, as values. Pure. */
import type { IpAddress } from '../../net/ip.js';
import type { MacAddress } from '../../net/mac.js';
import type { Prefix } from '../../net/prefix.js';

/** Of the main table, with the metric that the kernel gives where nobody names one. */
export interface RouteEntry {
  readonly kind: 'route';
  readonly destination: Prefix;
  /** null: whatever is there lies on the link itself. */
  readonly gateway: IpAddress | null;
  readonly index: number;
  /** The gateway need not lie in a connected prefix. */
  readonly onlink: boolean;
  /** RTPROT_*: who has made it. */
  readonly protocol: number;
}

/** Permanent ones. */
export interface NeighbourEntry {
  readonly kind: 'neighbour';
  readonly index: number;
  readonly address: IpAddress;
  readonly mac: MacAddress;
}

/** Where frames for a MAC go. Permanent ones of a vxlan device. */
export interface ForwardingEntry {
  readonly kind: 'forwarding';
  readonly index: number;
  readonly mac: MacAddress;
  readonly endpoint: IpAddress;
}

export interface AddressEntry {
  readonly kind: 'address';
  readonly index: number;
  readonly address: IpAddress;
  readonly length: number;
}

export type Entry = RouteEntry | NeighbourEntry | ForwardingEntry | AddressEntry;

/**
 * The protocol of our routes: nobody else's (/etc/iproute2/rt_protos), so that what we left is ours when we come back.
 * flannel's have RTPROT_BOOT, as those that `ip route add` makes.
 */
export const RTPROT_TWILL = 116;
export const RTPROT_BOOT = 3;
export const RT_TABLE_MAIN = 254;
export const RTN_UNICAST = 1;

/** What the kernel gives a route for which nobody names a metric. */
export const DEFAULT_METRIC = { 4: 0, 6: 1024 } as const;

/** What can be there once alone. */
export function keyOf(entry: Entry): string {
  switch (entry.kind) {
    case 'route':
      return `route ${entry.destination}`;
    case 'neighbour':
      return `neighbour ${entry.index} ${entry.address}`;
    case 'forwarding':
      return `forwarding ${entry.index} ${entry.mac}`;
    case 'address':
      return `address ${entry.index} ${entry.address}/${entry.length}`;
  }
}

/** Of two with the same key: whether they say the same. */
export function sameEntry(a: Entry, b: Entry): boolean {
  if (a.kind === 'route' && b.kind === 'route') {
    const isSameGateway = a.gateway === b.gateway || (b.gateway !== null && a.gateway?.equals(b.gateway));
    return isSameGateway === true && a.index === b.index && a.protocol === b.protocol;
  }
  if (a.kind === 'neighbour' && b.kind === 'neighbour') return a.mac.equals(b.mac);
  if (a.kind === 'forwarding' && b.kind === 'forwarding') return a.endpoint.equals(b.endpoint);
  return a.kind === b.kind;
}

/** In words that follow "the". */
export function entryText(entry: Entry): string {
  switch (entry.kind) {
    case 'route':
      return `route to ${entry.destination}${entry.gateway ? ` via ${entry.gateway}` : ''}`;
    case 'neighbour':
      return `neighbour ${entry.address} (${entry.mac})`;
    case 'forwarding':
      return `forwarding entry ${entry.mac} to ${entry.endpoint}`;
    case 'address':
      return `address ${entry.address}/${entry.length}`;
  }
}
