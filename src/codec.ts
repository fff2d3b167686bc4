/**
 * `twill/codec`: the formats of a tunnel, from Ethernet to VXLAN, for programs of any kind. Plain TypeScript over Uint8Array,
 * without anything of Node: it runs in a browser as it does here.
 *
 * Decoders take bytes and return a view that reads them where they are, or `{ drop: reason }`; whatever the bytes, they read
 * nothing outside and throw nothing. Encoders write a header into bytes of yours and return how many it takes; what a program
 * gets wrong throws TypeError or RangeError with the code ERR_TWILL_ARGUMENT, before anything is written.
 *
 *    const packet = new Uint8Array(20 + 8 + 5);
 *    packet.set([104, 101, 108, 108, 111], 28);
 *    const source = IpAddress.parse('10.244.1.7'), destination = IpAddress.parse('10.244.2.7');
 *    encodeUdp({ sourcePort: 9, destinationPort: 7, payloadBytes: 5, between: { source, destination } }, packet, 20);
 *    encodeIpv4({ source, destination, protocol: PROTOCOL.udp, payloadBytes: 13 }, packet);
 *
 *    const ip = decodeIp(packet);
 *    if ('drop' in ip) throw new Error(ip.drop);
 *    const udp = decodeUdp(ip.payload);
 */
export { type ArgumentError, TwillError, type TwillErrorCode } from './errors.js';
export { IpAddress, type IpFamily } from './net/ip.js';
export { MacAddress } from './net/mac.js';
export {
  type IpAddressLike,
  type IpEnds,
  type MacAddressLike,
  pseudoHeaderSum,
  transportChecksum,
} from './wire/addresses.js';
export { checksumAfterChange, internetChecksum } from './wire/checksum.js';
export type { Drop } from './wire/drop.js';
export {
  decodeEthernet,
  ETHERNET_HEADER_BYTES,
  type EthernetFields,
  type EthernetFrame,
  encodeEthernet,
} from './wire/ethernet.js';
export { decodeFlannelUdp, encodeFlannelUdp } from './wire/flannel-udp.js';
export {
  decodeIcmp,
  encodeIcmpEcho,
  ICMP_HEADER_BYTES,
  type IcmpEchoFields,
  type IcmpKind,
  type IcmpMessage,
} from './wire/icmp.js';
export {
  encodeIcmpError,
  ICMP_ERROR_MOST_BYTES,
  type IcmpErrorFields,
  type IcmpErrorKind,
  mayAnswerWithIcmp,
} from './wire/icmp-error.js';
export { decodeIp, decrementTtl, type IpPacket, setEcn } from './wire/ip.js';
export {
  type DecodeIpOptions,
  decodeIpv4,
  encodeIpv4,
  IPV4_HEADER_BYTES,
  type Ipv4Fields,
  type Ipv4Packet,
} from './wire/ipv4.js';
export { decodeIpv6, encodeIpv6, IPV6_HEADER_BYTES, type Ipv6Fields, type Ipv6Packet } from './wire/ipv6.js';
export { ETHER_TYPE, PROTOCOL } from './wire/protocol.js';
export { decodeUdp, encodeUdp, UDP_HEADER_BYTES, type UdpDatagram, type UdpFields } from './wire/udp.js';
export {
  decodeVxlan,
  encodeVxlan,
  VXLAN_HEADER_BYTES,
  type VxlanFields,
  type VxlanPacket,
} from './wire/vxlan.js';
