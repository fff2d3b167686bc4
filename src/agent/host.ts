/** This host's links, addresses and routes, as the kernel has them. */

import { TwillError } from '../errors.js';
import type { Netlink } from '../native/netlink.js';
import type { IpAddress, IpFamily } from '../net/ip.js';
import type { DefaultRoute, HostNetwork } from './underlay.js';

/** What the agent asks of netlink. */
export type HostNetlink = Pick<
  Netlink,
  | 'links'
  | 'addresses'
  | 'routes'
  | 'routeGet'
  | 'watch'
  | 'watchNftables'
  | 'blackholeAdd'
  | 'blackholeDelete'
  | 'vxlanAdd'
  | 'linkDelete'
>;

/** Of that, what the choice of the underlay is made by. */
export type UnderlayNetlink = Pick<HostNetlink, 'links' | 'addresses' | 'routes' | 'routeGet' | 'watch'>;

const RT_TABLE_MAIN = 254;
const RTN_UNICAST = 1;

export function readHostNetwork(
  netlink: Omit<UnderlayNetlink, 'watch'>,
  canReach: IpAddress | undefined,
): HostNetwork {
  const defaults = (family: IpFamily): DefaultRoute[] =>
    netlink
      .routes(family)
      .filter(({ destination, table, type }) => {
        const isDefault = destination === null || destination.length === 0;
        return isDefault && table === RT_TABLE_MAIN && type === RTN_UNICAST;
      })
      .map(({ index, priority }) => ({ family, index, priority }));
  const reach = canReach && routeTo(netlink, canReach);
  return {
    links: netlink.links(),
    addresses: netlink.addresses(),
    defaultRoutes: [...defaults(4), ...defaults(6)],
    ...(reach && { canReach: { index: reach.index, ...(reach.source && { source: reach.source }) } }),
  };
}

/** Null where there is none: another flag may choose the interface, and if not, the choice tells. */
function routeTo(netlink: Pick<HostNetlink, 'routeGet'>, target: IpAddress) {
  try {
    return netlink.routeGet(target);
  } catch (error) {
    if (error instanceof TwillError && error.code === 'ERR_TWILL_NETLINK') return null;
    throw error;
  }
}
