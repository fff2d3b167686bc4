/**
 * The outer headers that a payload has on the wire, written anew: a tap sees what goes into a socket and comes out of one,
 * the kernel sees the rest. TTL, identification and, over IPv4, the UDP checksum are not those of the wire.
 */
import type { IpAddress } from '../net/ip.js';
import { internetChecksum } from '../wire/checksum.js';
import { PROTOCOL } from '../wire/protocol.js';

export interface Outer {
  readonly source: { readonly address: IpAddress; readonly port: number };
  readonly destination: { readonly address: IpAddress; readonly port: number };
  readonly tos: number;
}

const TTL = 64;
const UDP_BYTES = 8;
const LONGEST_BYTES = 65_535;

export function outerBytes({ source }: Outer): number {
  return (source.address.family === 4 ? 20 : 40) + UDP_BYTES;
}

/** An IP packet. `payload` may be cut; `payloadBytes` is its true length. A super-packet too long for IP says 0, as in Linux. */
export function withOuterHeaders(outer: Outer, payload: Uint8Array, payloadBytes: number): Uint8Array {
  const { source, destination, tos } = outer;
  const headerBytes = outerBytes(outer);
  const packet = new Uint8Array(headerBytes + payload.length);
  const view = new DataView(packet.buffer);
  const udpAt = headerBytes - UDP_BYTES;
  const udpBytes = fitting(UDP_BYTES + payloadBytes);
  if (source.address.family === 4) {
    packet.set([0x45, tos]);
    view.setUint16(2, fitting(headerBytes + payloadBytes));
    packet.set([TTL, PROTOCOL.udp], 8);
    packet.set(source.address.bytes(), 12);
    packet.set(destination.address.bytes(), 16);
    view.setUint16(10, internetChecksum(packet.subarray(0, 20)));
  } else {
    view.setUint32(0, 0x60000000 | (tos << 20));
    view.setUint16(4, udpBytes);
    packet.set([PROTOCOL.udp, TTL], 6);
    packet.set(source.address.bytes(), 8);
    packet.set(destination.address.bytes(), 24);
  }
  view.setUint16(udpAt, source.port);
  view.setUint16(udpAt + 2, destination.port);
  view.setUint16(udpAt + 4, udpBytes);
  packet.set(payload, headerBytes);
  // Over IPv6 a UDP checksum is no choice (RFC 8200, section 8.1); of a payload that was cut there is none to be had.
  const isWhole = payload.length === payloadBytes && udpBytes !== 0;
  if (source.address.family === 6 && isWhole) {
    const pseudo = internetChecksum(packet.subarray(8, 40), PROTOCOL.udp + udpBytes);
    view.setUint16(udpAt + 6, internetChecksum(packet.subarray(udpAt), ~pseudo & 0xffff) || 0xffff);
  }
  return packet;
}

function fitting(bytes: number): number {
  return bytes <= LONGEST_BYTES ? bytes : 0;
}
