/** ICMP errors as a router sends them: RFC 792, RFC 1191, RFC 1122 section 3.2.2; RFC 4443 for IPv6. */
import { wrongType, wrongValue } from '../errors.js';
import { addressBytes, type IpAddressLike } from './addresses.js';
import { requireRoom, requireUnsigned, setU16, setU32 } from './bytes.js';
import { finishIcmp, ICMP_HEADER_BYTES } from './icmp.js';
import { type IpPacket, isMartianSource } from './ip.js';
import { encodeIpv4, IPV4_HEADER_BYTES, Ipv4Packet } from './ipv4.js';
import { encodeIpv6, IPV6_HEADER_BYTES, Ipv6Packet } from './ipv6.js';
import { PROTOCOL } from './protocol.js';

/** What a router tells a sender: no route to there, too long for the next hop, TTL at its end. */
export type IcmpErrorKind = 'netUnreachable' | 'fragmentationNeeded' | 'timeExceeded';

const TYPE_AND_CODE = {
  4: { netUnreachable: [3, 0], fragmentationNeeded: [3, 4], timeExceeded: [11, 0] },
  6: { netUnreachable: [1, 0], fragmentationNeeded: [2, 0], timeExceeded: [3, 0] },
} as const;

/** IPv6's least MTU: no error of either family is longer. */
export const ICMP_ERROR_MOST_BYTES = 1280;

/** An error's fields, for `encodeIcmpError`. */
export interface IcmpErrorFields {
  /** What is wrong. */
  readonly kind: IcmpErrorKind;
  /** The packet that cannot go on; its sender is told. See `mayAnswerWithIcmp`. */
  readonly about: IpPacket;
  /** Ours, of the same family. */
  readonly source: IpAddressLike;
  /** 0 to 255. Default 64. */
  readonly ttl?: number;
  /** What the next hop takes, for `fragmentationNeeded`: bytes, 32 bits. */
  readonly mtuBytes?: number;
}

/**
 * Writes the whole IP packet into `into` at `at`; its length, never more than `ICMP_ERROR_MOST_BYTES`. Over IPv4 it quotes the
 * offender's header and 8 bytes, over IPv6 as much as fits. `into` must not lie over the offender. Throws TypeError or
 * RangeError for a field that cannot be, or where there is no room; nothing is written then.
 *
 * @example
 * const about = decodeIp(Uint8Array.of(0x45, 0, 0, 20, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2));
 * if ('drop' in about) throw new Error(about.drop);
 * const error = new Uint8Array(ICMP_ERROR_MOST_BYTES);
 * const source = IpAddress.parse('192.0.2.254');
 * console.log(encodeIcmpError({ kind: 'fragmentationNeeded', mtuBytes: 1450, about, source }, error)); // 48
 */
export function encodeIcmpError(fields: IcmpErrorFields, into: Uint8Array, at = 0): number {
  const { kind, about, ttl = 64, mtuBytes = 0 } = fields;
  if (!(about instanceof Ipv4Packet || about instanceof Ipv6Packet))
    throw wrongType('encodeIcmpError: about', 'a decoded packet', about);
  const { family, ends } = about;
  if (!Object.hasOwn(TYPE_AND_CODE[4], kind))
    throw wrongValue('encodeIcmpError: kind', Object.keys(TYPE_AND_CODE[4]).join(', '), kind);
  const source = addressBytes('encodeIcmpError: source', fields.source, family === 4 ? 4 : 16);
  const destination = ends.subarray(0, source.length);
  requireUnsigned('encodeIcmpError: ttl', ttl, 255);
  requireUnsigned('encodeIcmpError: mtuBytes', mtuBytes, 0xffffffff);
  const headerBytes = family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const mostQuoted =
    family === 4 ? about.headerBytes + 8 : ICMP_ERROR_MOST_BYTES - headerBytes - ICMP_HEADER_BYTES;
  const quoted = about.bytes.subarray(0, mostQuoted);
  const icmpBytes = ICMP_HEADER_BYTES + quoted.length;
  requireRoom('encodeIcmpError', into, at, headerBytes + icmpBytes);

  const ip = { source, destination, ttl, payloadBytes: icmpBytes };
  if (family === 4) encodeIpv4({ ...ip, protocol: PROTOCOL.icmp }, into, at);
  else encodeIpv6({ ...ip, protocol: PROTOCOL.icmpv6 }, into, at);
  const icmp = into.subarray(at + headerBytes, at + headerBytes + icmpBytes);
  icmp.set(TYPE_AND_CODE[family][kind]);
  setU32(icmp, 4, 0);
  if (kind === 'fragmentationNeeded') {
    if (family === 4) setU16(icmp, 6, Math.min(mtuBytes, 0xffff));
    else setU32(icmp, 4, mtuBytes);
  }
  icmp.set(quoted, ICMP_HEADER_BYTES);
  const answerEnds = into.subarray(at + headerBytes - 2 * source.length, at + headerBytes);
  finishIcmp(answerEnds, icmp);
  return headerBytes + icmpBytes;
}

/**
 * Whether an error may be sent about a packet: never about ICMP errors, later fragments, or packets from nobody or to a group
 * (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e). How many a second is up to the sender.
 *
 * @example
 * // To a group.
 * const packet = decodeIp(Uint8Array.of(0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 224, 0, 0, 1));
 * console.log('drop' in packet || mayAnswerWithIcmp(packet)); // false
 */
export function mayAnswerWithIcmp(offender: IpPacket): boolean {
  const { bytes, destination, headerBytes, protocol } = offender;
  if (isMartianSource(offender)) return false;
  if (offender.family === 4) {
    if (offender.fragmentOffset > 0 || destination.value >> 29n === 7n) return false;
    const type = bytes[headerBytes];
    return protocol !== PROTOCOL.icmp || (type !== undefined && ![3, 4, 5, 11, 12].includes(type));
  }
  if (destination.isMulticast) return false;
  let next = protocol;
  let at = 40;
  for (let headers = 0; headers < 8; headers++) {
    if (next === PROTOCOL.icmpv6) return (bytes[at] ?? 0) >= 128;
    const isExtension = [
      0,
      PROTOCOL.routing,
      PROTOCOL.destinationOptions,
      PROTOCOL.fragment,
      PROTOCOL.auth,
    ].includes(next as never);
    if (!isExtension) return true;
    if (at + 8 > bytes.length) return false;
    if (next === PROTOCOL.fragment && (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >> 3 !== 0)
      return false;
    const units = bytes[at + 1] ?? 0;
    const length =
      next === PROTOCOL.fragment ? 8 : next === PROTOCOL.auth ? (units + 2) * 4 : (units + 1) * 8;
    next = bytes[at] ?? 0;
    at += length;
  }
  return false;
}
