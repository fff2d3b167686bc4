/**
 * Ethernet headers (IEEE 802.3, without tags) as VXLAN carries them:
 *
 *    | destination MAC (6) | source MAC (6) | EtherType (2) | payload
 */
import { MacAddress } from '../net/mac.js';
import { type MacAddressLike, macBytes } from './addresses.js';
import { requireBytes, requireRoom, requireUnsigned, setU16, u16 } from './bytes.js';
import type { Drop } from './drop.js';

/** Without tags. */
export const ETHERNET_HEADER_BYTES = 14;

/** A view of a frame: it reads the bytes that it was decoded from. */
export class EthernetFrame {
  /** The frame, header included. A view. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The receiver's MAC. */
  get destination(): MacAddress {
    return MacAddress.fromBytes(this.bytes.subarray(0, 6));
  }
  /** The sender's MAC. */
  get source(): MacAddress {
    return MacAddress.fromBytes(this.bytes.subarray(6, 12));
  }
  /** `ETHER_TYPE`. */
  get etherType(): number {
    return u16(this.bytes, 12);
  }
  /** Padding included, which its own header tells from the packet. A view. */
  get payload(): Uint8Array {
    return this.bytes.subarray(ETHERNET_HEADER_BYTES);
  }
}

/**
 * `short`: fewer than 14 bytes. Throws TypeError where it gets no bytes.
 *
 * @example
 * const frame = decodeEthernet(new Uint8Array(64).fill(0xff, 0, 6));
 * console.log('drop' in frame ? frame.drop : `${frame.destination}`); // ff:ff:ff:ff:ff:ff
 */
export function decodeEthernet(bytes: Uint8Array): EthernetFrame | Drop<'short'> {
  requireBytes('decodeEthernet: bytes', bytes);
  return bytes.length < ETHERNET_HEADER_BYTES ? { drop: 'short' } : new EthernetFrame(bytes);
}

/** A header's fields, for `encodeEthernet`. */
export interface EthernetFields {
  /** The receiver's MAC. */
  readonly destination: MacAddressLike;
  /** The sender's MAC. */
  readonly source: MacAddressLike;
  /** `ETHER_TYPE`, 16 bits. */
  readonly etherType: number;
}

/**
 * Writes a header into `into` at `at`; how many bytes it takes, which is 14. Throws TypeError or RangeError for a field that
 * cannot be, or where there is no room; nothing is written then.
 *
 * @example
 * const between = { source: MacAddress.parse('02:00:00:00:00:01'), destination: MacAddress.parse('02:00:00:00:00:02') };
 * const frame = new Uint8Array(60);
 * console.log(encodeEthernet({ ...between, etherType: ETHER_TYPE.ipv4 }, frame)); // 14
 */
export function encodeEthernet(fields: EthernetFields, into: Uint8Array, at = 0): number {
  const destination = macBytes('encodeEthernet: destination', fields.destination);
  const source = macBytes('encodeEthernet: source', fields.source);
  requireUnsigned('encodeEthernet: etherType', fields.etherType, 0xffff);
  requireRoom('encodeEthernet', into, at, ETHERNET_HEADER_BYTES);
  into.set(destination, at);
  into.set(source, at + 6);
  setU16(into, at + 12, fields.etherType);
  return ETHERNET_HEADER_BYTES;
}
