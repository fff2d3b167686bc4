/** The packets that `twill probe` sends, and what ICMP messages say about them. */
import type { IpAddress, IpFamily } from '../net/ip.js';
import { u16 } from './bytes.js';
import { decodeIcmp, encodeIcmpEcho, ICMP_HEADER_BYTES } from './icmp.js';
import { encodeIpv4, IPV4_HEADER_BYTES } from './ipv4.js';
import { encodeIpv6, IPV6_HEADER_BYTES } from './ipv6.js';
import { PROTOCOL } from './protocol.js';
import { encodeUdp, UDP_HEADER_BYTES } from './udp.js';

export interface Echo {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly id: number;
  readonly sequence: number;
}

export function ipHeaderBytes({ family }: IpAddress): number {
  return family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
}

/** An echo request in an IP packet of this length, over IPv4 with DF. */
export function echoPacket({ source, destination, id, sequence }: Echo, packetBytes: number): Uint8Array {
  const between = { source, destination };
  const headerBytes = ipHeaderBytes(source);
  const payloadBytes = Math.max(packetBytes - headerBytes - ICMP_HEADER_BYTES, 0);
  const packet = new Uint8Array(headerBytes + ICMP_HEADER_BYTES + payloadBytes);
  writeIpHeader(packet, between, source.family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6);
  encodeIcmpEcho({ kind: 'echoRequest', id, sequence, payloadBytes, between }, packet, headerBytes);
  return packet;
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
  const between = { source: from.address, destination: to.address };
  const udpAt = ipHeaderBytes(from.address);
  const packet = new Uint8Array(Math.max(packetBytes, leastTunnelBytes(from.address, header, inner)));
  writeIpHeader(packet, between, PROTOCOL.udp);
  packet.set(header, udpAt + UDP_HEADER_BYTES);
  packet.set(inner, udpAt + UDP_HEADER_BYTES + header.length);
  const payloadBytes = packet.length - udpAt - UDP_HEADER_BYTES;
  encodeUdp({ sourcePort: from.port, destinationPort: to.port, payloadBytes, between }, packet, udpAt);
  return packet;
}

/** Least length of such a packet. */
export function leastTunnelBytes(address: IpAddress, header: Uint8Array, inner: Uint8Array): number {
  return ipHeaderBytes(address) + UDP_HEADER_BYTES + header.length + inner.length;
}

function writeIpHeader(
  packet: Uint8Array,
  { source, destination }: Pick<Echo, 'source' | 'destination'>,
  protocol: number,
): void {
  const fields = { source, destination, protocol, payloadBytes: packet.length - ipHeaderBytes(source) };
  if (source.family === 4) encodeIpv4({ ...fields, dontFragment: true }, packet);
  else encodeIpv6(fields, packet);
}

export type IcmpNews =
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
export function readIcmp(bytes: Uint8Array, family: IpFamily): IcmpNews | null {
  const message = decodeIcmp(bytes, family);
  if ('drop' in message) return null;
  const { kind, id, sequence, mtuBytes, code } = message;
  if (kind === 'echoReply') return { kind, id, sequence };
  const about = quoteOf(message.payload, family);
  if (!about) return null;
  if (kind === 'fragmentationNeeded') return { kind: 'tooBig', mtuBytes, about };
  if (kind !== 'unreachable') return null;
  const what = (family === 4 ? UNREACHABLE_V4 : UNREACHABLE_V6)[code] ?? 'prohibited';
  return { kind, what, about };
}

/** A packet that is cut. */
function quoteOf(packet: Uint8Array, family: IpFamily): IcmpQuote | null {
  const headerBytes = family === 4 ? ((packet[0] ?? 0) & 15) * 4 : IPV6_HEADER_BYTES;
  if ((packet[0] ?? 0) >> 4 !== family || headerBytes < 20 || packet.length < headerBytes + 4) return null;
  return {
    destination: packet.slice(family === 4 ? 16 : 24, family === 4 ? 20 : 40),
    protocol: packet[family === 4 ? 9 : 6] ?? 0,
    destinationPort: u16(packet, headerBytes + 2),
  };
}
