/**
 * IPv4 headers (RFC 791):
 *
 *    |Version|  IHL  |      TOS      |          Total Length         |
 *    |         Identification        |Flags|      Fragment Offset    |
 *    |      TTL      |    Protocol   |         Header Checksum       |
 *    |                       Source Address                          |
 *    |                    Destination Address                        |
 */
import { wrongValue } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import { addressBytes, type IpAddressLike } from './addresses.js';
import { requireBytes, requireRoom, requireUnsigned, setU16, u16 } from './bytes.js';
import { internetChecksum } from './checksum.js';
import type { Drop } from './drop.js';

/** Without options. */
export const IPV4_HEADER_BYTES = 20;
const MOST_OPTION_BYTES = 40;

/** How `decodeIp` and its like read. */
export interface DecodeIpOptions {
  /** The packet may end early, as in a capture or a mirrored feed. Default false. */
  readonly cut?: boolean;
}

/** A view of a packet: it reads the bytes that it was decoded from, and follows what becomes of them. */
export class Ipv4Packet {
  /** Version of IP. */
  readonly family = 4;
  /** Exactly the packet: what stood behind it is padding. Of one that was cut, what there is. A view. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Options included: 20 to 60. */
  get headerBytes(): number {
    return ((this.bytes[0] ?? 0) & 15) * 4;
  }
  /** DSCP and, in the lowest two bits, ECN (RFC 2474, RFC 3168). */
  get tos(): number {
    return this.bytes[1] ?? 0;
  }
  /** Of the packet, as its header says: that of `bytes`, or more where it was cut. */
  get totalBytes(): number {
    return u16(this.bytes, 2);
  }
  /** 16 bits that the fragments of one packet share. */
  get identification(): number {
    return u16(this.bytes, 4);
  }
  /** Flag DF: no router may cut it. */
  get dontFragment(): boolean {
    return ((this.bytes[6] ?? 0) & 0x40) !== 0;
  }
  /** Flag MF: it is a fragment, and not the last. */
  get moreFragments(): boolean {
    return ((this.bytes[6] ?? 0) & 0x20) !== 0;
  }
  /** In bytes. */
  get fragmentOffset(): number {
    return (u16(this.bytes, 6) & 0x1fff) * 8;
  }
  /** Routers that it may still pass, 0 to 255. */
  get ttl(): number {
    return this.bytes[8] ?? 0;
  }
  /** What the payload is: `PROTOCOL`. */
  get protocol(): number {
    return this.bytes[9] ?? 0;
  }
  /** Of the header, as on the wire. */
  get checksum(): number {
    return u16(this.bytes, 10);
  }
  /** Whether the header's checksum is right. A decoder does not ask: a packet with offloads may leave it to the card. */
  get isChecksumRight(): boolean {
    return internetChecksum(this.bytes.subarray(0, this.headerBytes)) === 0;
  }
  /** The sender's address. */
  get source(): IpAddress {
    return IpAddress.fromBytes(this.bytes.subarray(12, 16));
  }
  /** The receiver's address. */
  get destination(): IpAddress {
    return IpAddress.fromBytes(this.bytes.subarray(16, 20));
  }
  /** Source and destination in a row, 8 bytes: a view. */
  get ends(): Uint8Array {
    return this.bytes.subarray(12, 20);
  }
  /** A view. */
  get options(): Uint8Array {
    return this.bytes.subarray(IPV4_HEADER_BYTES, this.headerBytes);
  }
  /** A view. */
  get payload(): Uint8Array {
    return this.bytes.subarray(this.headerBytes);
  }
}

/**
 * `bytes` from the IP header on; more may follow. `short`: fewer bytes than a header. `version`: not IPv4. `length`: the
 * lengths in the header disagree with each other or with the bytes there are; with `cut` there may be fewer bytes than the
 * packet has, but for the header. Throws TypeError where it gets no bytes.
 *
 * @example
 * const packet = decodeIpv4(Uint8Array.of(0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2));
 * console.log('drop' in packet ? packet.drop : `${packet.source} > ${packet.destination}`); // 192.0.2.1 > 192.0.2.2
 */
