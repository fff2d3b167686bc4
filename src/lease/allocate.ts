/**
 * Which subnet a node may have. flannel's algorithm: the subnet of the previous run where it is free, else one of the
 * first hundred free subnets upward from SubnetMin, at random, so that nodes starting together seldom want the same one.
 */
import type { NetConf, OverlayRange } from '../config/net-conf.js';
import { TwillError } from '../errors.js';
import { addressBits, IpAddress } from '../net/ip.js';
import { Prefix } from '../net/prefix.js';
import type { LeaseSubnets } from './lease.js';

const MOST_CANDIDATES = 100;

/**
 * `taken`: what other leases hold; `random`: uniform in [0, 1). Each family chooses by itself.
 * Throws ERR_TWILL_OUT_OF_SUBNETS.
 */
export function chooseSubnets(
  netConf: NetConf,
  taken: readonly LeaseSubnets[],
  previous: LeaseSubnets | null,
  random: () => number,
): LeaseSubnets {
  if (previous && compatible(netConf, previous) && !taken.some((other) => overlap(other, previous)))
    return previous;
  const v4 = netConf.v4 && choose(netConf.v4, prefixes(taken, 'v4'), random);
  const v6 = netConf.v6 && choose(netConf.v6, prefixes(taken, 'v6'), random);
  return { ...(v4 && { v4 }), ...(v6 && { v6 }) };
}

/** Whether this configuration could have given out these subnets: same families, right length, within Min and Max. */
export function compatible(netConf: NetConf, subnets: LeaseSubnets): boolean {
  const fits = (range: OverlayRange | undefined, subnet: Prefix | undefined): boolean => {
    if (!range || !subnet) return !range && !subnet;
    const { address, length } = subnet;
    return (
      length === range.subnetLength &&
      address.compare(range.subnetMin) >= 0 &&
      address.compare(range.subnetMax) <= 0
    );
  };
  return fits(netConf.v4, subnets.v4) && fits(netConf.v6, subnets.v6);
}

export function overlap(a: LeaseSubnets, b: LeaseSubnets): boolean {
  return Boolean((a.v4 && b.v4?.overlaps(a.v4)) || (a.v6 && b.v6?.overlaps(a.v6)));
}

function choose(range: OverlayRange, taken: readonly Prefix[], random: () => number): Prefix {
  const candidates = free(range, taken);
  const chosen = candidates[Math.min(Math.floor(random() * candidates.length), candidates.length - 1)];
  if (chosen) return chosen;
  const { network, subnetLength, subnetMin, subnetMax } = range;
  throw new TwillError(
    'ERR_TWILL_OUT_OF_SUBNETS',
    `out of subnets: every /${subnetLength} of ${network} from ${subnetMin} to ${subnetMax} is leased; ` +
      'remove leases that are no longer used, or widen SubnetMin/SubnetMax or Network',
  );
}

/** The first free subnets. One walk over the sorted taken ranges, whatever the size of the network. */
function free({ subnetLength, subnetMin, subnetMax }: OverlayRange, taken: readonly Prefix[]): Prefix[] {
  const { family } = subnetMin;
  const step = 1n << BigInt(addressBits(family) - subnetLength);
  const sorted = [...taken].sort((a, b) => a.compare(b));
  const found: Prefix[] = [];
  let next = 0;
  let base = subnetMin.value;
  while (base <= subnetMax.value && found.length < MOST_CANDIDATES) {
    // Ranges that end before this candidate concern no later one either: prefixes nest or lie apart.
    let blocker = sorted[next];
    while (blocker && blocker.last.value < base) blocker = sorted[++next];
    if (blocker && blocker.first.value < base + step) {
      const end = blocker.last.value + 1n;
      base = end <= base + step ? base + step : ((end + step - 1n) / step) * step;
    } else {
      found.push(Prefix.of(IpAddress.of(family, base), subnetLength));
      base += step;
    }
  }
  return found;
}

function prefixes(taken: readonly LeaseSubnets[], family: 'v4' | 'v6'): Prefix[] {
  return taken.flatMap((subnets) => subnets[family] ?? []);
}
