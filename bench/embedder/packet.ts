/** The packet that goes there and back: UDP in IPv4, numbered. Every system writes, reads and turns it with these. */
import { encodeIpv4, encodeUdp, PROTOCOL } from '../../src/codec.js';
import { IpAddress } from '../../src/net/ip.js';

export type Side = 'near' | 'far';

export const NODE = { near: 1, far: 2 } as const;
export const other = (side: Side): Side => (side === 'near' ? 'far' : 'near');
export const subnetOf = (side: Side) => `10.244.${NODE[side]}.0/24`;
export const macOf = (side: Side) => `02:00:00:00:00:0${NODE[side]}`;
export const underlayOf = (side: Side) => `127.0.0.${NODE[side]}`;

const IP_BYTES = 20;
const NUMBER_AT = IP_BYTES + 8;
const hostOf = (side: Side) => IpAddress.parse(`10.244.${NODE[side]}.7`);

/** `lengthBytes`: of the whole inner packet. */
export function packetTo(side: Side, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  const payloadBytes = lengthBytes - NUMBER_AT;
  const ends = { source: hostOf(other(side)), destination: hostOf(side) };
  encodeIpv4({ ...ends, protocol: PROTOCOL.udp, payloadBytes: 8 + payloadBytes, dontFragment: true }, bytes);
  // Without a checksum, which IPv4 allows: the number changes from packet to packet.
  encodeUdp({ sourcePort: 1000, destinationPort: 2000, payloadBytes }, bytes, IP_BYTES);
  return bytes;
}

/** 32 bits. `at`: where the packet begins. */
export function setNumber(bytes: Uint8Array, at: number, number: number): void {
  bytes[at + NUMBER_AT] = number >>> 24;
  bytes[at + NUMBER_AT + 1] = number >>> 16;
  bytes[at + NUMBER_AT + 2] = number >>> 8;
  bytes[at + NUMBER_AT + 3] = number;
}

export function numberOf(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at + NUMBER_AT] ?? 0) << 8) | (bytes[at + NUMBER_AT + 1] ?? 0);
  const low = ((bytes[at + NUMBER_AT + 2] ?? 0) << 8) | (bytes[at + NUMBER_AT + 3] ?? 0);
  return high * 0x10000 + low;
}

/** Source and destination change places, which no checksum minds. */
export function turn(bytes: Uint8Array, at: number): void {
  for (let i = at + 12; i < at + 16; i++) {
    const byte = bytes[i] ?? 0;
    bytes[i] = bytes[i + 4] ?? 0;
    bytes[i + 4] = byte;
  }
}
