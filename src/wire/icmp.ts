/**
 * ICMP (RFC 792, RFC 1191) and ICMPv6 (RFC 4443) messages. All of those known here begin alike:
 *
 *    |     Type      |     Code      |          Checksum             |
 *    |     rest of the header: an echo's id and sequence, an MTU     |
 *    |     an echo's data, or the packet that an error is about      |
 */
import { wrongValue } from '../errors.js';
import type { IpFamily } from '../net/ip.js';
import { endsBytes, type IpEnds, pseudoHeaderSum } from './addresses.js';
import { requireBytes, requireRoom, requireUnsigned, setU16, u16, u32 } from './bytes.js';
import { internetChecksum } from './checksum.js';
import type { Drop } from './drop.js';
import { PROTOCOL } from './protocol.js';

/** Of every message that is known here. */
export const ICMP_HEADER_BYTES = 8;

/** What a message says, the same word for both families. */
export type IcmpKind =
  | 'echoRequest'
  | 'echoReply'
  /** For whatever reason: `code` tells. */
  | 'unreachable'
  /** IPv6 calls it "packet too big". */
  | 'fragmentationNeeded'
  | 'timeExceeded'
  | 'other';

const KINDS: { readonly [family in IpFamily]: { readonly [type: number]: IcmpKind | undefined } } = {
  4: { 0: 'echoReply', 3: 'unreachable', 8: 'echoRequest', 11: 'timeExceeded' },
  6: { 1: 'unreachable', 2: 'fragmentationNeeded', 3: 'timeExceeded', 128: 'echoRequest', 129: 'echoReply' },
};
const FRAGMENTATION_NEEDED_V4 = 4;

/** A view of a message: it reads the bytes that it was decoded from. */
export class IcmpMessage {
  /** 4: ICMP; 6: ICMPv6. */
  readonly family: IpFamily;
  /** The message, header included. A view. */
  readonly bytes: Uint8Array;

  constructor(family: IpFamily, bytes: Uint8Array) {
    this.family = family;
    this.bytes = bytes;
  }

  /** As on the wire; the families number them differently. */
  get type(): number {
    return this.bytes[0] ?? 0;
  }
  /** As on the wire: the closer reason. */
  get code(): number {
    return this.bytes[1] ?? 0;
  }
  /** The type and code in a word. */
  get kind(): IcmpKind {
    const kind = KINDS[this.family][this.type] ?? 'other';
    const isTooBig = this.family === 4 && kind === 'unreachable' && this.code === FRAGMENTATION_NEEDED_V4;
    return isTooBig ? 'fragmentationNeeded' : kind;
  }
  /** As on the wire. See `decodeIcmp` for how to check it. */
  get checksum(): number {
    return u16(this.bytes, 2);
  }
  /** Of an echo. */
  get id(): number {
    return u16(this.bytes, 4);
  }
  /** Of an echo. */
  get sequence(): number {
    return u16(this.bytes, 6);
  }
  /** Of `fragmentationNeeded`: what the next hop takes, bytes. 0 from a router older than RFC 1191. */
  get mtuBytes(): number {
    return this.family === 4 ? u16(this.bytes, 6) : u32(this.bytes, 4);
  }
  /** An echo's data; of an error the packet that it is about, most often cut. A view. */
  get payload(): Uint8Array {
    return this.bytes.subarray(ICMP_HEADER_BYTES);
  }
}

/**
 * `bytes` from the ICMP header on: the `payload` of an IP packet of this family. `short`: fewer than 8 bytes. The checksum
 * is not looked at: `internetChecksum` (IPv4) or `transportChecksum` (IPv6) says 0 where it is right. Throws TypeError where
 * it gets no bytes.
 *
 * @example
 * const message = decodeIcmp(Uint8Array.of(8, 0, 0, 0, 0, 1, 0, 2), 4);
 * console.log('drop' in message ? message.drop : `${message.kind} ${message.id} ${message.sequence}`); // echoRequest 1 2
 */
export function decodeIcmp(bytes: Uint8Array, family: IpFamily): IcmpMessage | Drop<'short'> {
  requireBytes('decodeIcmp: bytes', bytes);
  return bytes.length < ICMP_HEADER_BYTES ? { drop: 'short' } : new IcmpMessage(family === 6 ? 6 : 4, bytes);
}

/** An echo's fields, for `encodeIcmpEcho`. */
export interface IcmpEchoFields {
  /** A request, or the answer to one, which repeats its id, sequence and data. */
  readonly kind: 'echoRequest' | 'echoReply';
  /** 16 bits each. */
  readonly id: number;
  /** Number of the request among those with its id. */
  readonly sequence: number;
  /** Bytes of data, which must stand behind the header already. */
  readonly payloadBytes: number;
  /** Their family says whether it is ICMP or ICMPv6, whose checksum covers them. */
  readonly between: IpEnds;
}

/**
 * Writes an echo's header into `into` at `at`, with the checksum over it and the data behind it; how many bytes it takes,
 * which is 8. Throws TypeError or RangeError for a field that cannot be, or where there is no room; nothing is written then.
 *
 * @example
 * const between = { source: IpAddress.parse('192.0.2.1'), destination: IpAddress.parse('192.0.2.2') };
 * const message = new Uint8Array(8 + 56);
 * encodeIcmpEcho({ kind: 'echoReply', id: 1, sequence: 2, payloadBytes: 56, between }, message);
 * console.log(internetChecksum(message)); // 0
 */
export function encodeIcmpEcho(fields: IcmpEchoFields, into: Uint8Array, at = 0): number {
  const { kind, id, sequence, payloadBytes } = fields;
  if (kind !== 'echoRequest' && kind !== 'echoReply')
    throw wrongValue('encodeIcmpEcho: kind', '"echoRequest" or "echoReply"', kind);
  const ends = endsBytes('encodeIcmpEcho: between', fields.between);
  requireUnsigned('encodeIcmpEcho: id', id, 0xffff);
  requireUnsigned('encodeIcmpEcho: sequence', sequence, 0xffff);
  requireUnsigned('encodeIcmpEcho: payloadBytes', payloadBytes, 0xffff - ICMP_HEADER_BYTES);
  const length = ICMP_HEADER_BYTES + payloadBytes;
  requireRoom('encodeIcmpEcho', into, at, length);
  const isV4 = ends.length === 8;
  const isRequest = kind === 'echoRequest';
  into[at] = isV4 ? (isRequest ? 8 : 0) : isRequest ? 128 : 129;
  into[at + 1] = 0;
  setU16(into, at + 4, id);
  setU16(into, at + 6, sequence);
  finishIcmp(ends, into.subarray(at, at + length));
  return ICMP_HEADER_BYTES;
}

/** Writes the checksum of a whole message. `ends`: both addresses in a row. */
export function finishIcmp(ends: Uint8Array, message: Uint8Array): void {
  setU16(message, 2, 0);
  const pseudo = ends.length === 8 ? 0 : pseudoHeaderSum({ ends }, PROTOCOL.icmpv6, message.length);
  setU16(message, 2, internetChecksum(message, pseudo));
}
