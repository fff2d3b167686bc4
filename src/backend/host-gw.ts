/**
 * flannel's `host-gw`: a route to each peer's subnet through the peer itself, which must be on a network of ours. The lease
 * carries the type and no data; leases of other types are no peers.
 */
import type { BackendConfig } from '../config/net-conf.js';
import type { Lease } from '../lease/lease.js';
import type { Peer, PeerDecision, RouteBackend } from './backend.js';

const TYPE = 'host-gw';

export function hostGwBackend(_: BackendConfig): RouteBackend {
  return {
    type: TYPE,
    carrier: 'routes',
    deviceMtu: (externalMtu) => externalMtu,
    attributes: ({ publicIp, publicIpv6 }) => ({ publicIp, publicIpv6, backendType: TYPE }),
    decide({ subnets, attributes }: Lease): PeerDecision {
      const { backendType, publicIp, publicIpv6 } = attributes;
      if (backendType !== TYPE)
        return { refused: `its BackendType is ${JSON.stringify(backendType)}: this cluster runs ${TYPE}` };
      const peers: Peer[] = [];
      if (subnets.v4) peers.push({ subnet: subnets.v4, endpoint: { address: publicIp, port: 0 } });
      if (subnets.v6 && publicIpv6)
        peers.push({ subnet: subnets.v6, endpoint: { address: publicIpv6, port: 0 } });
      return { peers };
    },
  };
}
