/** flannel's `alloc`: a subnet for this node, and nothing is forwarded. The lease carries the public IP alone. */
import type { BackendConfig } from '../config/net-conf.js';
import type { LeaseBackend } from './backend.js';

export function allocBackend(_: BackendConfig): LeaseBackend {
  return {
    type: 'alloc',
    carrier: 'none',
    deviceMtu: (externalMtu) => externalMtu,
    attributes: ({ publicIp, publicIpv6 }) => ({ publicIp, publicIpv6, backendType: '' }),
    decide: () => ({ peers: [] }),
  };
}
