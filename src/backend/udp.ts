/**
 * flannel's `udp` backend: the UDP payload is the bare IPv4 packet. The lease carries the public IP and nothing else,
 * and leases are peers whatever their BackendType, for nodes of one cluster share one configuration.
 */
import { type BackendConfig, integerField } from '../config/net-conf.js';
import type { IpFamily } from '../net/ip.js';
import type { PeerDecision, TunnelBackend } from './backend.js';
import { innerMtu } from './mtu.js';

/** flannel's default. */
const DEFAULT_PORT = 8285;
/** Outer IP header without options and UDP header, bytes. */
const OVERHEAD_BYTES = { 4: 20 + 8, 6: 40 + 8 } as const;

/** Throws ERR_TWILL_CONFIG. */
export function udpBackend({ raw }: BackendConfig): TunnelBackend {
  const port = integerField(raw, 'Port', 0, 65_535) || DEFAULT_PORT;
  return {
    type: 'udp',
    carrier: 'tunnel',
    encap: 'udp',
    port,
    deviceName: 'flannel%d',
    ...{ directRouting: false, gbp: false, learning: false },
    overheadBytes: (underlay: IpFamily) => OVERHEAD_BYTES[underlay],
    deviceMtu: (externalMtu, underlay) => innerMtu(externalMtu, OVERHEAD_BYTES[underlay], 4),
    attributes: ({ publicIp }) => ({ publicIp, publicIpv6: null, backendType: '' }),
    decide({ subnets: { v4 }, attributes: { publicIp } }): PeerDecision {
      if (!v4) return { refused: 'it has no IPv4 subnet, and udp carries IPv4 alone' };
      return { peers: [{ subnet: v4, endpoint: { address: publicIp, port } }] };
    },
  };
}
