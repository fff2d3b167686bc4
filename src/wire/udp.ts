/**
 * UDP headers (RFC 768):
 *
 *    |          Source Port          |       Destination Port        |
 *    |            Length             |           Checksum            |
 */
import { endsBytes, type IpEnds, pseudoHeaderSum } from './addresses.js';
import { requireBytes, requireRoom, requireUnsigned, setU16, u16 } from './bytes.js';
import { internetChecksum } from './checksum.js';
import type { Drop } from './drop.js';
import { PROTOCOL } from './protocol.js';

/** Always. */
export const UDP_HEADER_BYTES = 8;

/** A view of a datagram, header and payload: it reads the bytes that it was decoded from. */
export class UdpDatagram {
  /** Exactly the datagram: what stood behind it is padding. A view. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The sender's port. */
  get sourcePort(): number {
    return u16(this.bytes, 0);
  }
  /** The receiver's port. */
  get destinationPort(): number {
    return u16(this.bytes, 2);
  }
  /** 0: the sender gave none. See `transportChecksum` to check it. */
  get checksum(): number {
    return u16(this.bytes, 6);
  }
  /** A view. */
  get payload(): Uint8Array {
    return this.bytes.subarray(UDP_HEADER_BYTES);
  }
}

/**
 * `bytes` from the UDP header on: an IP packet's `payload`. `short`: fewer than 8 bytes. `length`: the header's length is
 * less than 8, or more than there is. Throws TypeError where it gets no bytes.
 *
 * @example
 * const datagram = decodeUdp(Uint8Array.of(0x20, 0x5d, 0, 7, 0, 10, 0, 0, 104, 105));
 * console.log('drop' in datagram ? datagram.drop : `${datagram.sourcePort} > ${datagram.destinationPort}`); // 8285 > 7
 */
export function decodeUdp(bytes: Uint8Array): UdpDatagram | Drop<'short' | 'length'> {
  requireBytes('decodeUdp: bytes', bytes);
  if (bytes.length < UDP_HEADER_BYTES) return { drop: 'short' };
  const length = u16(bytes, 4);
  if (length < UDP_HEADER_BYTES || length > bytes.length) return { drop: 'length' };
  return new UdpDatagram(bytes.length === length ? bytes : bytes.subarray(0, length));
}

/** A header's fields, for `encodeUdp`. */
export interface UdpFields {
  /** 0 to 65535. */
  readonly sourcePort: number;
  /** 0 to 65535. */
  readonly destinationPort: number;
  /** Bytes that follow the header. */
  readonly payloadBytes: number;
  /**
   * Whose checksum is wanted: it covers the addresses, and the payload, which must stand behind the header already. Absent:
   * none, which IPv4 allows, and IPv6 for tunnels (RFC 6935).
   */
  readonly between?: IpEnds;
}

/**
 * Writes a header into `into` at `at`; how many bytes it takes, which is 8. Throws TypeError or RangeError for a field that
 * cannot be, or where there is no room; nothing is written then.
 *
 * @example
 * const between = { source: IpAddress.parse('192.0.2.1'), destination: IpAddress.parse('192.0.2.2') };
 * const datagram = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 104, 105);
 * encodeUdp({ sourcePort: 8285, destinationPort: 7, payloadBytes: 2, between }, datagram);
 * console.log(transportChecksum(between, PROTOCOL.udp, datagram)); // 0
 */
export function encodeUdp(fields: UdpFields, into: Uint8Array, at = 0): number {
  const { sourcePort, destinationPort, payloadBytes, between } = fields;
  requireUnsigned('encodeUdp: sourcePort', sourcePort, 0xffff);
  requireUnsigned('encodeUdp: destinationPort', destinationPort, 0xffff);
  requireUnsigned('encodeUdp: payloadBytes', payloadBytes, 0xffff - UDP_HEADER_BYTES);
  const length = UDP_HEADER_BYTES + payloadBytes;
  requireRoom('encodeUdp', into, at, between ? length : UDP_HEADER_BYTES);
  const ends = between && endsBytes('encodeUdp: between', between);
  setU16(into, at, sourcePort);
  setU16(into, at + 2, destinationPort);
  setU16(into, at + 4, length);
  setU16(into, at + 6, 0);
  if (ends) {
    const pseudo = pseudoHeaderSum({ ends }, PROTOCOL.udp, length);
    // 0 would say that there is none.
    setU16(into, at + 6, internetChecksum(into.subarray(at, at + length), pseudo) || 0xffff);
  }
  return UDP_HEADER_BYTES;
}
