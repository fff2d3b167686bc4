/**
 * What a node does with one packet, from header to verdict, over plain lists: the specification that the native packet
 * path is tested against, and no faster than reading it.
 */
import type { IpAddress } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import type { Prefix } from '../net/prefix.js';
import { combinedEcn, outerEcn } from './ecn.js';
import { encodeFlannelUdp } from './flannel-udp.js';
import { buildIcmpError, type IcmpErrorKind, mayAnswer } from './icmp.js';
import {
  asksForSourceRoute,
  type Drop,
  type InnerPacket,
  isMartianSource,
  PROTOCOL,
  parseInner,
  withEcn,
  withTtlDecremented,
} from './ip.js';
import { withChecksumFinished } from './unfinished-checksum.js';
import { decodeVxlan, encodeVxlan } from './vxlan.js';

export interface SpecifiedPeer {
  readonly subnet: Prefix;
  readonly endpoint: { readonly address: IpAddress; readonly port: number };
  readonly mac: MacAddress;
}

export interface SpecifiedNode {
  readonly encap: 'vxlan' | 'udp';
  readonly vni: number;
  readonly port: number;
  readonly mac: MacAddress;
  /** Of frames with IPv6 inside, where it is another. */
  readonly macV6?: MacAddress;
  readonly subnets: readonly Prefix[];
  /** Our other addresses. */
  readonly ownAddresses: readonly IpAddress[];
  readonly mtuBytes: number;
  readonly sourceCheck: boolean;
  readonly peers: readonly SpecifiedPeer[];
}

export interface Datagram {
  readonly payload: Uint8Array;
  readonly remote: { readonly address: IpAddress; readonly port: number };
  /** Outer TOS. */
  readonly tos: number;
}

/** ICMP errors of flannel's proxy leave with a TTL of 8. */
const ICMP_TTL = { vxlan: 64, udp: 8 } as const;

const ANSWERS: { readonly [drop: string]: IcmpErrorKind | undefined } = {
  no_route: 'netUnreachable',
  ttl_exceeded: 'timeExceeded',
  too_big: 'fragmentationNeeded',
};

/** A packet from the overlay: the datagram that leaves, or why none does and what the sender is told. */
export function encapPacket(
  node: SpecifiedNode,
  data: Uint8Array,
): Datagram | (Drop & { readonly answer?: Uint8Array }) {
  if (node.encap === 'udp' && data.length > 0 && (data[0] ?? 0) >> 4 === 6) return { drop: 'family' };
  const inner = parseInner(data);
  if ('drop' in inner) return inner;
  const peer = holderOf(node, inner.destination);
  const drop = encapDrop(node, inner, peer);
  if (drop !== null || !peer) {
    const kind = ANSWERS[drop ?? ''];
    const source = node.subnets.find(({ family }) => family === inner.family)?.address;
    if (!kind || !source || !mayAnswer(inner)) return { drop: drop ?? '' };
    const from = { source, ttl: ICMP_TTL[node.encap], mtuBytes: node.mtuBytes };
    return { drop: drop ?? '', answer: buildIcmpError(kind, inner, from) };
  }
  if (node.encap === 'udp') {
    const encoded = encodeFlannelUdp(inner.bytes);
    return 'drop' in encoded ? encoded : { payload: encoded.packet, remote: peer.endpoint, tos: 0 };
  }
  const frame = {
    vni: node.vni,
    destination: peer.mac,
    source: (inner.family === 6 && node.macV6) || node.mac,
    family: inner.family,
    packet: inner.bytes,
  };
  return { payload: encodeVxlan(frame), remote: peer.endpoint, tos: outerEcn(inner.tos & 3) };
}

function encapDrop(node: SpecifiedNode, inner: InnerPacket, peer: SpecifiedPeer | undefined): string | null {
  if (!peer) return 'no_route';
  if (isOwnTunnel(node, inner)) return 'loop';
  if (node.encap === 'udp' && inner.ttl <= 1) return 'ttl_exceeded';
  return inner.bytes.length > node.mtuBytes ? 'too_big' : null;
}

/** A datagram from the underlay: the packet that is delivered, or why none is. */
export function decapDatagram(
  node: SpecifiedNode,
  { payload, remote, tos }: Datagram,
): { readonly packet: Uint8Array } | Drop {
  if (node.sourceCheck && !isEndpoint(node, remote.address)) return { drop: 'unknown_peer' };
  const unwrapped = unwrap(node, payload);
  if ('drop' in unwrapped) return unwrapped;
  const inner = parseInner(unwrapped.packet);
  if ('drop' in inner) return inner;
  if (inner.family !== unwrapped.family) return { drop: 'inner_version' };
  const refused = node.sourceCheck ? sourceDrop(node, inner, remote.address) : null;
  if (refused !== null) return { drop: refused };
  if (asksForSourceRoute(inner)) return { drop: 'source_route' };
  if (node.encap === 'udp')
    return inner.ttl <= 1 ? { drop: 'ttl_exceeded' } : { packet: withTtlDecremented(inner) };
  const ecn = combinedEcn(tos & 3, inner.tos & 3);
  if (ecn === null) return { drop: 'ecn' };
  const marked = ecn === (inner.tos & 3) ? inner.bytes : withEcn(inner, ecn);
  return { packet: withChecksumFinished({ ...inner, bytes: marked }) };
}

function unwrap(node: SpecifiedNode, payload: Uint8Array): { family: number; packet: Uint8Array } | Drop {
  if (node.encap === 'vxlan') return decodeVxlan(payload, node);
  return payload.length === 0 ? { drop: 'short' } : { family: 4, packet: payload };
}

function sourceDrop(node: SpecifiedNode, inner: InnerPacket, outerSource: IpAddress): string | null {
  if (isMartianSource(inner)) return 'martian';
  if (owns(node, inner.source)) return 'own_source';
  const holder = holderOf(node, inner.source);
  const isTheirs = holder?.endpoint.address.equals(outerSource) || inner.source.equals(outerSource);
  if (!isTheirs) return 'src_mismatch';
  return owns(node, inner.destination) ? null : 'not_for_us';
}

/** Longest prefix wins. */
function holderOf({ peers }: SpecifiedNode, address: IpAddress): SpecifiedPeer | undefined {
  const holders = peers.filter(({ subnet }) => subnet.contains(address));
  return holders.sort((a, b) => b.subnet.length - a.subnet.length)[0];
}

function owns({ subnets, ownAddresses }: SpecifiedNode, address: IpAddress): boolean {
  return (
    subnets.some((subnet) => subnet.contains(address)) || ownAddresses.some((own) => own.equals(address))
  );
}

function isEndpoint({ peers }: SpecifiedNode, address: IpAddress): boolean {
  return peers.some(({ endpoint }) => endpoint.address.equals(address));
}

/** A datagram of the tunnel itself, on its way to a peer's endpoint. */
function isOwnTunnel(
  node: SpecifiedNode,
  { bytes, headerBytes, protocol, fragmentOffset, destination }: InnerPacket,
): boolean {
  if (protocol !== PROTOCOL.udp || fragmentOffset > 0 || bytes.length < headerBytes + 4) return false;
  const port = ((bytes[headerBytes + 2] ?? 0) << 8) | (bytes[headerBytes + 3] ?? 0);
  return port === node.port && isEndpoint(node, destination);
}
