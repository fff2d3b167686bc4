/**
 * VXLAN headers (RFC 7348, section 5). What follows is an Ethernet frame:
 *
 *    |R|R|R|R|I|R|R|R|            Reserved                           |  08 00 00 00
 *    |                VXLAN Network Identifier (VNI) |   Reserved    |
 */
import { requireBytes, requireRoom, requireUnsigned, setU32, u32 } from './bytes.js';
import type { Drop } from './drop.js';

/** Of VXLAN alone, without the Ethernet header behind it. */
export const VXLAN_HEADER_BYTES = 8;
/** Flag I: a VNI is given. */
const FLAG_I = 0x08;

/** A view of a datagram's payload: it reads the bytes that it was decoded from. */
export class VxlanPacket {
  /** The payload, VXLAN header included. A view. */
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** 24 bits. */
  get vni(): number {
    return u32(this.bytes, 4) >>> 8;
  }
  /** Whether flag I is set. */
  get hasVni(): boolean {
    return (this.flags & FLAG_I) !== 0;
  }
  /** The first byte: 0x08 is flag I. */
  get flags(): number {
    return this.bytes[0] ?? 0;
  }
  /** A bit is set that RFC 7348 leaves to others: to be ignored, it says; Linux drops the packet. */
  get hasReservedBits(): boolean {
    return (u32(this.bytes, 0) & ~0x08000000) !== 0 || this.bytes[7] !== 0;
  }
  /** The inner Ethernet frame. A view. */
  get frame(): Uint8Array {
    return this.bytes.subarray(VXLAN_HEADER_BYTES);
  }
}

/**
 * `bytes`: a UDP payload. `short`: fewer than 8 bytes. `no_vni_flag`: it bears no VNI, or is no VXLAN. Reserved bits are
 * ignored, as RFC 7348 wants. Throws TypeError where it gets no bytes.
 *
 * @example
 * const packet = decodeVxlan(Uint8Array.of(8, 0, 0, 0, 0, 0, 1, 0));
 * console.log('drop' in packet ? packet.drop : `VNI ${packet.vni}, ${packet.frame.length} bytes`); // VNI 1, 0 bytes
 */
export function decodeVxlan(bytes: Uint8Array): VxlanPacket | Drop<'short' | 'no_vni_flag'> {
  requireBytes('decodeVxlan: bytes', bytes);
  if (bytes.length < VXLAN_HEADER_BYTES) return { drop: 'short' };
  const packet = new VxlanPacket(bytes);
  return packet.hasVni ? packet : { drop: 'no_vni_flag' };
}

/** A header's fields, for `encodeVxlan`. */
export interface VxlanFields {
  /** 24 bits. */
  readonly vni: number;
}

/**
 * Writes a header into `into` at `at`; how many bytes it takes, which is 8. An Ethernet frame is to follow. Throws TypeError
 * or RangeError for a VNI that cannot be, or where there is no room; nothing is written then.
 *
 * @example
 * const payload = new Uint8Array(VXLAN_HEADER_BYTES + 60);
 * console.log(encodeVxlan({ vni: 1 }, payload)); // 8
 */
export function encodeVxlan({ vni }: VxlanFields, into: Uint8Array, at = 0): number {
  requireUnsigned('encodeVxlan: vni', vni, 0xffffff);
  requireRoom('encodeVxlan', into, at, VXLAN_HEADER_BYTES);
  setU32(into, at, FLAG_I * 0x1000000);
  setU32(into, at + 4, vni * 256);
  return VXLAN_HEADER_BYTES;
}
