/**
 * flannel's `udp`: the payload of a datagram is one bare IPv4 packet. Each end acts as a router hop: the TTL falls by one
 * on the way in and on the way out, and what would reach zero is dropped before.
 */
import { type Drop, parseInner, withTtlDecremented } from './ip.js';

export type FlannelUdpResult = { readonly packet: Uint8Array } | Drop;

/** From an inner packet to the UDP payload. */
export function encodeFlannelUdp(packet: Uint8Array): FlannelUdpResult {
  if (packet.length > 0 && (packet[0] ?? 0) >> 4 === 6) return { drop: 'family' };
  return hop(packet);
}

/** From a UDP payload to the inner packet. */
export function decodeFlannelUdp(payload: Uint8Array): FlannelUdpResult {
  if (payload.length === 0) return { drop: 'short' };
  const inner = parseInner(payload);
  if (!('drop' in inner) && inner.family === 6) return { drop: 'inner_version' };
  return hop(payload);
}

function hop(packet: Uint8Array): FlannelUdpResult {
  const inner = parseInner(packet);
  if ('drop' in inner) return inner;
  return inner.ttl <= 1 ? { drop: 'ttl_exceeded' } : { packet: withTtlDecremented(inner) };
}
