/**
 * Which interface carries the underlay, and from which address. Pure: works on dumps of what the kernel has.
 *
 * Rules, first hit wins: each `--iface` (an address or a name), each `--iface-regex` (over addresses in index order, and
 * only if none matched over names), `--iface-can-reach`; where none of these is given, the interface that carries the
 * public IP, else that of the default route. A public IP that no interface carries (NAT) is advertised, no more.
 * flannel's order; unlike its later versions a NAT address alone is no error. An address that we have stays ours for as
 * long as it may: a second one beside it changes nothing.
 */
import { TwillError } from '../errors.js';
import { IpAddress, type IpFamily } from '../net/ip.js';
import { goRegExp } from './go-regexp.js';

export interface UnderlayLink {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
}
export interface UnderlayAddress {
  readonly index: number;
  readonly address: IpAddress;
  /** IFA_F_* flags. */
  readonly flags: number;
}
export interface DefaultRoute {
  readonly family: IpFamily;
  readonly index: number;
  /** Metric: the lowest is the kernel's choice. */
  readonly priority: number;
}

/** The kernel's state as far as the choice needs it. */
export interface HostNetwork {
  readonly links: readonly UnderlayLink[];
  readonly addresses: readonly UnderlayAddress[];
  /** Default routes of the main table, in the kernel's order. */
  readonly defaultRoutes: readonly DefaultRoute[];
  /** The answer to "how do you reach `--iface-can-reach`". */
  readonly canReach?: { readonly index: number; readonly source?: IpAddress };
}

export interface UnderlayRequest {
  readonly iface: readonly string[];
  readonly ifaceRegex: readonly string[];
  /** The address of `--iface-can-reach`, for messages. */
  readonly ifaceCanReach?: IpAddress;
  readonly publicIp?: IpAddress;
  readonly publicIpv6?: IpAddress;
  /** Families of the overlay: each needs an underlay address of its own. */
  readonly families: readonly IpFamily[];
}

export interface Underlay {
  readonly interface: string;
  readonly index: number;
  readonly mtuBytes: number;
  /** Addresses we bind and send from. At least one. */
  readonly address: IpAddress | null;
  readonly addressV6: IpAddress | null;
  /** Addresses we tell the others. */
  readonly publicIp: IpAddress | null;
  readonly publicIpv6: IpAddress | null;
}

interface Choice {
  readonly link: UnderlayLink;
  /** The addresses that the choice was made by, which then are those to send from. */
  readonly fixed: readonly IpAddress[];
}

/** `current`: what was chosen before. Throws ERR_TWILL_INTERFACE, naming the interfaces that there are. */
export function chooseUnderlay(request: UnderlayRequest, host: HostNetwork, current?: Underlay): Underlay {
  const { link, fixed } = chosenLink(request, host, current);
  if (link.mtu <= 0) throw failure(`interface ${link.name} has no MTU`, host);
  const own = (family: IpFamily, advertised: IpAddress | undefined): IpAddress | null => {
    const chosen = fixed.find((candidate) => candidate.family === family);
    if (chosen) return chosen;
    // Peers accept what comes from our public IP, so send from it where we can.
    if (advertised && carriers(host, advertised).some((carrier) => carrier.index === link.index))
      return advertised;
    const usable = usableAddresses(host, link.index, family);
    const [best = null] = usable;
    const held = usable.find((candidate) => isHeld(candidate, current));
    // What an interface gives itself while it waits for DHCP is none to stay with.
    return held && held.isLinkLocal === best?.isLinkLocal ? held : best;
  };
  const address = own(4, request.publicIp);
  const addressV6 = own(6, request.publicIpv6);
  for (const family of request.families) {
    if (family === 4 ? address : addressV6) continue;
    throw failure(
      `interface ${link.name} has no usable IPv${family} address: add one or choose another with --iface`,
      host,
    );
  }
  // A node of one family says nothing of the other: with IPv6 alone its identity is its IPv6 address.
  const [v4, v6] = [request.families.includes(4), request.families.includes(6)];
  return {
    interface: link.name,
    index: link.index,
    mtuBytes: link.mtu,
    address: v4 ? address : null,
    addressV6: v6 ? addressV6 : null,
    publicIp: v4 ? (request.publicIp ?? address) : null,
    publicIpv6: v6 ? (request.publicIpv6 ?? addressV6) : null,
  };
}

function isHeld(candidate: IpAddress, current: Underlay | undefined): boolean {
  return [current?.address, current?.addressV6].some((held) => held?.equals(candidate) === true);
}

function chosenLink(request: UnderlayRequest, host: HostNetwork, current: Underlay | undefined): Choice {
  const { iface, ifaceRegex, ifaceCanReach, families } = request;
  if (iface.length === 0 && ifaceRegex.length === 0 && !ifaceCanReach) {
    return byPublicIp(request, host) ?? byDefaultRoute(request, host);
  }
  const tried: string[] = [];
  for (const text of iface) {
    const choice = byNameOrAddress(text, host);
    if (choice) return choice;
    tried.push(`--iface=${text}`);
  }
  for (const text of ifaceRegex) {
    const choice = byRegex(text, families, host, current);
    if (choice) return choice;
    tried.push(`--iface-regex=${text}`);
  }
  if (ifaceCanReach) {
    const choice = byRoute(ifaceCanReach, host);
    if (choice) return choice;
    tried.push(`--iface-can-reach=${ifaceCanReach}`);
  }
  throw failure(`no interface matches ${tried.join(' or ')}`, host);
}

