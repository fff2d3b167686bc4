/**
 * TCP and UDP checksums that the sender's kernel left for a network card that never came (a veth pair): the field then
 * holds just the pseudo-header's sum. Exactly that case is finished; a merely wrong checksum stays wrong.
 */
import { internetChecksum } from './checksum.js';
import { type InnerPacket, PROTOCOL } from './ip.js';

const FIELD = {
  [PROTOCOL.tcp]: { offset: 16, leastBytes: 20 },
  [PROTOCOL.udp]: { offset: 6, leastBytes: 8 },
} as const;

/** The packet with its transport checksum finished, or as it is. */
export function withChecksumFinished(inner: InnerPacket): Uint8Array {
  const { family, bytes, headerBytes, protocol } = inner;
  const field = FIELD[protocol as keyof typeof FIELD];
  const transport = bytes.subarray(headerBytes);
  const isFragment = family === 4 && (((bytes[6] ?? 0) << 8) | (bytes[7] ?? 0)) & 0x3fff;
  if (!field || isFragment || transport.length < field.leastBytes) return bytes;
  const pseudo = sum(
    [...bytes.subarray(family === 4 ? 12 : 8, family === 4 ? 20 : 40)],
    protocol + transport.length,
  );
  const at = headerBytes + field.offset;
  if ((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) !== pseudo) return bytes;
  if (sum(transport, pseudo) === 0xffff) return bytes;
  // The field's own value is the pseudo-header's sum, so summing all of the transport adds it in.
  const checksum = internetChecksum(transport) || 0xffff;
  const copy = Uint8Array.from(bytes);
  copy.set([checksum >> 8, checksum & 255], at);
  return copy;
}

function sum(bytes: ArrayLike<number>, initial: number): number {
  return ~internetChecksum(Uint8Array.from(bytes), initial) & 0xffff;
}
