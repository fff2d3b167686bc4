/** The packets that `twill probe` sends, and what ICMP messages say about them. */
import type { IpAddress } from '../net/ip.js';
import { internetChecksum } from './checksum.js';
import { PROTOCOL } from './ip.js';

export interface Echo {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly id: number;
  readonly sequence: number;
}

const TTL = 64;
const ICMP_BYTES = 8;
const UDP_BYTES = 8;

export function ipHeaderBytes({ family }: IpAddress): number {
  return family === 4 ? 20 : 40;
}

/** An echo request in an IP packet of this length, over IPv4 with DF. */
export function echoPacket({ source, destination, id, sequence }: Echo, packetBytes: number): Uint8Array {
  const isV4 = source.family === 4;
  const icmp = new Uint8Array(Math.max(packetBytes - ipHeaderBytes(source), ICMP_BYTES));
  const view = new DataView(icmp.buffer);
  view.setUint8(0, isV4 ? 8 : 128);
  view.setUint16(4, id);
  view.setUint16(6, sequence);
  const pseudo = isV4 ? 0 : pseudoSum(source, destination, PROTOCOL.icmpv6, icmp.length);
  view.setUint16(2, internetChecksum(icmp, pseudo));
  return ipPacketOf(source, destination, isV4 ? PROTOCOL.icmp : PROTOCOL.icmpv6, icmp);
}

/**
 * A tunnel's datagram in an IP packet of this length, with DF: header and inner packet, then zeroes, which the receiving end
 * takes for padding. `header` stands in front of the inner packet, as with VXLAN.
 */
export function tunnelPacket(
  from: { readonly address: IpAddress; readonly port: number },
  to: { readonly address: IpAddress; readonly port: number },
  header: Uint8Array,
  inner: Uint8Array,
  packetBytes: number,
): Uint8Array {
  const least = UDP_BYTES + header.length + inner.length;
  const udp = new Uint8Array(Math.max(packetBytes - ipHeaderBytes(from.address), least));
  const view = new DataView(udp.buffer);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  view.setUint16(4, udp.length);
  udp.set(header, UDP_BYTES);
  udp.set(inner, UDP_BYTES + header.length);
  const pseudo = pseudoSum(from.address, to.address, PROTOCOL.udp, udp.length);
  view.setUint16(6, internetChecksum(udp, pseudo) || 0xffff);
  return ipPacketOf(from.address, to.address, PROTOCOL.udp, udp);
}

/** Least length of such a packet. */
export function leastTunnelBytes(address: IpAddress, header: Uint8Array, inner: Uint8Array): number {
  return ipHeaderBytes(address) + UDP_BYTES + header.length + inner.length;
}

function ipPacketOf(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  payload: Uint8Array,
): Uint8Array {
  const headerBytes = ipHeaderBytes(source);
  const packet = new Uint8Array(headerBytes + payload.length);
  const view = new DataView(packet.buffer);
  if (source.family === 4) {
    packet[0] = 0x45;
    view.setUint16(2, packet.length);
    view.setUint16(6, 0x4000);
    packet.set([TTL, protocol], 8);
    packet.set([...source.bytes(), ...destination.bytes()], 12);
    view.setUint16(10, internetChecksum(packet.subarray(0, 20)));
  } else {
    packet[0] = 0x60;
    view.setUint16(4, payload.length);
    packet.set([protocol, TTL], 6);
    packet.set([...source.bytes(), ...destination.bytes()], 8);
  }
  packet.set(payload, headerBytes);
  return packet;
}

/** What goes before a transport's own bytes in its checksum, as a sum to go on from. */
function pseudoSum(source: IpAddress, destination: IpAddress, protocol: number, bytes: number): number {
  const addresses = Uint8Array.from([...source.bytes(), ...destination.bytes()]);
  return ~internetChecksum(addresses, protocol + bytes) & 0xffff;
}

export type IcmpMessage =
  | { readonly kind: 'echoReply'; readonly id: number; readonly sequence: number }
  | { readonly kind: 'tooBig'; readonly mtuBytes: number; readonly about: IcmpQuote }
  | { readonly kind: 'unreachable'; readonly what: string; readonly about: IcmpQuote };

/** Of the packet that an error is about, as far as it is quoted. */
export interface IcmpQuote {
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly destinationPort: number;
}

const UNREACHABLE_V4 = ['net', 'host', 'protocol', 'port'];
const UNREACHABLE_V6 = ['net', 'prohibited', 'scope', 'host', 'port'];

/** From the ICMP header on. null: of no interest, or senseless. */
export function readIcmp(message: Uint8Array, family: 4 | 6): IcmpMessage | null {
  if (message.length < ICMP_BYTES) return null;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const [type, code] = [view.getUint8(0), view.getUint8(1)];
  if (type === (family === 4 ? 0 : 129))
    return { kind: 'echoReply', id: view.getUint16(4), sequence: view.getUint16(6) };
  const about = quoteOf(message.subarray(ICMP_BYTES), family);
  if (!about) return null;
  if (family === 4 ? type === 3 && code === 4 : type === 2)
    return { kind: 'tooBig', mtuBytes: family === 4 ? view.getUint16(6) : view.getUint32(4), about };
  if (type !== (family === 4 ? 3 : 1)) return null;
  const what = (family === 4 ? UNREACHABLE_V4 : UNREACHABLE_V6)[code] ?? 'prohibited';
  return { kind: 'unreachable', what, about };
}

function quoteOf(packet: Uint8Array, family: 4 | 6): IcmpQuote | null {
  const headerBytes = family === 4 ? ((packet[0] ?? 0) & 15) * 4 : 40;
  if ((packet[0] ?? 0) >> 4 !== family || headerBytes < 20 || packet.length < headerBytes + 4) return null;
  return {
    destination: packet.slice(family === 4 ? 16 : 24, family === 4 ? 20 : 40),
    protocol: packet[family === 4 ? 9 : 6] ?? 0,
    destinationPort: ((packet[headerBytes + 2] ?? 0) << 8) | (packet[headerBytes + 3] ?? 0),
  };
}
