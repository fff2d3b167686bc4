import type { IpAddress } from '../net/ip.js';
import { addressBits } from '../net/ip.js';
import { Prefix } from '../net/prefix.js';

const PACKED_BYTES = 18;

/** As the engine takes prefixes: 18 bytes each: family, length, 16 bytes of address. */
export function packPrefixes(prefixes: readonly Prefix[]): Uint8Array {
  const packed = new Uint8Array(prefixes.length * PACKED_BYTES);
  for (const [i, { family, length, address }] of prefixes.entries()) {
    packed.set([family, length], i * PACKED_BYTES);
    packed.set(address.bytes(), i * PACKED_BYTES + 2);
  }
  return packed;
}

/** The prefix that holds this one address: /32 or /128. */
export function hostPrefix(address: IpAddress): Prefix {
  return Prefix.of(address, addressBits(address.family));
}
