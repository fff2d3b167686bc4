/**
 * Which decoded leases may become peers. A store can be written by many hands, so a lease is believed only as far as it
 * can do no harm: it may not draw our own addresses, or the tunnel itself, into the tunnel.
 */
import type { IpAddress } from '../net/ip.js';
import { Prefix } from '../net/prefix.js';
import type { Lease, LeaseSubnets } from './lease.js';

export interface LeaseContext {
  /** The overlay networks, one per enabled family. */
  readonly networks: readonly Prefix[];
  readonly ownSubnets: LeaseSubnets | null;
}

/** Never an endpoint: "this network" (RFC 1122), reserved (RFC 1112), v4-mapped, documentation stays allowed. */
const unusable = ['0.0.0.0/8', '240.0.0.0/4', '::ffff:0:0/96'].map((text) => Prefix.parse(text));

/** Why this lease may not become a peer, in words that follow its key; null: it may. */
export function refusal(lease: Lease, context: LeaseContext): string | null {
  const { v4, v6 } = lease.subnets;
  const { publicIp, publicIpv6 } = lease.attributes;
  for (const [subnet, name, endpoint] of [
    [v4, 'PublicIP', publicIp],
    [v6, 'PublicIPv6', publicIpv6],
  ] as const) {
    if (!subnet) continue;
    const why = subnetRefusal(subnet, context) ?? endpointRefusal(name, endpoint, context);
    if (why !== null) return why;
  }
  return null;
}

function subnetRefusal(subnet: Prefix, { networks, ownSubnets }: LeaseContext): string | null {
  const network = networks.find(({ family }) => family === subnet.family);
  if (!network) return `its subnet ${subnet} is IPv${subnet.family}, which the overlay has no network for`;
  if (!network.contains(subnet)) return `its subnet ${subnet} lies outside the overlay network ${network}`;
  if (network.equals(subnet)) return `its subnet ${subnet} is the whole overlay network`;
  for (const own of [ownSubnets?.v4, ownSubnets?.v6]) {
    if (own?.overlaps(subnet)) return `its subnet ${subnet} overlaps our own ${own}`;
  }
  return null;
}

function endpointRefusal(name: string, address: IpAddress | null, { networks }: LeaseContext): string | null {
  if (!address) return `it has no ${name}`;
  const bad =
    (address.isUnspecified && 'unspecified') ||
    (address.isLoopback && 'a loopback address') ||
    (address.isMulticast && 'a multicast address') ||
    (address.family === 6 && address.isLinkLocal && 'link-local, which says nothing without an interface') ||
    (unusable.some((prefix) => prefix.contains(address)) && 'not usable as an endpoint');
  if (bad) return `its ${name} ${address} is ${bad}`;
  const network = networks.find((candidate) => candidate.contains(address));
  return network
    ? `its ${name} ${address} lies in the overlay network ${network}: the tunnel would carry itself`
    : null;
}
