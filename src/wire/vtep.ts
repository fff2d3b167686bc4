/** What two VTEPs say to each other: the specification of VXLAN between nodes. */
import type { IpFamily } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import type { Drop } from './drop.js';
import { decodeEthernet, ETHERNET_HEADER_BYTES, encodeEthernet } from './ethernet.js';
import { ETHER_TYPE } from './protocol.js';
import { decodeVxlan, encodeVxlan, VXLAN_HEADER_BYTES } from './vxlan.js';

/** Of both headers before the inner packet. */
export const VTEP_HEADER_BYTES = VXLAN_HEADER_BYTES + ETHERNET_HEADER_BYTES;

export interface VtepFrame {
  readonly vni: number;
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly family: IpFamily;
  readonly packet: Uint8Array;
}

/** The UDP payload. */
export function vtepPayload({ vni, destination, source, family, packet }: VtepFrame): Uint8Array {
  const payload = new Uint8Array(VTEP_HEADER_BYTES + packet.length);
  const etherType = family === 4 ? ETHER_TYPE.ipv4 : ETHER_TYPE.ipv6;
  encodeEthernet({ destination, source, etherType }, payload, encodeVxlan({ vni }, payload));
  payload.set(packet, VTEP_HEADER_BYTES);
  return payload;
}

/**
 * What a VTEP with this VNI and MAC makes of a payload; `macV6` is its MAC of frames with IPv6 inside, where that is another.
 * As in Linux, a reserved bit that is set ends the packet, although RFC 7348 would ignore it. `packet` may have Ethernet
 * padding behind it.
 */
export function acceptAtVtep(
  payload: Uint8Array,
  own: { readonly vni: number; readonly mac: MacAddress; readonly macV6?: MacAddress },
): VtepFrame | Drop {
  const vxlan = decodeVxlan(payload);
  if ('drop' in vxlan) return vxlan;
  if (vxlan.hasReservedBits) return { drop: 'reserved_bits' };
  if (vxlan.vni !== own.vni) return { drop: 'vni' };
  const frame = decodeEthernet(vxlan.frame);
  if ('drop' in frame) return frame;
  const { destination, source, etherType } = frame;
  const ownMac = (etherType === ETHER_TYPE.ipv6 && own.macV6) || own.mac;
  if (source.isZero || source.isMulticast || source.equals(ownMac)) return { drop: 'mac_source' };
  if (!destination.equals(ownMac)) return { drop: 'mac_destination' };
  const family = etherType === ETHER_TYPE.ipv4 ? 4 : etherType === ETHER_TYPE.ipv6 ? 6 : null;
  if (family === null) return { drop: 'ethertype' };
  return { vni: own.vni, destination, source, family, packet: frame.payload };
}
