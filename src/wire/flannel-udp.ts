/**
 * flannel's `udp`: the payload of a datagram is one bare IPv4 packet. Each end is a router hop: the TTL falls by one on the
 * way in and on the way out, and what would reach zero is dropped before.
 */
import { requireBytes, requireRoom } from './bytes.js';
import type { Drop } from './drop.js';
import { decrementTtl } from './ip.js';
import { decodeIpv4, Ipv4Packet } from './ipv4.js';

/**
 * The packet in a UDP payload, as it came: one that goes on from here loses a hop, see `decrementTtl`. `short`, `version`
 * and `length` as in `decodeIpv4`; `ttl_exceeded`: it would reach 0. Throws TypeError where it gets no bytes.
 *
 * @example
 * const packet = decodeFlannelUdp(Uint8Array.of(0x45, 0, 0, 20, 0, 0, 0, 0, 1, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2));
 * console.log('drop' in packet ? packet.drop : packet.ttl); // ttl_exceeded
 */
export function decodeFlannelUdp(
  bytes: Uint8Array,
): Ipv4Packet | Drop<'short' | 'version' | 'length' | 'ttl_exceeded'> {
  const packet = decodeIpv4(bytes);
  return 'drop' in packet || packet.ttl > 1 ? packet : { drop: 'ttl_exceeded' };
}

/**
 * Writes the UDP payload of a packet into `into` at `at`; its length, or why there is none, as in `decodeFlannelUdp`. Where
 * the packet stands there already nothing is copied. Throws TypeError, or RangeError where there is no room.
 *
 * @example
 * const packet = Uint8Array.of(0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2);
 * console.log(encodeFlannelUdp(packet, packet), packet[8]); // 20 63
 */
export function encodeFlannelUdp(
  packet: Uint8Array,
  into: Uint8Array,
  at = 0,
): number | Drop<'short' | 'version' | 'length' | 'ttl_exceeded'> {
  requireBytes('encodeFlannelUdp: packet', packet);
  const inner = decodeFlannelUdp(packet);
  if ('drop' in inner) return inner;
  const { length } = inner.bytes;
  requireRoom('encodeFlannelUdp', into, at, length);
  const isThere = into.buffer === packet.buffer && into.byteOffset + at === packet.byteOffset;
  if (!isThere) into.set(inner.bytes, at);
  decrementTtl(new Ipv4Packet(into.subarray(at, at + length)));
  return length;
}
