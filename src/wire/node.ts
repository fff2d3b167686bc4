/**
 * What a node does with one packet, from header to verdict, over plain lists: the specification that the native packet
 * path is tested against, and no faster than reading it.
 */
import type { IpAddress } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import type { Prefix } from '../net/prefix.js';
import { u16 } from './bytes.js';
import type { Drop } from './drop.js';
import { combinedEcn, outerEcn } from './ecn.js';
import { encodeFlannelUdp } from './flannel-udp.js';
import {
  encodeIcmpError,
  ICMP_ERROR_MOST_BYTES,
  type IcmpErrorKind,
  mayAnswerWithIcmp,
} from './icmp-error.js';
import { asksForSourceRoute, decodeIp, decrementTtl, type IpPacket, isMartianSource, setEcn } from './ip.js';
import { PROTOCOL } from './protocol.js';
import { withChecksumFinished } from './unfinished-checksum.js';
import { acceptAtVtep, type VtepFrame, vtepPayload } from './vtep.js';

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
  const inner = decodeInner(data);
  if ('drop' in inner) return inner;
  const peer = holderOf(node, inner.destination);
  const drop = encapDrop(node, inner, peer);
  if (drop !== null || !peer) return { drop: drop ?? '', ...answerTo(node, inner, ANSWERS[drop ?? '']) };
  if (node.encap === 'udp') {
    const payload = new Uint8Array(inner.bytes.length);
    encodeFlannelUdp(inner.bytes, payload);
    return { payload, remote: peer.endpoint, tos: 0 };
  }
  const frame: VtepFrame = {
    vni: node.vni,
    destination: peer.mac,
    source: (inner.family === 6 && node.macV6) || node.mac,
    family: inner.family,
    packet: inner.bytes,
  };
  return { payload: vtepPayload(frame), remote: peer.endpoint, tos: outerEcn(inner.tos & 3) };
}

function answerTo(node: SpecifiedNode, about: IpPacket, kind: IcmpErrorKind | undefined) {
  const source = node.subnets.find(({ family }) => family === about.family)?.address;
  if (!kind || !source || !mayAnswerWithIcmp(about)) return {};
  const answer = new Uint8Array(ICMP_ERROR_MOST_BYTES);
  const { mtuBytes } = node;
  const length = encodeIcmpError({ kind, about, source, ttl: ICMP_TTL[node.encap], mtuBytes }, answer);
  return { answer: answer.subarray(0, length) };
}

function encapDrop(node: SpecifiedNode, inner: IpPacket, peer: SpecifiedPeer | undefined): string | null {
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
  const inner = decodeInner(unwrapped.packet);
  if ('drop' in inner) return inner;
  if (inner.family !== unwrapped.family) return { drop: 'inner_version' };
  const refused = node.sourceCheck ? sourceDrop(node, inner, remote.address) : null;
  if (refused !== null) return { drop: refused };
  if (asksForSourceRoute(inner)) return { drop: 'source_route' };
  if (node.encap === 'udp')
    return inner.ttl <= 1 ? { drop: 'ttl_exceeded' } : { packet: changed(inner, decrementTtl).bytes };
  const ecn = combinedEcn(tos & 3, inner.tos & 3);
  if (ecn === null) return { drop: 'ecn' };
  const marked = ecn === (inner.tos & 3) ? inner : changed(inner, (copy) => setEcn(copy, ecn));
  return { packet: withChecksumFinished(marked) };
}

/** Its drop reasons are the engine's names for what is wrong with an inner header. */
function decodeInner(data: Uint8Array): IpPacket | Drop {
  const inner = decodeIp(data);
  return 'drop' in inner ? { drop: `inner_${inner.drop}` } : inner;
}

/** A copy. */
function changed(packet: IpPacket, change: (copy: IpPacket) => void): IpPacket {
  const copy = decodeIp(Uint8Array.from(packet.bytes)) as IpPacket;
  change(copy);
  return copy;
}

function unwrap(node: SpecifiedNode, payload: Uint8Array): { family: number; packet: Uint8Array } | Drop {
  if (node.encap === 'vxlan') return acceptAtVtep(payload, node);
  return payload.length === 0 ? { drop: 'short' } : { family: 4, packet: payload };
}

function sourceDrop(node: SpecifiedNode, inner: IpPacket, outerSource: IpAddress): string | null {
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
function isOwnTunnel(node: SpecifiedNode, inner: IpPacket): boolean {
  const isLaterFragment = inner.family === 4 && inner.fragmentOffset > 0;
  if (inner.protocol !== PROTOCOL.udp || isLaterFragment || inner.payload.length < 4) return false;
  return u16(inner.payload, 2) === node.port && isEndpoint(node, inner.destination);
}
