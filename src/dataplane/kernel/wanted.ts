/** Which entries of the kernel's tables a peer needs. Pure. */
import type { Peer } from '../../backend/backend.js';
import type { Route } from '../../native/netlink.js';
import type { IpAddress, IpFamily } from '../../net/ip.js';
import { RTN_UNICAST, RTPROT_TWILL } from './entry.js';
import type { WantedEntry } from './reconcile.js';

/** A route to the peer itself, over the link with this index. */
export function directEntries({ subnet, endpoint }: Peer, index: number): WantedEntry[] {
  const owner = subnet.toString();
  const gateway = endpoint.address;
  const entry = { destination: subnet, gateway, index, onlink: false, protocol: RTPROT_TWILL };
  return [{ owner, entry: { kind: 'route', ...entry } }];
}

/** What flannel makes on its vxlan device: who the other end is, where its frames go, and that packets go to it. */
export function tunnelEntries({ subnet, endpoint, mac }: Peer, index: number): WantedEntry[] {
  if (!mac) return [];
  const owner = subnet.toString();
  const gateway = subnet.address;
  const entry = { destination: subnet, gateway, index, onlink: true, protocol: RTPROT_TWILL };
  return [
    { owner, entry: { kind: 'neighbour', index, address: gateway, mac } },
    { owner, entry: { kind: 'forwarding', index, mac, endpoint: endpoint.address } },
    { owner, entry: { kind: 'route', ...entry } },
  ];
}

export interface WayTerms {
  /** Index of our device for each family; none: there is no tunnel of the kernel. */
  readonly devices: ReadonlyMap<IpFamily, number>;
  /** Index of the link on which an address is reached without a gateway; null: it is not. */
  readonly onLink: (address: IpAddress) => number | null;
}

export function peerEntries(peer: Peer, { devices, onLink }: WayTerms): WantedEntry[] {
  const direct = onLink(peer.endpoint.address);
  if (direct !== null) return directEntries(peer, direct);
  const device = devices.get(peer.subnet.family);
  return device === undefined ? [] : tunnelEntries(peer, device);
}

/** flannel's rule: the kernel reaches the peer, and through no gateway. Not through a tunnel of ours, either. */
export function linkOf(route: Route | null, tunnels: readonly number[]): number | null {
  if (!route || route.gateway || route.type !== RTN_UNICAST || route.index === 0) return null;
  return tunnels.includes(route.index) ? null : route.index;
}

/** The peer with the longest prefix around an address. */
export function peerOf(address: IpAddress, peers: readonly Peer[]): Peer | null {
  const holders = peers.filter(({ subnet }) => subnet.contains(address));
  return holders.sort((a, b) => b.subnet.length - a.subnet.length)[0] ?? null;
}
