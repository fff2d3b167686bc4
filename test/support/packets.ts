/** Packets to test with. */
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { internetChecksum } from '../../src/wire/checksum.js';
import { encodeIcmpError, ICMP_ERROR_MOST_BYTES, type IcmpErrorFields } from '../../src/wire/icmp-error.js';
import { decodeIp, type IpPacket } from '../../src/wire/ip.js';

/** `45000020 0001...` as bytes. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

export interface PacketShape {
  readonly source: string;
  readonly destination: string;
  readonly payload?: Uint8Array;
  readonly protocol?: number;
  readonly ttl?: number;
  readonly tos?: number;
}

/** An IP packet of the family of its addresses; UDP from 1000 to 2000 unless told otherwise. */
export function ipPacket(shape: PacketShape): Uint8Array {
  const { protocol = 17, ttl = 64, tos = 0 } = shape;
  const payload = shape.payload ?? hex('03e807d0 000c0000 61626364');
  const source = IpAddress.parse(shape.source);
  const destination = IpAddress.parse(shape.destination);
  const isV4 = source.family === 4;
  const packet = new Uint8Array((isV4 ? 20 : 40) + payload.length);
  const view = new DataView(packet.buffer);
  if (isV4) {
    packet.set([0x45, tos]);
    view.setUint16(2, packet.length);
    view.setUint16(6, 0x4000);
    packet.set([ttl, protocol], 8);
    packet.set(source.bytes(), 12);
    packet.set(destination.bytes(), 16);
    view.setUint16(10, internetChecksum(packet.subarray(0, 20)));
  } else {
    view.setUint16(0, 0x6000 | (tos << 4));
    view.setUint16(4, payload.length);
    packet.set([protocol, ttl], 6);
    packet.set(source.bytes(), 8);
    packet.set(destination.bytes(), 24);
  }
  packet.set(payload, isV4 ? 20 : 40);
  return packet;
}

/** A packet that is known to be one. */
export function parsed(bytes: Uint8Array): IpPacket {
  const inner = decodeIp(bytes);
  if ('drop' in inner) throw new Error(`${inner.drop}: ${Buffer.from(bytes).toString('hex')}`);
  return inner;
}

/** An ICMP error in bytes of its own. */
export function icmpError(fields: IcmpErrorFields): Uint8Array {
  const into = new Uint8Array(ICMP_ERROR_MOST_BYTES);
  return into.slice(0, encodeIcmpError(fields, into));
}

/** A whole UDP datagram in an IP packet, checksum included. */
export function udpPacket(
  shape: Omit<PacketShape, 'payload' | 'protocol'> & {
    readonly port: number;
    readonly text: string;
  },
): Uint8Array {
  const data = Buffer.from(shape.text);
  const udp = Buffer.alloc(8 + data.length);
  udp.writeUInt16BE(1000, 0);
  udp.writeUInt16BE(shape.port, 2);
  udp.writeUInt16BE(udp.length, 4);
  udp.set(data, 8);
  const pseudo = Buffer.concat([
    ...[shape.source, shape.destination].map((text) => IpAddress.parse(text).bytes()),
    Buffer.from([0, 17, udp.length >> 8, udp.length & 0xff]),
  ]);
  udp.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, udp])) || 0xffff, 6);
  return ipPacket({ ...shape, payload: udp });
}

export interface VxlanShape {
  readonly inner: Uint8Array;
  readonly destinationMac: string;
  readonly sourceMac: string;
  readonly vni?: number;
  readonly etherType?: number;
}

/** The payload of a VXLAN datagram. */
export function vxlanPayload({
  inner,
  destinationMac,
  sourceMac,
  vni = 1,
  etherType,
}: VxlanShape): Uint8Array {
  const header = Buffer.alloc(8 + 14);
  header[0] = 0x08;
  header.writeUIntBE(vni, 4, 3);
  header.set(MacAddress.parse(destinationMac).bytes(), 8);
  header.set(MacAddress.parse(sourceMac).bytes(), 14);
  header.writeUInt16BE(etherType ?? ((inner[0] ?? 0) >> 4 === 6 ? 0x86dd : 0x0800), 20);
  return Buffer.concat([header, inner]);
}
