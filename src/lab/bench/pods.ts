/** A pod on each node, as in Kubernetes: a namespace behind the bridge cni0, which holds the subnet's first address. */
import type { Prefix } from '../../net/prefix.js';
import { joinByVeth, Namespace } from '../namespace.js';
import type { CleanUp } from './clean-up.js';
import type { Overlay, OverlayNode } from './systems.js';
import type { Bed, BedNode } from './underlay.js';

/** Where traffic starts and ends. */
export interface End {
  readonly namespace: Namespace;
  readonly address: string;
}

/** The nodes themselves. */
export function nodeEnds(bed: Bed, overlay: Overlay): [End, End] {
  const end = (i: 0 | 1): End => ({
    namespace: bed.nodes[i].namespace,
    address: overlay.nodes[i].address,
  });
  return [end(0), end(1)];
}

export async function addPods(bed: Bed, overlay: Overlay, cleanUp: CleanUp): Promise<[End, End]> {
  return [
    await addPod(bed.nodes[0], overlay.nodes[0], overlay.mtuBytes, cleanUp),
    await addPod(bed.nodes[1], overlay.nodes[1], overlay.mtuBytes, cleanUp),
  ];
}

async function addPod(
  { namespace: node }: BedNode,
  { subnet }: OverlayNode,
  mtuBytes: number,
  cleanUp: CleanUp,
): Promise<End> {
  const pod = await Namespace.create(`${node.label} pod`);
  cleanUp.add(() => pod.close());
  const [gateway, address] = [host(subnet, 1), host(subnet, 2)];
  await node.ip('link', 'add', 'cni0', 'mtu', String(mtuBytes), 'type', 'bridge');
  await node.ip('address', 'add', `${gateway}/${subnet.length}`, 'dev', 'cni0');
  await joinByVeth(
    { namespace: node, device: 'veth0' },
    { namespace: pod, device: 'eth0', addresses: [`${address}/${subnet.length}`] },
    mtuBytes,
  );
  await node.ip('link', 'set', 'veth0', 'master', 'cni0');
  await node.ip('link', 'set', 'cni0', 'up');
  await pod.ip('route', 'add', 'default', 'via', gateway);
  // The FORWARD chain of a fresh namespace is empty: nothing else has to be allowed.
  await node.exec('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
  return { namespace: pod, address };
}

function host(subnet: Prefix, number: number): string {
  const bytes = Uint8Array.from(subnet.address.bytes());
  bytes[bytes.length - 1] = number;
  return bytes.join('.');
}
