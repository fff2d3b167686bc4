/**
 * VXLAN (RFC 7348) with an inner Ethernet frame between two VTEPs:
 *
 *    |R|R|R|R|I|R|R|R|            Reserved                           |  08 00 00 00
 *    |                VXLAN Network Identifier (VNI) |   Reserved    |
 *    | destination MAC (6) | source MAC (6) | EtherType (2) | packet
 *
 * As in Linux, a reserved bit that is set ends the packet, although RFC 7348 would ignore it.
 */
import type { IpFamily } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import type { Drop } from './ip.js';

export const VXLAN_HEADER_BYTES = 8 + 14;

export interface VxlanFrame {
  readonly vni: number;
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly family: IpFamily;
  readonly packet: Uint8Array;
}

const ETHER_TYPE = { 4: 0x0800, 6: 0x86dd } as const;

/** The UDP payload. */
export function encodeVxlan({ vni, destination, source, family, packet }: VxlanFrame): Uint8Array {
  const payload = new Uint8Array(VXLAN_HEADER_BYTES + packet.length);
  const view = new DataView(payload.buffer);
  view.setUint32(0, 0x08000000);
  view.setUint32(4, vni * 256);
  payload.set(destination.bytes(), 8);
  payload.set(source.bytes(), 14);
  view.setUint16(20, ETHER_TYPE[family]);
  payload.set(packet, VXLAN_HEADER_BYTES);
  return payload;
}

/**
 * What a VTEP with this VNI and MAC makes of a payload; `macV6` is its MAC of frames with IPv6 inside, where that is another.
 * `packet` may have Ethernet padding behind it.
 */
export function decodeVxlan(
  payload: Uint8Array,
  own: { readonly vni: number; readonly mac: MacAddress; readonly macV6?: MacAddress },
): VxlanFrame | Drop {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (payload.length < 8) return { drop: 'short' };
  const flags = view.getUint32(0);
  if ((flags & 0x08000000) === 0) return { drop: 'no_vni_flag' };
  if (flags !== 0x08000000 || view.getUint8(7) !== 0) return { drop: 'reserved_bits' };
  const vni = view.getUint32(4) >>> 8;
  if (vni !== own.vni) return { drop: 'vni' };
  if (payload.length < VXLAN_HEADER_BYTES) return { drop: 'short' };
  const destination = MacAddress.fromBytes(payload.subarray(8, 14));
  const source = MacAddress.fromBytes(payload.subarray(14, 20));
  const etherType = view.getUint16(20);
  const ownMac = (etherType === ETHER_TYPE[6] && own.macV6) || own.mac;
  if (source.isZero || source.isMulticast || source.equals(ownMac)) return { drop: 'mac_source' };
  if (!destination.equals(ownMac)) return { drop: 'mac_destination' };
  const family = etherType === ETHER_TYPE[4] ? 4 : etherType === ETHER_TYPE[6] ? 6 : null;
  if (family === null) return { drop: 'ethertype' };
  return { vni, destination, source, family, packet: payload.subarray(VXLAN_HEADER_BYTES) };
}
