/**
 * What leases claim, each once: ranges of addresses, a public IP, a VTEP MAC. Finds the holder of whatever a newcomer
 * would take from it, in time that does not grow with the number of leases: ranges are looked up by each prefix length
 * that occurs, in the lengths above as "is one of these mine", in those below as "does one of these cover me".
 */
import { addressBits } from '../net/ip.js';
import { field, type Json } from '../net/json.js';
import type { Prefix } from '../net/prefix.js';
import type { Lease } from './lease.js';

export class Claims {
  readonly #lengths: { readonly 4: readonly number[]; readonly 6: readonly number[] };
  /** Public IPs and MACs, ranges, and the wider ranges that hold one of these; each with the key of its lease. */
  readonly #single = new Map<string, string>();
  readonly #ranges = new Map<string, string>();
  readonly #within = new Map<string, string>();

  /** `leases`: all that will be claimed for, so that their prefix lengths are known. */
  constructor(leases: Iterable<Lease>) {
    const lengths = { 4: new Set<number>(), 6: new Set<number>() };
    for (const lease of leases) {
      for (const { subnet } of claimsOf(lease).ranges) lengths[subnet.family].add(subnet.length);
    }
    this.#lengths = { 4: [...lengths[4]], 6: [...lengths[6]] };
  }

  /** Records the claims of a lease, or says what of it belongs to which other lease already and records nothing. */
  claim(lease: Lease): string | null {
    const { single, ranges } = claimsOf(lease);
    for (const { what, id } of single) {
      const holder = this.#single.get(id);
      if (holder !== undefined && holder !== lease.key)
        return `its ${what} is that of the older lease ${holder}`;
    }
    for (const range of ranges) {
      const holder = this.#holderOf(range);
      if (holder !== undefined)
        return `its subnet ${range.subnet} overlaps that of the older lease ${holder}`;
    }
    for (const { id } of single) this.#single.set(id, lease.key);
    for (const { subnet, id } of ranges) {
      this.#ranges.set(id, lease.key);
      for (const length of this.#lengths[subnet.family]) {
        if (length < subnet.length) this.#within.set(rangeId(subnet, length), lease.key);
      }
    }
    return null;
  }

  #holderOf({ subnet, id }: RangeClaim): string | undefined {
    for (const length of this.#lengths[subnet.family]) {
      if (length > subnet.length) continue;
      const holder = this.#ranges.get(length === subnet.length ? id : rangeId(subnet, length));
      if (holder !== undefined) return holder;
    }
    return this.#within.get(id);
  }
}

interface RangeClaim {
  readonly subnet: Prefix;
  readonly id: string;
}

interface LeaseClaims {
  readonly single: readonly { readonly what: string; readonly id: string }[];
  readonly ranges: readonly RangeClaim[];
}

/** Most leases stay as they are at any change, and so do their claims. */
const known = new WeakMap<Lease, LeaseClaims>();

function claimsOf(lease: Lease): LeaseClaims {
  const before = known.get(lease);
  if (before) return before;
  const { v4, v6 } = lease.subnets;
  const subnets = [v4, v6].flatMap((subnet) => subnet ?? []);
  const ranges = subnets.map((subnet) => ({ subnet, id: rangeId(subnet, subnet.length) }));
  const claims = { single: singleClaims(lease), ranges };
  known.set(lease, claims);
  return claims;
}

/** VTEP MACs that a lease advertises, in lower case, whatever else they may be. */
export function vtepMacTexts({ attributes }: Lease): string[] {
  return [attributes.backendData, attributes.backendV6Data].flatMap((data) => {
    const text = vtepMacText(data);
    return text === null ? [] : [text.toLowerCase()];
  });
}

/** The MAC of one family's backend data as it stands there. */
export function vtepMacText(data: Json | undefined): string | null {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return null;
  // In any case, as the backend reads it.
  const mac = field(data, 'VtepMAC');
  return typeof mac === 'string' ? mac : null;
}

function singleClaims(lease: Lease): { what: string; id: string }[] {
  const { publicIp, publicIpv6 } = lease.attributes;
  const claims: { what: string; id: string }[] = [];
  if (!publicIp.isUnspecified) claims.push({ what: `PublicIP ${publicIp}`, id: `ip ${publicIp}` });
  if (publicIpv6) claims.push({ what: `PublicIPv6 ${publicIpv6}`, id: `ip ${publicIpv6}` });
  for (const mac of vtepMacTexts(lease)) claims.push({ what: `VtepMAC ${mac}`, id: `mac ${mac}` });
  return claims;
}

/** The range of this length around a subnet. */
function rangeId({ family, address }: Prefix, length: number): string {
  return `${family} ${address.value >> BigInt(addressBits(family) - length)}/${length}`;
}
