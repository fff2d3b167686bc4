/** IPv4 (RFC 791) and IPv6 (RFC 8200) headers of inner packets. */
import { IpAddress, type IpFamily } from '../net/ip.js';
import { checksumAfterChange, checksumAfterTtlDecrement } from './checksum.js';

export const PROTOCOL = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  auth: 51,
  icmpv6: 58,
  destinationOptions: 60,
} as const;

export interface InnerPacket {
  readonly family: IpFamily;
  /** Exactly the packet: what follows it in a frame is padding. */
  readonly bytes: Uint8Array;
  /** Of the first IP header, options included. */
  readonly headerBytes: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** IPv6: the next header. */
  readonly protocol: number;
  readonly ttl: number;
  /** TOS or traffic class. */
  readonly tos: number;
  /** IPv4: in bytes; IPv6: 0. */
  readonly fragmentOffset: number;
}

/** Why a packet ends early; the engine's name for it. */
export interface Drop {
  readonly drop: string;
}

export function parseInner(data: Uint8Array): InnerPacket | Drop {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 1) return { drop: 'inner_short' };
  const family = view.getUint8(0) >> 4;
  if (family !== 4 && family !== 6) return { drop: 'inner_version' };
  if (data.length < (family === 4 ? 20 : 40)) return { drop: 'inner_short' };
  const headerBytes = family === 4 ? (view.getUint8(0) & 15) * 4 : 40;
  const totalBytes = family === 4 ? view.getUint16(2) : 40 + view.getUint16(4);
  if (headerBytes < 20 || totalBytes < headerBytes || totalBytes > data.length)
    return { drop: 'inner_length' };
  const bytes = data.subarray(0, totalBytes);
  const address = (at: number) => IpAddress.fromBytes(bytes.subarray(at, at + (family === 4 ? 4 : 16)));
  return {
    ...{ family, bytes, headerBytes },
    source: address(family === 4 ? 12 : 8),
    destination: address(family === 4 ? 16 : 24),
    protocol: view.getUint8(family === 4 ? 9 : 6),
    ttl: view.getUint8(family === 4 ? 8 : 7),
    tos: family === 4 ? view.getUint8(1) : (view.getUint16(0) >> 4) & 0xff,
    fragmentOffset: family === 4 ? (view.getUint16(6) & 0x1fff) * 8 : 0,
  };
}

/** A copy with the TTL (hop limit) lowered by one. */
export function withTtlDecremented({ family, bytes, ttl }: InnerPacket): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const view = new DataView(copy.buffer);
  view.setUint8(family === 4 ? 8 : 7, ttl - 1);
  if (family === 4) view.setUint16(10, checksumAfterTtlDecrement(view.getUint16(10)));
  return copy;
}

/** A copy with other ECN bits (RFC 3168): 0 not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. */
export function withEcn({ family, bytes }: InnerPacket, ecn: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const view = new DataView(copy.buffer);
  const shift = family === 4 ? 0 : 4;
  const before = view.getUint16(0);
  const after = (before & ~(3 << shift)) | (ecn << shift);
  view.setUint16(0, after);
  if (family === 4) view.setUint16(10, checksumAfterChange(view.getUint16(10), before, after));
  return copy;
}

/** An LSRR or SSRR option (RFC 791, types 131 and 137), or a routing header of type 0 (RFC 5095). */
export function asksForSourceRoute({ family, bytes, headerBytes, protocol }: InnerPacket): boolean {
  if (family === 4) {
    for (let at = 20; at < headerBytes; ) {
      const type = bytes[at];
      if (type === 131 || type === 137) return true;
      if (type === 0) return false;
      const length = type === 1 ? 1 : at + 1 < headerBytes ? (bytes[at + 1] ?? 0) : 0;
      if (type !== 1 && length < 2) return false;
      at += length;
    }
    return false;
  }
  let next = protocol;
  let at = 40;
  for (let headers = 0; headers < 8; headers++) {
    const isOptions = next === 0 || next === PROTOCOL.destinationOptions;
    if ((!isOptions && next !== PROTOCOL.routing) || at + 8 > bytes.length) return false;
    if (next === PROTOCOL.routing) return bytes[at + 2] === 0;
    next = bytes[at] ?? 0;
    at += ((bytes[at + 1] ?? 0) + 1) * 8;
  }
  return false;
}

/** A source that can belong to no sender: RFC 1122 section 3.2.1.3, and the like of IPv6. */
export function isMartianSource({ source }: InnerPacket): boolean {
  const { family, value } = source;
  if (family === 4) return value >> 24n === 0n || source.isLoopback || value >> 29n === 7n;
  return value <= 1n || source.isMulticast || value >> 32n === 0xffffn;
}
