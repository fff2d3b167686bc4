/** This host's links, addresses and routes, as the kernel has them. */

import type { Netlink } from '../native/netlink.js';
import type { IpAddress, IpFamily } from '../net/ip.js';
import type { DefaultRoute, HostNetwork } from './underlay.js';

/** What the agent asks of netlink. */
export type HostNetlink = Pick<Netlink, 'links' | 'addresses' | 'routes' | 'routeGet' | 'watch'>;

const RT_TABLE_MAIN = 254;
const RTN_UNICAST = 1;

export function readHostNetwork(netlink: HostNetlink, canReach: IpAddress | undefined): HostNetwork {
  const defaults = (family: IpFamily): DefaultRoute[] =>
    netlink
      .routes(family)
      .filter(({ destination, table, type }) => {
        const isDefault = destination === null || destination.length === 0;
        return isDefault && table === RT_TABLE_MAIN && type === RTN_UNICAST;
      })
      .map(({ index, priority }) => ({ family, index, priority }));
  const reach = canReach && netlink.routeGet(canReach);
  return {
    links: netlink.links(),
    addresses: netlink.addresses(),
    defaultRoutes: [...defaults(4), ...defaults(6)],
    ...(reach && { canReach: { index: reach.index, ...(reach.source && { source: reach.source }) } }),
  };
}
