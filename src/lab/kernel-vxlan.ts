/** A node that runs the kernel's own vxlan device, set up as flannel sets it up: no learning, permanent entries. */
import type { IpAddress } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import type { Prefix } from '../net/prefix.js';
import type { Namespace } from './namespace.js';

export interface KernelVxlan {
  readonly subnet: Prefix;
  /** Underlay address, on interface `lower`. */
  readonly local: IpAddress;
  readonly mac: MacAddress;
  readonly lower: string;
  readonly vni: number;
  readonly port: number;
  readonly mtuBytes: number;
}

export interface KernelPeer {
  readonly subnet: Prefix;
  readonly endpoint: IpAddress;
  readonly mac: MacAddress;
}

const bits = { 4: 32, 6: 128 } as const;

/** Makes `flannel.<VNI>` with the subnet's base address; its name. */
export async function addKernelVxlan(namespace: Namespace, own: KernelVxlan): Promise<string> {
  const { subnet, local, mac, lower, vni, port, mtuBytes } = own;
  const device = `flannel.${vni}`;
  await namespace.ip(
    ...['link', 'add', device, 'address', `${mac}`, 'mtu', `${mtuBytes}`, 'type', 'vxlan', 'id', `${vni}`],
    ...['local', `${local}`, 'dev', lower, 'dstport', `${port}`, 'nolearning'],
  );
  const extra = subnet.family === 6 ? ['nodad'] : [];
  await namespace.ip('address', 'add', `${subnet.address}/${bits[subnet.family]}`, 'dev', device, ...extra);
  await namespace.ip('link', 'set', device, 'up');
  return device;
}

/** The three entries that flannel makes for a peer: neighbour, FDB, route. */
export async function addKernelPeer(namespace: Namespace, device: string, peer: KernelPeer): Promise<void> {
  const base = `${peer.subnet.address}`;
  await namespace.ip(
    'neighbour',
    'replace',
    base,
    'lladdr',
    `${peer.mac}`,
    'dev',
    device,
    'nud',
    'permanent',
  );
  await namespace.exec('bridge', ['fdb', 'replace', `${peer.mac}`, 'dev', device, 'dst', `${peer.endpoint}`]);
  await namespace.ip('route', 'replace', `${peer.subnet}`, 'via', base, 'dev', device, 'onlink');
}
