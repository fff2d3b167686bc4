/** IP packets of either family, and what a tunnel's end asks of them. */
import { wrongValue } from '../errors.js';
import { requireBytes, requireUnsigned, setU16, u16 } from './bytes.js';
import { checksumAfterChange, checksumAfterTtlDecrement } from './checksum.js';
import type { Drop } from './drop.js';
import { type DecodeIpOptions, decodeIpv4, type Ipv4Packet } from './ipv4.js';
import { decodeIpv6, type Ipv6Packet } from './ipv6.js';
import { PROTOCOL } from './protocol.js';

/** Told apart by `family`. */
export type IpPacket = Ipv4Packet | Ipv6Packet;

/**
 * `decodeIpv4` or `decodeIpv6`, as the first four bits say; `version` where they say neither.
 *
 * @example
 * const packet = decodeIp(new Uint8Array(40).fill(0x60, 0, 1));
 * console.log('drop' in packet ? packet.drop : packet.family); // 6
 */
export function decodeIp(
  bytes: Uint8Array,
  options?: DecodeIpOptions,
): IpPacket | Drop<'short' | 'version' | 'length'> {
  requireBytes('decodeIp: bytes', bytes);
  return (bytes[0] ?? 0) >> 4 === 6 ? decodeIpv6(bytes, options) : decodeIpv4(bytes, options);
}

/**
 * Lowers the TTL or hop limit by one, in place, as a router does; IPv4's checksum is carried along, right or wrong as it was
 * (RFC 1141, RFC 1624). Throws RangeError where it is 0 already.
 *
 * @example
 * const packet = decodeIp(Uint8Array.of(0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0xf6, 0xd7, 192, 0, 2, 1, 192, 0, 2, 2));
 * if ('drop' in packet) throw new Error(packet.drop);
 * decrementTtl(packet);
 * console.log(packet.ttl); // 63
 */
export function decrementTtl(packet: IpPacket): void {
  const { family, bytes, ttl } = packet;
  if (ttl === 0) throw wrongValue('decrementTtl: the TTL', '1 or more', 0);
  bytes[family === 4 ? 8 : 7] = ttl - 1;
  if (family === 4) setU16(bytes, 10, checksumAfterTtlDecrement(packet.checksum));
}

/**
 * Sets the ECN bits (RFC 3168), in place: 0 not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. IPv4's checksum is carried along. Throws
 * TypeError or RangeError for another number.
 *
 * @example
 * const packet = decodeIp(new Uint8Array(40).fill(0x60, 0, 1));
 * if ('drop' in packet) throw new Error(packet.drop);
 * setEcn(packet, 3); // congestion experienced
 * console.log(packet.tos & 3); // 3
 */
export function setEcn({ family, bytes }: IpPacket, ecn: number): void {
  requireUnsigned('setEcn: ecn', ecn, 3);
  const shift = family === 4 ? 0 : 4;
  const before = u16(bytes, 0);
  const after = (before & ~(3 << shift)) | (ecn << shift);
  setU16(bytes, 0, after);
  if (family === 4) setU16(bytes, 10, checksumAfterChange(u16(bytes, 10), before, after));
}

/** An LSRR or SSRR option (RFC 791, types 131 and 137), or a routing header of type 0 (RFC 5095). */
export function asksForSourceRoute({ family, bytes, headerBytes, protocol }: IpPacket): boolean {
  if (family === 4) {
    for (let at = 20; at < headerBytes; ) {
      const type = bytes[at];
      if (type === 131 || type === 137) return true;
      if (type === 0) return false;
      const length = type === 1 ? 1 : at + 1 < headerBytes ? (bytes[at + 1] ?? 0) : 0;
      if (type !== 1 && length < 2) return false;
      at += length;
    }
    return false;
  }
  let next = protocol;
  let at = 40;
  for (let headers = 0; headers < 8; headers++) {
    const isOptions = next === 0 || next === PROTOCOL.destinationOptions;
    if ((!isOptions && next !== PROTOCOL.routing) || at + 8 > bytes.length) return false;
    if (next === PROTOCOL.routing) return bytes[at + 2] === 0;
    next = bytes[at] ?? 0;
    at += ((bytes[at + 1] ?? 0) + 1) * 8;
  }
  return false;
}

/** A source that can belong to no sender: RFC 1122 section 3.2.1.3, and the like of IPv6. */
export function isMartianSource({ source }: IpPacket): boolean {
  const { family, value } = source;
  if (family === 4) return value >> 24n === 0n || source.isLoopback || value >> 29n === 7n;
  return value <= 1n || source.isMulticast || value >> 32n === 0xffffn;
}
