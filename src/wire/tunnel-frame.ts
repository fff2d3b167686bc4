/**
 * A tunnel's datagram as it is found on a wire: outer IP and UDP, then VXLAN (RFC 7348) or, as flannel's `udp` has it, an
 * IP packet at once. Which of both it is shows the first byte: VXLAN's flags never look like an IPv4 header.
 */
import type { IpAddress } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import { decodeEthernet } from './ethernet.js';
import { PROTOCOL } from './protocol.js';
import { summarizePacket } from './summary.js';
import { VXLAN_HEADER_BYTES, VxlanPacket } from './vxlan.js';

export interface OuterHeaders {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** ECN bits. */
  readonly ecn: number;
}

export interface TunnelFrame {
  readonly outer: OuterHeaders;
  readonly encap: 'vxlan' | 'udp';
  /** VXLAN; null where its flag is clear. */
  readonly vni?: number | null;
  readonly macs?: { readonly destination: MacAddress; readonly source: MacAddress };
  /** Of the inner frame; of flannel's `udp` that which its packet would have. */
  readonly etherType: number;
  /** Behind all headers; as far as it is there. */
  readonly inner: Uint8Array;
  /** What there is to say of the headers themselves. */
  readonly oddity?: string;
}

/** Of UDP; the last is that of VXLAN elsewhere (RFC 7348). */
export const TUNNEL_PORTS: readonly number[] = [8472, 8285, 4789];

/** null: the packet is no datagram to one of these ports, or a later fragment of one. */
export function decodeTunnel(
  packet: Uint8Array,
  ports: readonly number[] = TUNNEL_PORTS,
): TunnelFrame | null {
  const {
    source,
    destination,
    sourcePort,
    destinationPort,
    protocol,
    family,
    detail,
    ecn = 0,
  } = summarizePacket(packet, 0);
  if (!source || !destination || protocol !== 'udp' || sourcePort === undefined) return null;
  if (destinationPort === undefined || !ports.includes(destinationPort) || detail.endsWith('cut'))
    return null;
  const at = family === 4 ? ((packet[0] ?? 0) & 15) * 4 : ipv6HeaderBytes(packet);
  const payload = packet.subarray(at + 8);
  const outer = { source, destination, sourcePort, destinationPort, ecn };
  const first = payload[0] ?? 0;
  if (first >> 4 === 4 && (first & 15) >= 5)
    return { outer, encap: 'udp', etherType: 0x0800, inner: payload };
  return { outer, ...decodeVxlanLoosely(payload) };
}

function decodeVxlanLoosely(payload: Uint8Array): Omit<TunnelFrame, 'outer'> {
  const nothing = { encap: 'vxlan' as const, etherType: 0, inner: new Uint8Array() };
  if (payload.length < VXLAN_HEADER_BYTES)
    return { ...nothing, oddity: `header cut after ${payload.length} bytes` };
  const vxlan = new VxlanPacket(payload);
  const vni = vxlan.hasVni ? vxlan.vni : null;
  const flags = vxlan.flags.toString(16).padStart(2, '0');
  const oddity = vxlan.hasReservedBits ? { oddity: `flags 0x${flags}, reserved bits set` } : {};
  const frame = decodeEthernet(vxlan.frame);
  if ('drop' in frame)
    return { ...nothing, vni, oddity: `inner frame cut after ${vxlan.frame.length} bytes` };
  const { destination, source, etherType } = frame;
  return { encap: 'vxlan', vni, macs: { destination, source }, etherType, inner: frame.payload, ...oddity };
}

/** With extension headers, as `summarizePacket` has walked them. */
function ipv6HeaderBytes(packet: Uint8Array): number {
  let next = packet[6] ?? 0;
  let at = 40;
  for (let headers = 0; headers < 8 && next !== PROTOCOL.udp; headers++) {
    const units = packet[at + 1] ?? 0;
    const length =
      next === PROTOCOL.fragment ? 8 : next === PROTOCOL.auth ? (units + 2) * 4 : (units + 1) * 8;
    next = packet[at] ?? 0;
    at += length;
  }
  return at;
}
