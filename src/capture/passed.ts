/** A captured frame, decoded: outer headers, encapsulation, inner packet; as one line for people, as JSON, and under a filter. */
import type { IpAddress } from '../net/ip.js';
import type { Json } from '../net/json.js';
import type { Prefix } from '../net/prefix.js';
import type { CapturedFrame } from '../pcap/frame.js';
import { arpText, decodeLink } from '../wire/link-frame.js';
import { ETHER_TYPE } from '../wire/protocol.js';
import { type PacketSummary, summarizePacket, summaryText } from '../wire/summary.js';
import { decodeTunnel, TUNNEL_PORTS, type TunnelFrame } from '../wire/tunnel-frame.js';

export interface Passed {
  readonly frame: CapturedFrame;
  /** null: no datagram of a tunnel. */
  readonly tunnel: TunnelFrame | null;
  /** Of the inner packet, or of the frame's own where there is no tunnel. */
  readonly packet: PacketSummary;
  /** By the comment that we write; null: none is known. */
  readonly drop: string | null;
}

const LONGEST_COMMENT_CHARS = 200;

export function decodePassed(frame: CapturedFrame, ports: readonly number[] = TUNNEL_PORTS): Passed {
  const drop = /^dropped: (\w+)/.exec(frame.comment ?? '')?.[1] ?? null;
  const link = decodeLink(frame.linkType, frame.bytes);
  if (!link) {
    const detail = `${frame.bytes.length} bytes of link type ${frame.linkType}`;
    return { frame, tunnel: null, packet: { detail }, drop };
  }
  const isIp = link.etherType === ETHER_TYPE.ipv4 || link.etherType === ETHER_TYPE.ipv6;
  const tunnel = isIp ? decodeTunnel(link.payload, ports) : null;
  const packet = tunnel ? carriedBy(tunnel.etherType, tunnel.inner) : carriedBy(link.etherType, link.payload);
  return { frame, tunnel, packet, drop };
}

function carriedBy(etherType: number, bytes: Uint8Array): PacketSummary {
  if (etherType === ETHER_TYPE.ipv4 || etherType === ETHER_TYPE.ipv6) return summarizePacket(bytes);
  if (etherType === ETHER_TYPE.arp) return { detail: arpText(bytes) };
  if (etherType === 0) return { detail: '' };
  return { detail: `EtherType 0x${etherType.toString(16).padStart(4, '0')}, ${bytes.length} bytes` };
}

export interface PassedFilter {
  /** Either end outside. */
  readonly peer?: IpAddress;
  /** Either end inside. */
  readonly subnets?: readonly Prefix[];
  /** Names, `any` and `none`. */
  readonly drops?: readonly string[];
}

export function accepts({ peer, subnets = [], drops = [] }: PassedFilter, passed: Passed): boolean {
  const { tunnel, packet, drop } = passed;
  const ends = tunnel ? [tunnel.outer.source, tunnel.outer.destination] : [];
  if (peer && !ends.some((end) => end.equals(peer))) return false;
  const inside = [packet.source, packet.destination];
  if (subnets.length > 0 && !subnets.some((subnet) => inside.some((end) => end && subnet.contains(end))))
    return false;
  return drops.length === 0 || drops.includes(drop ?? 'none') || (drop !== null && drops.includes('any'));
}

/** `12:04:05.123456 out 192.0.2.1:40123 > 192.0.2.2:8472 vxlan 1: 10.244.1.9 > 10.244.2.9 icmp echo request ...`. */
export function passedLine(passed: Passed, show: { readonly macs?: boolean } = {}): string {
  const { frame, tunnel, packet } = passed;
  const comment = frame.comment?.slice(0, LONGEST_COMMENT_CHARS);
  return [
    timeText(frame.timeNs),
    frame.direction ?? '',
    tunnel ? `${outerText(tunnel)}${macsText(tunnel, show.macs === true)}:` : '',
    summaryText(packet),
    tunnel?.oddity ? `(${tunnel.oddity})` : '',
    comment ? `[${comment}]` : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
}

const ECN_TEXT = ['', ' ect1', ' ect0', ' ce'] as const;

function outerText({ outer, encap, vni }: TunnelFrame): string {
  const end = (address: IpAddress, port: number) =>
    address.family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
  const way = `${end(outer.source, outer.sourcePort)} > ${end(outer.destination, outer.destinationPort)}`;
  return `${way}${ECN_TEXT[outer.ecn & 3]} ${encap}${vni === undefined ? '' : ` ${vni ?? 'without VNI'}`}`;
}

function macsText({ macs }: TunnelFrame, isShown: boolean): string {
  return isShown && macs ? ` ${macs.source} > ${macs.destination}` : '';
}

/** Time of day, UTC. */
function timeText(timeNs: bigint): string {
  const microseconds = timeNs / 1000n;
  const day = microseconds % 86_400_000_000n;
  const two = (value: bigint) => value.toString().padStart(2, '0');
  const [hours, minutes, seconds] = [
    day / 3_600_000_000n,
    (day / 60_000_000n) % 60n,
    (day / 1_000_000n) % 60n,
  ];
  return `${two(hours)}:${two(minutes)}:${two(seconds)}.${(day % 1_000_000n).toString().padStart(6, '0')}`;
}

/** null: a file may name times that no calendar has. */
function isoText(timeNs: bigint): string | null {
  const time = new Date(Number(timeNs / 1_000_000n));
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}

export function passedJson({ frame, tunnel, packet, drop }: Passed): { [key: string]: Json } {
  return {
    time: isoText(frame.timeNs),
    timeNs: frame.timeNs.toString(),
    direction: frame.direction ?? null,
    bytes: frame.originalBytes,
    drop,
    comment: frame.comment ?? null,
    outer: tunnel && {
      source: `${tunnel.outer.source}`,
      sourcePort: tunnel.outer.sourcePort,
      destination: `${tunnel.outer.destination}`,
      destinationPort: tunnel.outer.destinationPort,
      ecn: tunnel.outer.ecn,
      encap: tunnel.encap,
      vni: tunnel.vni ?? null,
      sourceMac: tunnel.macs ? `${tunnel.macs.source}` : null,
      destinationMac: tunnel.macs ? `${tunnel.macs.destination}` : null,
      oddity: tunnel.oddity ?? null,
    },
    packet: {
      ...packet,
      source: packet.source ? `${packet.source}` : null,
      destination: packet.destination ? `${packet.destination}` : null,
    },
  };
}
