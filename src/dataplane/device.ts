/** The TUN device's place in this host: MTU, queue, addresses, routes. All by netlink, at set-up and when others change it. */
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { TwillError } from '../errors.js';
import { type Link, netlink } from '../native/netlink.js';
import type { IpAddress } from '../net/ip.js';
import type { Prefix } from '../net/prefix.js';
import { hostPrefix } from './prefixes.js';

/** Packets that the device holds while the worker is busy: 40 ms at 100,000 packets a second. */
const TX_QUEUE_PACKETS = 4000;
const RT_TABLE_MAIN = 254;
const ENODEV = 19;

export interface DevicePlan {
  readonly mtuBytes: number;
  /** The base of each becomes an address of the device, as /32 or /128. */
  readonly subnets: readonly Prefix[];
  /** One route each leads to the device. */
  readonly networks: readonly Prefix[];
  /**
   * Lets through what the device brings in from its own address, as our ICMP errors are; the kernel else takes it for
   * forged. Only where the engine lets no peer send from that address.
   */
  readonly acceptLocal: boolean;
}

/** Throws ERR_TWILL_NETLINK or ERR_TWILL_PRIVILEGE, naming the device. */
export function configureDevice(
  index: number,
  name: string,
  { mtuBytes, subnets, networks, acceptLocal }: DevicePlan,
): void {
  try {
    const hasV6 = networks.some(({ family }) => family === 6);
    // Without an IPv6 overlay the kernel's own router solicitations and the like would only be dropped by us.
    quietly('ipv6', name, hasV6 ? { accept_ra: 0, addr_gen_mode: 1 } : { disable_ipv6: 1 });
    quietly('ipv4', name, { accept_local: acceptLocal ? 1 : 0 });
    setMtu(index, mtuBytes);
    netlink.linkSet(index, { txQueueLength: TX_QUEUE_PACKETS });
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

function setMtu(index: number, mtuBytes: number): void {
  netlink.linkSet(index, { mtu: mtuBytes });
  limitSuperPackets(index, mtuBytes);
}

/** At once. Where it fails (the device is going) the next look finds it and says so. */
export function resizeDevice(index: number, mtuBytes: number): void {
  try {
    setMtu(index, mtuBytes);
  } catch (error) {
    if (!(error instanceof TwillError)) throw error;
  }
}

/** What one UDP_SEGMENT send takes, and the encapsulation's share of each segment at most. */
const LONGEST_SEND_BYTES = 65_507;
const ENCAP_BYTES = 22;
/** IPv4 and TCP headers with timestamps; what the kernel takes off the limit for headers at most (MAX_TCP_HEADER). */
const TCP_HEADER_BYTES = 52;
const HEADER_RESERVE_BYTES = 386;

/** Super-packets that fill one send and leave no tail for a second. A kernel or a container may refuse: then two it is. */
function limitSuperPackets(index: number, mtuBytes: number): void {
  const segments = Math.floor(LONGEST_SEND_BYTES / (mtuBytes + ENCAP_BYTES));
  if (segments < 2) return;
  try {
    netlink.linkSet(index, { gsoMaxBytes: segments * (mtuBytes - TCP_HEADER_BYTES) + HEADER_RESERVE_BYTES });
  } catch {
    // Slower, not wrong.
  }
}

/** How a device that is up differs from the plan, in words. */
export function deviceFaults({ index, mtu }: Link, { mtuBytes, subnets, networks }: DevicePlan): string[] {
  const faults = mtu === mtuBytes ? [] : [`its MTU was ${mtu}, not ${mtuBytes}`];
  const held = netlink.addresses().filter((address) => address.index === index);
  for (const { address } of subnets) {
    if (!held.some((one) => one.address.equals(address))) faults.push(`it had lost its address ${address}`);
  }
  for (const network of networks) {
    const leadsHere = netlink
      .routes(network.family)
      .some(
        (route) =>
          route.index === index && route.table === RT_TABLE_MAIN && route.destination?.equals(network),
      );
    if (!leadsHere) faults.push(`the route to ${network} was gone`);
  }
  return faults;
}

/** Switches of the kernel that packets pass without; a kernel without IPv6 has none of its own, a container may not write. */
export function quietly(
  family: 'ipv4' | 'ipv6',
  deviceName: string,
  switches: { readonly [name: string]: number },
): void {
  for (const [name, value] of Object.entries(switches)) {
    try {
      writeFileSync(`/proc/sys/net/${family}/conf/${deviceName}/${name}`, String(value));
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

/** The same route through a device other than these: replacing it could cut this host off. Throws ERR_TWILL_NETLINK. */
export function refuseRivalRoute(network: Prefix, deviceNames: readonly string[]): void {
  const links = netlink.links();
  for (const { destination, table, index } of netlink.routes(network.family)) {
    if (table !== RT_TABLE_MAIN || !destination?.equals(network)) continue;
    const name = links.find((link) => link.index === index)?.name ?? `link ${index}`;
    if (deviceNames.includes(name)) continue;
    const fix = `remove it with "ip route delete ${network} dev ${name}"`;
    throw new TwillError(
      'ERR_TWILL_NETLINK',
      `a route to the overlay network ${network} leads to ${name} already: ${fix}`,
    );
  }
}

/** As `deleteDevices`, but not for a TUN that then could not be made. Throws ERR_TWILL_DEVICE, ERR_TWILL_NETLINK or ERR_TWILL_PRIVILEGE, naming the device. */
export function makeWay(devices: readonly { readonly index: number; readonly name: string }[]): void {
  try {
    closeSync(openSync('/dev/net/tun', constants.O_RDWR));
  } catch (cause) {
    const fix = 'load the module (modprobe tun), give the container the device, or run as root';
    throw new TwillError('ERR_TWILL_DEVICE', `cannot use /dev/net/tun: ${fix}`, { cause });
  }
  deleteDevices(devices);
}

/** Deletes devices that give way to ours: what they carried stands still from here on. Throws ERR_TWILL_NETLINK or _PRIVILEGE. */
export function deleteDevices(devices: readonly { readonly index: number; readonly name: string }[]): void {
  for (const { index, name } of devices) {
    try {
      netlink.linkDelete(index);
    } catch (error) {
      if (!(error instanceof TwillError)) throw error;
      if (error.errno === ENODEV) continue;
      throw new TwillError(error.code, `device ${name}: ${error.message}`, { cause: error });
    }
  }
}