/** Null where no interface carries one: it is that of a NAT in front of us, and merely advertised. */
function byPublicIp({ families, publicIp, publicIpv6 }: UnderlayRequest, host: HostNetwork): Choice | null {
  const wanted = [publicIp, publicIpv6].flatMap((address) =>
    address && families.includes(address.family) ? [address] : [],
  );
  const found = wanted.flatMap((address) => {
    const [link] = carriers(host, address);
    return link ? [{ link, address }] : [];
  });
  const [first, other] = found;
  if (!first) return null;
  if (other && !carriers(host, other.address).some(({ index }) => index === first.link.index)) {
    const both = `${first.link.name} carries ${first.address}, and ${other.link.name} ${other.address}`;
    throw failure(`${both}: name one interface with --iface`, host);
  }
  return { link: first.link, fixed: found.map(({ address }) => address) };
}

/** By the kernel's answer. To an address of our own it names the loopback interface, which reaches nobody else. */
function byRoute(target: IpAddress, host: HostNetwork): Choice | null {
  const [own] = carriers(host, target);
  if (own) return { link: own, fixed: [target] };
  const link = host.links.find(({ index }) => index === host.canReach?.index);
  const source = host.canReach?.source;
  return link ? { link, fixed: source ? [source] : [] } : null;
}

function byNameOrAddress(text: string, host: HostNetwork): Choice | null {
  const wanted = IpAddress.tryParse(text);
  if (wanted) {
    const [link] = carriers(host, wanted);
    return link ? { link, fixed: [wanted] } : null;
  }
  const link = host.links.find(({ name }) => name === text);
  return link ? { link, fixed: [] } : null;
}

function byRegex(
  text: string,
  families: readonly IpFamily[],
  host: HostNetwork,
  current: Underlay | undefined,
): Choice | null {
  let pattern: RegExp;
  try {
    pattern = goRegExp(text);
  } catch (cause) {
    throw new TwillError(
      'ERR_TWILL_INTERFACE',
      `--iface-regex=${text} is no regular expression: ${(cause as Error).message}`,
    );
  }
  const links = [...host.links].sort((a, b) => a.index - b.index);
  for (const link of links) {
    const hits = families.map((family) => {
      const matching = host.addresses.filter(
        ({ index, address }) =>
          index === link.index && address.family === family && pattern.test(address.toString()),
      );
      return matching.find(({ address }) => isHeld(address, current)) ?? matching[0];
    });
    const fixed = hits.flatMap((hit) => (hit ? [hit.address] : []));
    // Dual stack: an address of each family must match.
    if (fixed.length > 0 && fixed.length === families.length) return { link, fixed };
  }
  const named = links.find(({ name }) => pattern.test(name));
  return named ? { link: named, fixed: [] } : null;
}

function byDefaultRoute({ families }: UnderlayRequest, host: HostNetwork): Choice {
  const links = families.map((family) => {
    const routes = host.defaultRoutes.filter((route) => route.family === family && route.index !== 0);
    const [best] = routes.sort((a, b) => a.priority - b.priority);
    const link = host.links.find(({ index }) => index === best?.index);
    if (!link)
      throw failure(
        `there is no IPv${family} default route to choose the interface by: name one with --iface`,
        host,
      );
    return link;
  });
  const [link, other] = links;
  if (!link) throw failure('neither IPv4 nor IPv6 is enabled', host);
  if (other && other.index !== link.index) {
    const both = `the IPv4 default route leads to ${link.name}, that of IPv6 to ${other.name}`;
    throw failure(`${both}: name the interface with --iface`, host);
  }
  return { link, fixed: [] };
}

function carriers(host: HostNetwork, wanted: IpAddress): UnderlayLink[] {
  const indexes = host.addresses.filter(({ address }) => address.equals(wanted)).map(({ index }) => index);
  return host.links.filter(({ index }) => indexes.includes(index));
}

const IFA_F_TEMPORARY = 0x01;
const IFA_F_DADFAILED = 0x08;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_PERMANENT = 0x80;

/** Best first: global before IPv4's link-local, then permanent, then lasting; never a deprecated, failed or loopback one. flannel's order. */
function usableAddresses(host: HostNetwork, index: number, family: IpFamily): IpAddress[] {
  const usable = host.addresses.filter(
    (candidate) =>
      candidate.index === index &&
      candidate.address.family === family &&
      !candidate.address.isLoopback &&
      // It means nothing without its interface: no peer could send to it.
      !(family === 6 && candidate.address.isLinkLocal) &&
      (candidate.flags & (IFA_F_DEPRECATED | IFA_F_DADFAILED)) === 0,
  );
  const rank = ({ address, flags }: UnderlayAddress) =>
    (address.isLinkLocal ? 4 : 0) + (flags & IFA_F_PERMANENT ? 0 : 2) + (flags & IFA_F_TEMPORARY ? 1 : 0);
  return usable.sort((a, b) => rank(a) - rank(b)).map(({ address }) => address);
}

const LISTING = '; interfaces here: ';

/** Why no interface could be chosen, without the list of those that there are: pods bring hundreds. */
export function withoutListing({ message }: Error): string {
  return message.split(LISTING)[0] ?? message;
}

function failure(why: string, host: HostNetwork): TwillError {
  const list = host.links.map(({ index, name }) => {
    const own = host.addresses
      .filter((candidate) => candidate.index === index)
      .map(({ address }) => address.toString());
    return `${name} (${own.join(', ') || 'no address'})`;
  });
  return new TwillError('ERR_TWILL_INTERFACE', `${why}${LISTING}${list.join(', ') || 'none'}`);
}
