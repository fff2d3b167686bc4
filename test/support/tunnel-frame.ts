/** A frame of the underlay taken apart by hand, every inner checksum summed: no code of the product has a part in it. */
import assert from 'node:assert/strict';

function sum(bytes: Uint8Array, start = 0): number {
  let total = start;
  for (let i = 0; i < bytes.length; i += 2) total += ((bytes[i] ?? 0) << 8) + (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** Ethernet, IPv4, UDP to port 8472, VXLAN, Ethernet, IP. Throws where a length or an inner checksum is wrong. */
export function checkTunnelFrame(frame: Uint8Array): 'tcp' | 'udp' | 'other' {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  assert.equal(view.getUint16(12), 0x0800);
  const udp = 14 + ((frame[14] ?? 0) & 0x0f) * 4;
  assert.equal(view.getUint16(16), frame.length - 14, 'outer IP length');
  assert.equal(view.getUint16(udp + 2), 8472);
  assert.equal(view.getUint16(udp + 4), frame.length - udp, 'outer UDP length');
  assert.equal(view.getUint32(udp + 8), 0x08000000);
  const inner = udp + 8 + 8 + 14;
  const packet = frame.subarray(inner);
  const isV4 = view.getUint16(inner - 2) === 0x0800;
  const transport = isV4 ? ((packet[0] ?? 0) & 0x0f) * 4 : 40;
  const protocol = (isV4 ? packet[9] : packet[6]) ?? 0;
  const length = isV4 ? view.getUint16(inner + 2) : 40 + view.getUint16(inner + 4);
  assert.equal(length, packet.length, 'inner length');
  if (isV4) assert.equal(sum(packet.subarray(0, transport)), 0xffff, 'inner IPv4 header checksum');
  if (protocol !== 6 && protocol !== 17) return 'other';
  const addresses = isV4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const pseudo = sum(addresses, protocol + length - transport);
  assert.equal(sum(packet.subarray(transport), pseudo), 0xffff, 'inner transport checksum');
  return protocol === 6 ? 'tcp' : 'udp';
}