export function decodeIpv4(
  bytes: Uint8Array,
  options?: DecodeIpOptions,
): Ipv4Packet | Drop<'short' | 'version' | 'length'> {
  requireBytes('decodeIpv4: bytes', bytes);
  if (bytes.length < 1) return { drop: 'short' };
  const first = bytes[0] ?? 0;
  if (first >> 4 !== 4) return { drop: 'version' };
  if (bytes.length < IPV4_HEADER_BYTES) return { drop: 'short' };
  const headerBytes = (first & 15) * 4;
  const totalBytes = u16(bytes, 2);
  const leastBytes = options?.cut === true ? headerBytes : totalBytes;
  if (headerBytes < IPV4_HEADER_BYTES || totalBytes < headerBytes || leastBytes > bytes.length)
    return { drop: 'length' };
  return new Ipv4Packet(bytes.length <= totalBytes ? bytes : bytes.subarray(0, totalBytes));
}

/** A header's fields, for `encodeIpv4`. */
export interface Ipv4Fields {
  /** The sender's address. */
  readonly source: IpAddressLike;
  /** The receiver's address. */
  readonly destination: IpAddressLike;
  /** `PROTOCOL`, 0 to 255. */
  readonly protocol: number;
  /** Bytes that follow the header. They need not be there yet. */
  readonly payloadBytes: number;
  /** 0 to 255. Default 64. */
  readonly ttl?: number;
  /** 0 to 255. Default 0. */
  readonly tos?: number;
  /** 16 bits. Default 0, which is right for what may not be fragmented (RFC 6864). */
  readonly identification?: number;
  /** Default false. */
  readonly dontFragment?: boolean;
  /** Default false. */
  readonly moreFragments?: boolean;
  /** In bytes, a multiple of 8. Default 0. */
  readonly fragmentOffset?: number;
  /** A multiple of 4 bytes, at most 40. Default: none. */
  readonly options?: Uint8Array;
}

/**
 * Writes a header with its checksum into `into` at `at`; how many bytes it takes. Throws TypeError or RangeError for a field
 * that cannot be, or where there is no room; nothing is written then.
 *
 * @example
 * const between = { source: IpAddress.parse('192.0.2.1'), destination: IpAddress.parse('192.0.2.2') };
 * const packet = new Uint8Array(20 + 8);
 * console.log(encodeIpv4({ ...between, protocol: PROTOCOL.udp, payloadBytes: 8 }, packet)); // 20
 */
export function encodeIpv4(fields: Ipv4Fields, into: Uint8Array, at = 0): number {
  const { protocol, payloadBytes, options, ttl = 64, tos = 0, identification = 0 } = fields;
  const { dontFragment = false, moreFragments = false, fragmentOffset = 0 } = fields;
  const source = addressBytes('encodeIpv4: source', fields.source, 4);
  const destination = addressBytes('encodeIpv4: destination', fields.destination, 4);
  if (options !== undefined) requireOptions(options);
  const headerBytes = IPV4_HEADER_BYTES + (options?.length ?? 0);
  requireUnsigned('encodeIpv4: protocol', protocol, 255);
  requireUnsigned('encodeIpv4: payloadBytes', payloadBytes, 0xffff - headerBytes);
  requireUnsigned('encodeIpv4: ttl', ttl, 255);
  requireUnsigned('encodeIpv4: tos', tos, 255);
  requireUnsigned('encodeIpv4: identification', identification, 0xffff);
  requireUnsigned('encodeIpv4: fragmentOffset', fragmentOffset, 0x1fff * 8);
  if (fragmentOffset % 8 !== 0)
    throw wrongValue('encodeIpv4: fragmentOffset', 'a multiple of 8', fragmentOffset);
  requireRoom('encodeIpv4', into, at, headerBytes);
  into[at] = 0x40 | (headerBytes / 4);
  into[at + 1] = tos;
  setU16(into, at + 2, headerBytes + payloadBytes);
  setU16(into, at + 4, identification);
  setU16(into, at + 6, (dontFragment ? 0x4000 : 0) | (moreFragments ? 0x2000 : 0) | (fragmentOffset / 8));
  into[at + 8] = ttl;
  into[at + 9] = protocol;
  setU16(into, at + 10, 0);
  into.set(source, at + 12);
  into.set(destination, at + 16);
  if (options) into.set(options, at + IPV4_HEADER_BYTES);
  setU16(into, at + 10, internetChecksum(into.subarray(at, at + headerBytes)));
  return headerBytes;
}

function requireOptions(options: Uint8Array): void {
  requireBytes('encodeIpv4: options', options);
  if (options.length % 4 === 0 && options.length <= MOST_OPTION_BYTES) return;
  throw wrongValue('encodeIpv4: options', 'a multiple of 4 bytes, at most 40', options.length);
}
