/** From a captured frame of any usual link type to its EtherType and what it carries. */
import { IpAddress } from '../net/ip.js';
import { ETHER_TYPE } from './protocol.js';

export interface LinkFrame {
  readonly etherType: number;
  readonly payload: Uint8Array;
}

const VLAN_TAGS = [0x8100, 0x88a8, 0x9100];

/** `linkType` as in https://www.tcpdump.org/linktypes.html. null: too short, or of a type that is not known. */
export function decodeLink(linkType: number, bytes: Uint8Array): LinkFrame | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (linkType) {
    case 1:
      return behindTags(view, bytes, 12);
    case 113:
      return behindTags(view, bytes, 14);
    case 276:
      return bytes.length < 20 ? null : { etherType: view.getUint16(0), payload: bytes.subarray(20) };
    case 0:
    case 108:
      // The family's number depends on the system that captured; the packet itself says it too.
      return bytes.length < 4 ? null : rawPacket(bytes.subarray(4));
    // RAW; and what some systems write in its place.
    case 12:
    case 14:
    case 101:
    case 228:
    case 229:
      return rawPacket(bytes);
    default:
      return null;
  }
}

function behindTags(view: DataView, bytes: Uint8Array, typeAt: number): LinkFrame | null {
  let at = typeAt;
  for (let tags = 0; tags < 3; tags++) {
    if (at + 2 > bytes.length) return null;
    const etherType = view.getUint16(at);
    if (!VLAN_TAGS.includes(etherType)) return { etherType, payload: bytes.subarray(at + 2) };
    at += 4;
  }
  return null;
}

function rawPacket(bytes: Uint8Array): LinkFrame {
  return { etherType: (bytes[0] ?? 0) >> 4 === 6 ? ETHER_TYPE.ipv6 : ETHER_TYPE.ipv4, payload: bytes };
}

/** `arp who has 10.244.1.1, tell 10.244.1.9`. */
export function arpText(bytes: Uint8Array): string {
  const isIpv4 = bytes.length >= 28 && bytes[2] === 8 && bytes[3] === 0 && bytes[5] === 4;
  if (!isIpv4) return 'arp';
  const address = (at: number) => IpAddress.fromBytes(bytes.subarray(at, at + 4));
  if (bytes[7] === 1) return `arp who has ${address(24)}, tell ${address(14)}`;
  const mac = Array.from(bytes.subarray(8, 14), (byte) => byte.toString(16).padStart(2, '0')).join(':');
  return bytes[7] === 2 ? `arp ${address(14)} is at ${mac}` : `arp operation ${bytes[7]}`;
}
