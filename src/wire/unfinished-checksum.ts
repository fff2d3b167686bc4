/**
 * TCP and UDP checksums that the sender's kernel left for a network card that never came (a veth pair): the field then
 * holds just the pseudo-header's sum. Exactly that case is finished; a merely wrong checksum stays wrong.
 */
import { pseudoHeaderSum } from './addresses.js';
import { setU16, u16 } from './bytes.js';
import { internetChecksum } from './checksum.js';
import type { IpPacket } from './ip.js';
import { PROTOCOL } from './protocol.js';

const FIELD = {
  [PROTOCOL.tcp]: { offset: 16, leastBytes: 20 },
  [PROTOCOL.udp]: { offset: 6, leastBytes: 8 },
} as const;

/** The packet with its transport checksum finished, or as it is. */
export function withChecksumFinished(inner: IpPacket): Uint8Array {
  const { bytes, headerBytes, protocol } = inner;
  const field = FIELD[protocol as keyof typeof FIELD];
  const transport = inner.payload;
  const isFragment = inner.family === 4 && (inner.moreFragments || inner.fragmentOffset > 0);
  if (!field || isFragment || transport.length < field.leastBytes) return bytes;
  const pseudo = pseudoHeaderSum(inner, protocol, transport.length);
  if (u16(transport, field.offset) !== pseudo) return bytes;
  if (internetChecksum(transport, pseudo) === 0) return bytes;
  const copy = Uint8Array.from(bytes);
  // The field's own value is the pseudo-header's sum, so summing all of the transport adds it in.
  setU16(copy, headerBytes + field.offset, internetChecksum(transport) || 0xffff);
  return copy;
}
