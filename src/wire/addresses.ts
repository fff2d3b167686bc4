/** The two addresses that a packet goes between: as values, or as bytes in network order where speed counts. */
import { wrongType, wrongValue } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import { internetChecksum } from './checksum.js';

/** Bytes: 4 or 16 in network order. */
export type IpAddressLike = IpAddress | Uint8Array;
/** Bytes: 6. */
export type MacAddressLike = MacAddress | Uint8Array;

/** Where a packet comes from and goes to: two addresses of one family. */
export interface IpEnds {
  /** The sender's. */
  readonly source: IpAddressLike;
  /** The receiver's. */
  readonly destination: IpAddressLike;
}

/** Throws TypeError, or RangeError where it has not `length` bytes (absent: 4 or 16). */
export function addressBytes(what: string, address: IpAddressLike, length?: 4 | 16): Uint8Array {
  const bytes = address instanceof IpAddress ? address.bytes() : address;
  if (!(bytes instanceof Uint8Array)) throw wrongType(what, 'an IpAddress or a Uint8Array', address);
  const fits = length === undefined ? bytes.length === 4 || bytes.length === 16 : bytes.length === length;
  if (!fits) throw wrongValue(what, `${length ?? '4 or 16'} bytes long`, bytes.length);
  return bytes;
}

/** Throws TypeError, or RangeError where it has not 6 bytes. */
export function macBytes(what: string, mac: MacAddressLike): Uint8Array {
  const bytes = mac instanceof MacAddress ? mac.bytes() : mac;
  if (!(bytes instanceof Uint8Array)) throw wrongType(what, 'a MacAddress or a Uint8Array', mac);
  if (bytes.length !== 6) throw wrongValue(what, '6 bytes long', bytes.length);
  return bytes;
}

/**
 * Source and destination in a row. A decoded packet has them that way already. Throws TypeError or RangeError, also where
 * they are of two families.
 */
export function endsBytes(what: string, ends: IpEnds | { readonly ends: Uint8Array }): Uint8Array {
  if ('ends' in ends) return ends.ends;
  const source = addressBytes(`${what}: source`, ends.source);
  const destination = addressBytes(`${what}: destination`, ends.destination, source.length === 4 ? 4 : 16);
  const bytes = new Uint8Array(source.length * 2);
  bytes.set(source);
  bytes.set(destination, source.length);
  return bytes;
}

/**
 * What a transport's checksum covers beside its own bytes: addresses, protocol and length (RFC 768, RFC 9293 section 3.1;
 * over IPv6 RFC 8200 section 8.1), as a sum for `internetChecksum` to go on from. `bytes`: of transport header and payload.
 *
 * @example
 * const between = { source: IpAddress.parse('192.0.2.1'), destination: IpAddress.parse('192.0.2.2') };
 * const datagram = Uint8Array.of(0x20, 0x5d, 0, 7, 0, 8, 0, 0);
 * console.log(internetChecksum(datagram, pseudoHeaderSum(between, PROTOCOL.udp, 8)).toString(16)); // 5b76
 */
export function pseudoHeaderSum(
  between: IpEnds | { readonly ends: Uint8Array },
  protocol: number,
  bytes: number,
): number {
  return ~internetChecksum(endsBytes('pseudoHeaderSum', between), protocol + bytes) & 0xffff;
}

/**
 * Of a whole TCP, UDP or ICMPv6 segment with the pseudo-header before it. 0 says that the one it holds is right:
 * `transportChecksum(ip, ip.protocol, ip.payload) === 0`. Throws TypeError or RangeError.
 *
 * @example
 * const between = { source: IpAddress.parse('2001:db8::1'), destination: IpAddress.parse('2001:db8::2') };
 * const datagram = new Uint8Array(8);
 * encodeUdp({ sourcePort: 8472, destinationPort: 8472, payloadBytes: 0, between }, datagram);
 * console.log(transportChecksum(between, PROTOCOL.udp, datagram)); // 0
 */
export function transportChecksum(
  between: IpEnds | { readonly ends: Uint8Array },
  protocol: number,
  segment: Uint8Array,
): number {
  return internetChecksum(segment, pseudoHeaderSum(between, protocol, segment.length));
}
