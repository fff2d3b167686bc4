/** ICMP errors as a router sends them: RFC 792, RFC 1191, RFC 1122 section 3.2.2; RFC 4443 for IPv6. */
import type { IpAddress } from '../net/ip.js';
import { internetChecksum } from './checksum.js';
import { type InnerPacket, isMartianSource, PROTOCOL } from './ip.js';

export type IcmpErrorKind = 'netUnreachable' | 'fragmentationNeeded' | 'timeExceeded';

const TYPE_AND_CODE = {
  4: { netUnreachable: [3, 0], fragmentationNeeded: [3, 4], timeExceeded: [11, 0] },
  6: { netUnreachable: [1, 0], fragmentationNeeded: [2, 0], timeExceeded: [3, 0] },
} as const;

/** IPv6's least MTU: no ICMPv6 error is longer. */
const MOST_V6_BYTES = 1280;

/** The whole IP packet. IPv4 quotes the offender's header and 8 bytes, IPv6 as much as fits. */
export function buildIcmpError(
  kind: IcmpErrorKind,
  offender: InnerPacket,
  from: { readonly source: IpAddress; readonly ttl: number; readonly mtuBytes: number },
): Uint8Array {
  const { family } = offender;
  const headerBytes = family === 4 ? 20 : 40;
  const quoted = offender.bytes.subarray(
    0,
    family === 4 ? offender.headerBytes + 8 : MOST_V6_BYTES - headerBytes - 8,
  );
  const answer = new Uint8Array(headerBytes + 8 + quoted.length);
  const view = new DataView(answer.buffer);
  const icmp = answer.subarray(headerBytes);
  icmp.set(TYPE_AND_CODE[family][kind]);
  icmp.set(quoted, 8);
  if (kind === 'fragmentationNeeded')
    view.setUint32(headerBytes + 4, Math.min(from.mtuBytes, family === 4 ? 0xffff : 0xffffffff));
  const source = from.source.bytes();
  const destination = offender.source.bytes();
  if (family === 4) {
    view.setUint8(0, 0x45);
    view.setUint16(2, answer.length);
    answer.set([from.ttl, PROTOCOL.icmp], 8);
    answer.set([...source, ...destination], 12);
    view.setUint16(10, internetChecksum(answer.subarray(0, 20)));
    view.setUint16(headerBytes + 2, internetChecksum(icmp));
  } else {
    view.setUint8(0, 0x60);
    view.setUint16(4, icmp.length);
    answer.set([PROTOCOL.icmpv6, from.ttl], 6);
    answer.set([...source, ...destination], 8);
    // RFC 8200 section 8.1: the pseudo-header.
    const pseudo = Uint8Array.from([
      ...source,
      ...destination,
      0,
      0,
      icmp.length >> 8,
      icmp.length & 255,
      0,
      0,
      0,
      PROTOCOL.icmpv6,
    ]);
    view.setUint16(headerBytes + 2, internetChecksum(Uint8Array.from([...pseudo, ...icmp])));
  }
  return answer;
}

/** Never about ICMP errors, later fragments, or packets from nobody or to a group. */
export function mayAnswer(offender: InnerPacket): boolean {
  const { family, bytes, destination, fragmentOffset, headerBytes, protocol } = offender;
  if (isMartianSource(offender)) return false;
  if (family === 4) {
    if (fragmentOffset > 0 || destination.value >> 29n === 7n) return false;
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
