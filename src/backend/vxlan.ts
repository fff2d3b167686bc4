/**
 * VXLAN (RFC 7348) as flannel uses it: one VNI, no learning, no ARP; each lease carries the MAC of its VTEP. IPv4 subnets
 * are reached over the peer's IPv4 address, IPv6 subnets over its IPv6 address, each with a MAC of its own.
 */
import { type BackendConfig, booleanField, integerField } from '../config/net-conf.js';
import { TwillError } from '../errors.js';
import type { IpAddress, IpFamily } from '../net/ip.js';
import { field, goJson, type Json } from '../net/json.js';
import { MacAddress } from '../net/mac.js';
import type { Prefix } from '../net/prefix.js';
import type { Peer, PeerDecision, TunnelBackend } from './backend.js';
import { innerMtu } from './mtu.js';

/** flannel's default VNI; the Linux kernel's default port, which is not the 4789 that IANA assigned later. */
const DEFAULT_VNI = 1;
const DEFAULT_PORT = 8472;
/** Inner Ethernet, outer IP, UDP and VXLAN headers, bytes. */
const OVERHEAD_BYTES = { 4: 14 + 20 + 8 + 8, 6: 14 + 40 + 8 + 8 } as const;

/** Throws ERR_TWILL_CONFIG. */
export function vxlanBackend({ raw }: BackendConfig): TunnelBackend {
  const vni = integerField(raw, 'VNI', 0, 0xffffff) ?? DEFAULT_VNI;
  const port = integerField(raw, 'Port', 0, 65_535) || DEFAULT_PORT;
  const outerMtu = integerField(raw, 'MTU', 0, 65_535) || undefined;
  // MacPrefix and Name are for Windows.
  const data = (mac: MacAddress): Json => ({ VNI: vni, VtepMAC: mac.toString() });
  return {
    type: 'vxlan',
    carrier: 'tunnel',
    encap: 'vxlan',
    port,
    vni,
    deviceName: `flannel.${vni}`,
    directRouting: booleanField(raw, 'DirectRouting', false),
    gbp: booleanField(raw, 'GBP', false),
    learning: booleanField(raw, 'Learning', false),
    overheadBytes: (underlay: IpFamily) => OVERHEAD_BYTES[underlay],
    // More than the interface carries is no use: the kernel's own vxlan device is cut to it too.
    deviceMtu: (externalMtu, underlay) =>
      innerMtu(Math.min(outerMtu ?? externalMtu, externalMtu), OVERHEAD_BYTES[underlay], underlay),
    attributes({ publicIp, publicIpv6, mac, macV6 }) {
      if (!mac) throw new TwillError('ERR_TWILL_INTERNAL', 'a vxlan node without a VTEP MAC');
      return {
        publicIp,
        publicIpv6,
        backendType: 'vxlan',
        ...(!publicIp.isUnspecified && { backendData: data(mac) }),
        ...(publicIpv6 && { backendV6Data: data(macV6 ?? mac) }),
      };
    },
    decide({ subnets, attributes }): PeerDecision {
      const { backendType, publicIp, publicIpv6, backendData, backendV6Data } = attributes;
      if (backendType !== 'vxlan') {
        return { refused: `its BackendType is ${JSON.stringify(backendType)}: this cluster runs vxlan` };
      }
      const peers: Peer[] = [];
      const rows: [Prefix | undefined, IpAddress | null, Json | undefined, string][] = [
        [subnets.v4, publicIp, backendData, 'BackendData'],
        [subnets.v6, publicIpv6, backendV6Data, 'BackendV6Data'],
      ];
      for (const [subnet, address, backend, name] of rows) {
        if (!subnet || !address) continue;
        const mac = vtepMac(backend, vni);
        if (typeof mac === 'string') return { refused: `its ${name} ${mac}` };
        peers.push({ subnet, endpoint: { address, port }, mac });
      }
      return { peers };
    },
  };
}

/** The MAC of a lease's backend data, or what is wrong with that. Nodes of flannel up to v0.13 write no VNI. */
function vtepMac(data: Json | undefined, ourVni: number): MacAddress | string {
  if (data === undefined || data === null || typeof data !== 'object' || Array.isArray(data)) {
    return `is ${data === undefined ? 'missing' : goJson(data).slice(0, 80)}: it must name the VtepMAC`;
  }
  const vni = field(data, 'VNI') ?? ourVni;
  if (vni !== ourVni) return `has VNI ${goJson(vni).slice(0, 80)}: ours is ${ourVni}`;
  const text = field(data, 'VtepMAC');
  const mac = typeof text === 'string' ? MacAddress.tryParse(text) : null;
  const shown = text === undefined ? 'no VtepMAC' : `VtepMAC ${goJson(text).slice(0, 80)}`;
  if (!mac) return `has ${shown}: it must be written like aa:bb:cc:dd:ee:ff`;
  return mac.isZero || mac.isMulticast ? `has ${shown}: no device can have that address` : mac;
}
