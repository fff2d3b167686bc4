/** The codecs in TypeScript: the executable specification, and what the control plane reads and writes. */
import { decodeLease, encodeLeaseValue, leaseKey, parseLeaseKey } from '../../src/lease/codec.js';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';
import { checksumAfterChange, internetChecksum } from '../../src/wire/checksum.js';
import { decodeEthernet, encodeEthernet } from '../../src/wire/ethernet.js';
import { decodeFlannelUdp, encodeFlannelUdp } from '../../src/wire/flannel-udp.js';
import { encodeIcmpEcho } from '../../src/wire/icmp.js';
import { decodeIp } from '../../src/wire/ip.js';
import { encodeIpv4 } from '../../src/wire/ipv4.js';
import { encodeIpv6 } from '../../src/wire/ipv6.js';
import { ETHER_TYPE, PROTOCOL } from '../../src/wire/protocol.js';
import { decodeUdp, encodeUdp } from '../../src/wire/udp.js';
import { vtepPayload } from '../../src/wire/vtep.js';
import { decodeVxlan, encodeVxlan } from '../../src/wire/vxlan.js';
import { ipPacket } from '../../test/support/packets.js';
import { measure, type Speed } from './suite.js';

export function codecSpeeds(): Speed[] {
  const packet = ipPacket({ source: '10.244.1.2', destination: '10.244.2.2', payload: new Uint8Array(1430) });
  const [source, destination] = [
    MacAddress.parse('02:00:00:00:00:01'),
    MacAddress.parse('02:00:00:00:00:02'),
  ];
  const payload = vtepPayload({ vni: 1, destination, source, family: 4, packet });
  const into = new Uint8Array(1500);
  const macs = { destination: destination.bytes(), source: source.bytes() };
  const packetV6 = ipPacket({ source: 'fd00::1', destination: 'fd00::2', payload: new Uint8Array(1410) });
  const between = { source: packet.subarray(12, 16), destination: packet.subarray(16, 20) };
  const betweenV6 = { source: packetV6.subarray(8, 24), destination: packetV6.subarray(24, 40) };
  const header = { protocol: PROTOCOL.udp, payloadBytes: 1430 };
  const ports = { sourcePort: 1000, destinationPort: 2000, payloadBytes: 1422 };
  const echo = { kind: 'echoReply', id: 1, sequence: 1, payloadBytes: 1422 } as const;
  const datagram = new Uint8Array(1430);
  encodeUdp(ports, datagram);
  const subnets = { v4: Prefix.parse('10.244.1.0/24') };
  const key = leaseKey(subnets);
  const value = encodeLeaseValue({
    ...{ publicIp: IpAddress.parse('192.0.2.1'), publicIpv6: null, backendType: 'vxlan' },
    backendData: { VNI: 1, VtepMAC: `${source}` },
  });
  return [
    measure('decode an IPv4 packet', () => decodeIp(packet)),
    measure('decode an IPv6 packet', () => decodeIp(packetV6)),
    measure('decode its UDP datagram', () => decodeUdp(datagram)),
    measure('encode an IPv4 header', () => encodeIpv4({ ...between, ...header }, into)),
    measure('encode an IPv6 header', () => encodeIpv6({ ...betweenV6, ...header }, into)),
    measure('encode a UDP header', () => encodeUdp(ports, into)),
    measure('encode a UDP header, checksum over 1422 B', () => encodeUdp({ ...ports, between }, into)),
    measure('encode an echo, checksum over 1422 B', () => encodeIcmpEcho({ ...echo, between }, into)),
    measure('a checksum after a change', (i) => checksumAfterChange(i & 0xffff, 0x4011, 0x3f11)),
    measure('encode flannel udp, 1450 B', () => encodeFlannelUdp(packet, into)),
    measure('decode flannel udp, 1450 B', () => decodeFlannelUdp(packet)),
    measure('encode vxlan', () =>
      encodeEthernet({ ...macs, etherType: ETHER_TYPE.ipv4 }, into, encodeVxlan({ vni: 1 }, into)),
    ),
    measure('decode vxlan', () => {
      const vxlan = decodeVxlan(payload);
      return 'drop' in vxlan ? vxlan : decodeEthernet(vxlan.frame);
    }),
    measure('checksum, 1450 B', () => internetChecksum(packet)),
    measure('lease key, parsed', () => parseLeaseKey(key)),
    measure('lease record, decoded', () => decodeLease({ key, value })),
  ];
}
