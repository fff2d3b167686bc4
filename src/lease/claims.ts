/**
 * What leases claim, each once: ranges of addresses, a public IP, a VTEP MAC. Finds the holder of whatever a newcomer
 * would take from it, in time that does not grow with the number of leases: ranges are looked up by each prefix length
 * that occurs, in the lengths above as "is one of these mine", in those below as "does one of these cover me".
 */
import { addressBits } from '../net/ip.js';
import { field, type Json } from '../net/json.js';
import { Prefix } from '../net/prefix.js';
import type { Lease } from './lease.js';

export class Claims {
  readonly #lengths: { readonly 4: readonly number[]; readonly 6: readonly number[] };
  readonly #held = new Map<string, string>();

  /** `leases`: all that will be claimed for, so that their prefix lengths are known. */
  constructor(leases: Iterable<Lease>) {
    const lengths = { 4: new Set<number>(), 6: new Set<number>() };
    for (const lease of leases) {
      for (const { family, length } of subnetsOf(lease)) lengths[family].add(length);
    }
    this.#lengths = { 4: [...lengths[4]], 6: [...lengths[6]] };
  }

  /** Records the claims of a lease, or says what of it belongs to which other lease already and records nothing. */
  claim(lease: Lease): string | null {
    const single = singleClaims(lease);
    for (const [what, id] of single) {
      const holder = this.#held.get(id);
      if (holder !== undefined && holder !== lease.key)
        return `its ${what} is that of the older lease ${holder}`;
    }
    for (const subnet of subnetsOf(lease)) {
      const holder = this.#holderOf(subnet);
      if (holder !== undefined) return `its subnet ${subnet} overlaps that of the older lease ${holder}`;
    }
    for (const [, id] of single) this.#held.set(id, lease.key);
    for (const subnet of subnetsOf(lease)) {
      this.#held.set(rangeId('range', subnet), lease.key);
      for (const length of this.#lengths[subnet.family]) {
        if (length < subnet.length) this.#held.set(rangeId('within', shortened(subnet, length)), lease.key);
      }
    }
    return null;
  }

  #holderOf(subnet: Prefix): string | undefined {
    for (const length of this.#lengths[subnet.family]) {
      if (length > subnet.length) continue;
      const holder = this.#held.get(rangeId('range', shortened(subnet, length)));
      if (holder !== undefined) return holder;
    }
    return this.#held.get(rangeId('within', subnet));
  }
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

function singleClaims(lease: Lease): [string, string][] {
  const { publicIp, publicIpv6 } = lease.attributes;
  const claims: [string, string][] = [];
  if (!publicIp.isUnspecified) claims.push([`PublicIP ${publicIp}`, `ip ${publicIp}`]);
  if (publicIpv6) claims.push([`PublicIPv6 ${publicIpv6}`, `ip ${publicIpv6}`]);
  for (const mac of vtepMacTexts(lease)) claims.push([`VtepMAC ${mac}`, `mac ${mac}`]);
  return claims;
}

function subnetsOf({ subnets: { v4, v6 } }: Lease): Prefix[] {
  return [v4, v6].flatMap((subnet) => (subnet ? [subnet] : []));
}

function rangeId(kind: 'range' | 'within', { family, address, length }: Prefix): string {
  return `${kind} ${family} ${address.value >> BigInt(addressBits(family) - length)}/${length}`;
}

function shortened(subnet: Prefix, length: number): Prefix {
  return length === subnet.length ? subnet : Prefix.of(subnet.address, length);
}
