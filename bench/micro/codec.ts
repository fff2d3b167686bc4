/** The codecs in TypeScript: the executable specification, and what the control plane reads and writes. */
import { decodeLease, encodeLeaseValue, leaseKey, parseLeaseKey } from '../../src/lease/codec.js';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';
import { internetChecksum } from '../../src/wire/checksum.js';
import { decodeFlannelUdp, encodeFlannelUdp } from '../../src/wire/flannel-udp.js';
import { parseInner } from '../../src/wire/ip.js';
import { decodeVxlan, encodeVxlan } from '../../src/wire/vxlan.js';
import { ipPacket } from '../../test/support/packets.js';
import { measure, type Speed } from './suite.js';

export function codecSpeeds(): Speed[] {
  const packet = ipPacket({ source: '10.244.1.2', destination: '10.244.2.2', payload: new Uint8Array(1430) });
  const [source, destination] = [
    MacAddress.parse('02:00:00:00:00:01'),
    MacAddress.parse('02:00:00:00:00:02'),
  ];
  const frame = encodeVxlan({ vni: 1, destination, source, family: 4, packet });
  const subnets = { v4: Prefix.parse('10.244.1.0/24') };
  const key = leaseKey(subnets);
  const value = encodeLeaseValue({
    ...{ publicIp: IpAddress.parse('192.0.2.1'), publicIpv6: null, backendType: 'vxlan' },
    backendData: { VNI: 1, VtepMAC: `${source}` },
  });
  return [
    measure('parse an IPv4 packet', () => parseInner(packet)),
    measure('encode flannel udp, 1450 B', () => encodeFlannelUdp(packet)),
    measure('decode flannel udp, 1450 B', () => decodeFlannelUdp(packet)),
    measure('encode vxlan, 1450 B', () => encodeVxlan({ vni: 1, destination, source, family: 4, packet })),
    measure('decode vxlan, 1450 B', () => decodeVxlan(frame, { vni: 1, mac: destination })),
    measure('checksum, 1450 B', () => internetChecksum(packet)),
    measure('lease key, parsed', () => parseLeaseKey(key)),
    measure('lease record, decoded', () => decodeLease({ key, value })),
  ];
}
