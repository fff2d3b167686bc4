/** The TUN device's place in this host: MTU, queue, addresses, routes. All by netlink, once. */
import { writeFileSync } from 'node:fs';
import { TwillError } from '../errors.js';
import { netlink } from '../native/netlink.js';
import type { IpAddress } from '../net/ip.js';
import type { Prefix } from '../net/prefix.js';
import { hostPrefix } from './prefixes.js';

/** Packets that the device holds while the worker is busy: 40 ms at 100,000 packets a second. */
const TX_QUEUE_PACKETS = 4000;
const RT_TABLE_MAIN = 254;

export interface DevicePlan {
  readonly mtuBytes: number;
  /** The base of each becomes an address of the device, as /32 or /128. */
  readonly subnets: readonly Prefix[];
  /** One route each leads to the device. */
  readonly networks: readonly Prefix[];
}

/** Throws ERR_TWILL_NETLINK or ERR_TWILL_PRIVILEGE, naming the device. */
export function configureDevice(
  index: number,
  name: string,
  { mtuBytes, subnets, networks }: DevicePlan,
): void {
  try {
    const hasV6 = networks.some(({ family }) => family === 6);
    // The ICMP errors that we answer with come from our own address, which IPv4 takes for a forgery by default.
    quietly(`ipv4/conf/${name}`, { accept_local: 1 });
    // Without an IPv6 overlay the kernel's own router solicitations and the like would only be dropped by us.
    quietly(`ipv6/conf/${name}`, hasV6 ? { accept_ra: 0, addr_gen_mode: 1 } : { disable_ipv6: 1 });
    netlink.linkSet(index, { mtu: mtuBytes, txQueueLength: TX_QUEUE_PACKETS });
    const bases = subnets.map(({ address }) => hostPrefix(address));
    // A device that was kept may carry the address of an earlier lease.
    const stale = netlink
      .addresses()
      .filter((held) => held.index === index && networks.some((network) => network.contains(held.address)))
      .filter((held) => !bases.some(({ address }) => address.equals(held.address)));
    for (const address of stale) netlink.addressDelete(index, address);
    for (const base of bases) netlink.addressAdd(index, base);
    netlink.linkSet(index, { up: true });
    for (const destination of networks) netlink.routeReplace({ destination, index });
  } catch (error) {
    if (!(error instanceof TwillError)) throw error;
    throw new TwillError(error.code, `device ${name}: ${error.message}`, { cause: error });
  }
}

/** Switches of the kernel that we can do without; one without IPv6 lacks some, and a container may forbid all. */
function quietly(folder: string, switches: { readonly [name: string]: number }): void {
  for (const [name, value] of Object.entries(switches)) {
    try {
      writeFileSync(`/proc/sys/net/${folder}/${name}`, String(value));
    } catch {
      // As in flannel.
    }
  }
}

/** Throws ERR_TWILL_CONFIG where the tunnel would carry itself. */
export function refuseNestedUnderlay(locals: readonly IpAddress[], networks: readonly Prefix[]): void {
  for (const address of locals) {
    const network = networks.find((candidate) => candidate.contains(address));
    if (!network) continue;
    throw new TwillError(
      'ERR_TWILL_CONFIG',
      `our underlay address ${address} lies in the overlay network ${network}: choose another Network, or another --iface`,
    );
  }
}

/** The same route through another device: replacing it could cut this host off. Throws ERR_TWILL_NETLINK. */
export function refuseRivalRoute(network: Prefix, deviceName: string): void {
  const links = netlink.links();
  for (const { destination, table, index } of netlink.routes(network.family)) {
    if (table !== RT_TABLE_MAIN || !destination?.equals(network)) continue;
    const name = links.find((link) => link.index === index)?.name ?? `link ${index}`;
    if (name === deviceName) continue;
    const fix = `remove it with "ip route delete ${network} dev ${name}"`;
    throw new TwillError(
      'ERR_TWILL_NETLINK',
      `a route to the overlay network ${network} leads to ${name} already: ${fix}`,
    );
  }
}
