/** The Internet checksum (RFC 1071), written for reading: the C++ one is held against it. */

/** Of bytes, an odd last one counting as if a zero followed; `initial` is a sum to go on from. */
export function internetChecksum(bytes: Uint8Array, initial = 0): number {
  let sum = initial;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** RFC 1624, equation 3: the checksum after one 16-bit word changed. */
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
