/** Which peers are reached without a tunnel now: asked of the kernel, once for each look. */
import type { Peer } from '../../backend/backend.js';
import { netlink } from '../../native/netlink.js';
import type { IpAddress } from '../../net/ip.js';
import { linkOf } from './wanted.js';

/** From an address to the link on which it is reached without a gateway; null: on none. */
export type OnLink = (address: IpAddress) => number | null;

export const nowhere: OnLink = () => null;

/** `tunnels`: links that do not count. */
export function askOnLink(peers: readonly Peer[], tunnels: readonly number[]): OnLink {
  const endpoints = new Map(peers.map(({ endpoint: { address } }) => [address.toString(), address]));
  const routes = netlink.routeGets([...endpoints.values()]);
  const links = new Map([...endpoints.keys()].map((text, i) => [text, linkOf(routes[i] ?? null, tunnels)]));
  return (address) => links.get(address.toString()) ?? null;
}
