/** The Internet checksum, written for reading: the C++ one is held against it. */
import { requireBytes } from './bytes.js';

/**
 * Of bytes, an odd last one counting as if a zero followed (RFC 1071). `initial` is a sum to go on from, such as that of
 * `pseudoHeaderSum`. 0 over bytes that hold their own checksum says that it is right. Throws TypeError.
 *
 * @example
 * const header = Uint8Array.of(0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2);
 * console.log(internetChecksum(header).toString(16)); // f6d5
 */
export function internetChecksum(bytes: Uint8Array, initial = 0): number {
  requireBytes('internetChecksum: bytes', bytes);
  let sum = initial;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/**
 * The checksum after one 16-bit word changed (RFC 1624, equation 3).
 *
 * @example
 * console.log(checksumAfterChange(0xf6d5, 0x4011, 0x3f11).toString(16)); // f7d5
 */
export function checksumAfterChange(checksum: number, before: number, after: number): number {
  let sum = (~checksum & 0xffff) + (~before & 0xffff) + after;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** The Linux kernel's and flannel's shortcut for a TTL lowered by one. */
export function checksumAfterTtlDecrement(checksum: number): number {
  const sum = checksum + 0x0100;
  return (sum + (sum >= 0xffff ? 1 : 0)) & 0xffff;
}
