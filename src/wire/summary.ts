/**
 * What a packet is, in a few words, for people who watch traffic. Unlike `parseInner` it judges nothing: bytes may be cut
 * anywhere or mean nothing, and what can be told is told.
 */
import { IpAddress, type IpFamily } from '../net/ip.js';
import { PROTOCOL } from './protocol.js';
import { icmpText, icmpV6Text } from './summary-icmp.js';
import { transportSummary } from './summary-transport.js';

export interface PacketSummary {
  readonly family?: IpFamily;
  readonly source?: IpAddress;
  readonly destination?: IpAddress;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** `tcp`, `udp`, `icmp`, `icmp6`, `proto 47`, ... */
  readonly protocol?: string;
  /** What there is to say beyond addresses, ports and protocol. */
  readonly detail: string;
  /** Of the whole packet, by its header. */
  readonly bytes?: number;
  readonly ttl?: number;
  /** 0 not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. */
  readonly ecn?: number;
}

const ECN_TEXT = ['', 'ect1', 'ect0', 'ce'] as const;

/** `10.244.1.9:4312 > 10.244.2.7:80 tcp S seq 12 win 64240 len 0 ect0`. */
export function summaryText(summary: PacketSummary): string {
  const { source, destination, sourcePort, destinationPort, protocol, detail, ecn = 0 } = summary;
  const way =
    source && destination ? `${endText(source, sourcePort)} > ${endText(destination, destinationPort)}` : '';
  return [way, protocol ?? '', detail, ECN_TEXT[ecn & 3] ?? ''].filter((part) => part !== '').join(' ');
}

function endText(address: IpAddress, port: number | undefined): string {
  if (port === undefined) return `${address}`;
  return address.family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Of an IP packet; `depth` packets quoted inside ICMP errors are told too. */
export function summarizePacket(bytes: Uint8Array, depth = 1): PacketSummary {
  const version = (bytes[0] ?? 0) >> 4;
  if (bytes.length === 0) return { detail: 'empty' };
  if (version === 4 && bytes.length >= 20) return summarizeIpv4(bytes, depth);
  if (version === 6 && bytes.length >= 40) return summarizeIpv6(bytes, depth);
  if (version === 4 || version === 6)
    return { detail: `IPv${version} header cut after ${bytes.length} bytes` };
  return { detail: `no IP packet: version ${version}, ${bytes.length} bytes` };
}

function summarizeIpv4(bytes: Uint8Array, depth: number): PacketSummary {
  const view = viewOf(bytes);
  const headerBytes = (view.getUint8(0) & 15) * 4;
  // BIG TCP and offloads leave 0: then all that is there.
  const totalBytes = view.getUint16(2) || bytes.length;
  const fragment = view.getUint16(6);
  const base = {
    family: 4 as const,
    source: IpAddress.fromBytes(bytes.subarray(12, 16)),
    destination: IpAddress.fromBytes(bytes.subarray(16, 20)),
    bytes: totalBytes,
    ttl: view.getUint8(8),
    ecn: view.getUint8(1) & 3,
  };
  if (headerBytes < 20 || totalBytes < headerBytes) return { ...base, detail: 'bad header length' };
  const offset = (fragment & 0x1fff) * 8;
  const more = (fragment & 0x2000) !== 0;
  const protocol = view.getUint8(9);
  const piece = fragmentText(offset, more, view.getUint16(4));
  if (offset > 0) return { ...base, protocol: protocolName(protocol, 4), detail: piece };
  const rest = bytes.subarray(Math.min(headerBytes, bytes.length), totalBytes);
  return withPiece({ ...base, ...carried(protocol, 4, rest, totalBytes - headerBytes, depth) }, piece);
}

function summarizeIpv6(bytes: Uint8Array, depth: number): PacketSummary {
  const view = viewOf(bytes);
  const totalBytes = 40 + (view.getUint16(4) || bytes.length - 40);
  const base = {
    family: 6 as const,
    source: IpAddress.fromBytes(bytes.subarray(8, 24)),
    destination: IpAddress.fromBytes(bytes.subarray(24, 40)),
    bytes: totalBytes,
    ttl: view.getUint8(7),
    ecn: (view.getUint16(0) >> 4) & 3,
  };
  let next = view.getUint8(6);
  let at = 40;
  let piece = '';
  for (let headers = 0; headers < 8; headers++) {
    const isExtension = [
      0,
      PROTOCOL.routing,
      PROTOCOL.fragment,
      PROTOCOL.auth,
      PROTOCOL.destinationOptions,
    ].includes(next as never);
    if (!isExtension) break;
    if (at + 8 > bytes.length) return { ...base, detail: `extension header ${next} cut` };
    const units = view.getUint8(at + 1);
    if (next === PROTOCOL.fragment) {
      const word = view.getUint16(at + 2);
      piece = fragmentText(word & 0xfff8, (word & 1) !== 0, view.getUint32(at + 4));
      if ((word & 0xfff8) > 0)
        return { ...base, protocol: protocolName(view.getUint8(at), 6), detail: piece };
    }
    const length =
      next === PROTOCOL.fragment ? 8 : next === PROTOCOL.auth ? (units + 2) * 4 : (units + 1) * 8;
    next = view.getUint8(at);
    at += length;
  }
  const rest = bytes.subarray(Math.min(at, bytes.length), totalBytes);
  return withPiece({ ...base, ...carried(next, 6, rest, Math.max(totalBytes - at, 0), depth) }, piece);
}

/** `length`: of what the IP header says it carries; `rest` may be shorter. */
function carried(
  protocol: number,
  family: IpFamily,
  rest: Uint8Array,
  length: number,
  depth: number,
): Pick<PacketSummary, 'sourcePort' | 'destinationPort' | 'protocol' | 'detail'> {
  const name = protocolName(protocol, family);
  const quote = (bytes: Uint8Array) =>
    depth > 0 && bytes.length > 0 ? summaryText(summarizePacket(bytes, depth - 1)) : '';
  if (name === 'tcp' || name === 'udp') return { protocol: name, ...transportSummary(name, rest, length) };
  if (name === 'icmp') return { protocol: name, detail: icmpText(rest, length, quote) };
  if (name === 'icmp6') return { protocol: name, detail: icmpV6Text(rest, length, quote) };
  return { protocol: name, detail: `len ${length}` };
}

function protocolName(protocol: number, family: IpFamily): string {
  if (protocol === PROTOCOL.tcp) return 'tcp';
  if (protocol === PROTOCOL.udp) return 'udp';
  if (protocol === PROTOCOL.icmp && family === 4) return 'icmp';
  if (protocol === PROTOCOL.icmpv6 && family === 6) return 'icmp6';
  return `proto ${protocol}`;
}

function fragmentText(offset: number, more: boolean, id: number): string {
  return offset > 0 || more ? `fragment ${id} at ${offset}${more ? '+' : ''}` : '';
}

function withPiece(summary: PacketSummary, piece: string): PacketSummary {
  return piece === '' ? summary : { ...summary, detail: `${summary.detail} ${piece}` };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
