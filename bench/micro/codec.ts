/** The codecs in TypeScript: the executable specification, and what the control plane reads and writes. */
import { decodeLease, encodeLeaseValue, leaseKey, parseLeaseKey } from '../../src/lease/codec.js';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';
import { internetChecksum } from '../../src/wire/checksum.js';
import { decodeEthernet, encodeEthernet } from '../../src/wire/ethernet.js';
import { decodeFlannelUdp, encodeFlannelUdp } from '../../src/wire/flannel-udp.js';
import { decodeIp } from '../../src/wire/ip.js';
import { ETHER_TYPE } from '../../src/wire/protocol.js';
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
  const subnets = { v4: Prefix.parse('10.244.1.0/24') };
  const key = leaseKey(subnets);
  const value = encodeLeaseValue({
    ...{ publicIp: IpAddress.parse('192.0.2.1'), publicIpv6: null, backendType: 'vxlan' },
    backendData: { VNI: 1, VtepMAC: `${source}` },
  });
  return [
    measure('decode an IPv4 packet', () => decodeIp(packet)),
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
