/**
 * IPv6 headers (RFC 8200, section 3):
 *
 *    |Version| Traffic Class |           Flow Label                  |
 *    |         Payload Length        |  Next Header  |   Hop Limit   |
 *    |                    Source Address (128)                       |
 *    |                  Destination Address (128)                    |
 */
import { IpAddress } from '../net/ip.js';
import { addressBytes, type IpAddressLike } from './addresses.js';
import { requireBytes, requireRoom, requireUnsigned, setU16, setU32, u16, u32 } from './bytes.js';
import type { Drop } from './drop.js';
import type { DecodeIpOptions } from './ipv4.js';

/** Without extension headers. */
export const IPV6_HEADER_BYTES = 40;

/** A view of a packet: it reads the bytes that it was decoded from, and follows what becomes of them. */
export class Ipv6Packet {
  /** Version of IP. */
  readonly family = 6;
  /** Exactly the packet: what stood behind it is padding. Of one that was cut, what there is. A view. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Of the first header: always 40. Extension headers are in the payload. */
  get headerBytes(): number {
    return IPV6_HEADER_BYTES;
  }
  /** The traffic class: DSCP and, in the lowest two bits, ECN (RFC 2474, RFC 3168). */
  get tos(): number {
    return (u16(this.bytes, 0) >> 4) & 0xff;
  }
  /** Of the packet, as its header says: that of `bytes`, or more where it was cut. */
  get totalBytes(): number {
    return IPV6_HEADER_BYTES + u16(this.bytes, 4);
  }
  /** 20 bits (RFC 6437). */
  get flowLabel(): number {
    return u32(this.bytes, 0) % 0x100000;
  }
  /** The hop limit. */
  get ttl(): number {
    return this.bytes[7] ?? 0;
  }
  /** The next header: what the payload is, or an extension header's number. */
  get protocol(): number {
    return this.bytes[6] ?? 0;
  }
  /** The sender's address. */
  get source(): IpAddress {
    return IpAddress.fromBytes(this.bytes.subarray(8, 24));
  }
  /** The receiver's address. */
  get destination(): IpAddress {
    return IpAddress.fromBytes(this.bytes.subarray(24, 40));
  }
  /** Source and destination in a row, 32 bytes: a view. */
  get ends(): Uint8Array {
    return this.bytes.subarray(8, 40);
  }
  /** With extension headers. A view. */
  get payload(): Uint8Array {
    return this.bytes.subarray(IPV6_HEADER_BYTES);
  }
}

/**
 * `bytes` from the IP header on; more may follow. `short`: fewer bytes than a header. `version`: not IPv6. `length`: the
 * header says more bytes than there are, which with `cut` it may. Jumbograms (RFC 2675) are not known. Throws TypeError where
 * it gets no bytes.
 *
 * @example
 * const packet = decodeIpv6(new Uint8Array(40).fill(0x60, 0, 1));
 * console.log('drop' in packet ? packet.drop : `${packet.source} ${packet.payload.length}`); // :: 0
 */
export function decodeIpv6(
  bytes: Uint8Array,
  options?: DecodeIpOptions,
): Ipv6Packet | Drop<'short' | 'version' | 'length'> {
  requireBytes('decodeIpv6: bytes', bytes);
  if (bytes.length < 1) return { drop: 'short' };
  if ((bytes[0] ?? 0) >> 4 !== 6) return { drop: 'version' };
  if (bytes.length < IPV6_HEADER_BYTES) return { drop: 'short' };
  const totalBytes = IPV6_HEADER_BYTES + u16(bytes, 4);
  if (totalBytes > bytes.length && options?.cut !== true) return { drop: 'length' };
  return new Ipv6Packet(bytes.length <= totalBytes ? bytes : bytes.subarray(0, totalBytes));
}

/** A header's fields, for `encodeIpv6`. */
export interface Ipv6Fields {
  /** The sender's address. */
  readonly source: IpAddressLike;
  /** The receiver's address. */
  readonly destination: IpAddressLike;
  /** The next header, 0 to 255: `PROTOCOL`. */
  readonly protocol: number;
  /** Bytes that follow the header, extension headers included. They need not be there yet. */
  readonly payloadBytes: number;
  /** The hop limit, 0 to 255. Default 64. */
  readonly ttl?: number;
  /** The traffic class, 0 to 255. Default 0. */
  readonly tos?: number;
  /** 20 bits. Default 0. */
  readonly flowLabel?: number;
}

/**
 * Writes a header into `into` at `at`; how many bytes it takes, which is 40. Throws TypeError or RangeError for a field that
 * cannot be, or where there is no room; nothing is written then.
 *
 * @example
 * const between = { source: IpAddress.parse('2001:db8::1'), destination: IpAddress.parse('2001:db8::2') };
 * const packet = new Uint8Array(40 + 8);
 * console.log(encodeIpv6({ ...between, protocol: PROTOCOL.udp, payloadBytes: 8 }, packet)); // 40
 */
export function encodeIpv6(fields: Ipv6Fields, into: Uint8Array, at = 0): number {
  const { protocol, payloadBytes, ttl = 64, tos = 0, flowLabel = 0 } = fields;
  const source = addressBytes('encodeIpv6: source', fields.source, 16);
  const destination = addressBytes('encodeIpv6: destination', fields.destination, 16);
  requireUnsigned('encodeIpv6: protocol', protocol, 255);
  requireUnsigned('encodeIpv6: payloadBytes', payloadBytes, 0xffff);
  requireUnsigned('encodeIpv6: ttl', ttl, 255);
  requireUnsigned('encodeIpv6: tos', tos, 255);
  requireUnsigned('encodeIpv6: flowLabel', flowLabel, 0xfffff);
  requireRoom('encodeIpv6', into, at, IPV6_HEADER_BYTES);
  setU32(into, at, 0x60000000 + tos * 0x100000 + flowLabel);
  setU16(into, at + 4, payloadBytes);
  into[at + 6] = protocol;
  into[at + 7] = ttl;
  into.set(source, at + 8);
  into.set(destination, at + 24);
  return IPV6_HEADER_BYTES;
}
