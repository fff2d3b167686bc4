/**
 * The network below the overlays: two nodes, joined in one of two ways.
 *
 *   veth   node eth0 ======== eth0 node
 *          A veth pair hands super-packets over whole: nothing is ever cut. It flatters whoever sends the largest.
 *   wire   node eth0 ==== w0 | w1 ==== eth0 node
 *          A namespace in the middle passes on what it gets (tc redirect), and the nodes' devices may not segment: every
 *          packet really crosses, no larger than the MTU, as between network cards without tunnel offloads. The receiver
 *          aggregates again (GRO).
 */
import { joinByVeth, Namespace } from '../namespace.js';
import type { CleanUp } from './clean-up.js';

export type UnderlayKind = 'veth' | 'wire';
export const underlayKinds: readonly UnderlayKind[] = ['veth', 'wire'];
export const UNDERLAY_DEVICE = 'eth0';
export const UNDERLAY_MTU_BYTES = 1500;

export interface BedNode {
  readonly namespace: Namespace;
  /** Underlay address. */
  readonly underlay: string;
}

export interface Bed {
  readonly kind: UnderlayKind;
  readonly nodes: readonly [BedNode, BedNode];
}

const underlays = ['192.0.2.1', '192.0.2.2'] as const;

export async function makeBed(kind: UnderlayKind, cleanUp: CleanUp): Promise<Bed> {
  const make = async (label: string): Promise<Namespace> => {
    const namespace = await Namespace.create(label);
    cleanUp.add(() => namespace.close());
    return namespace;
  };
  const [left, right] = [await make('left'), await make('right')];
  const end = (namespace: Namespace, i: 0 | 1) => ({
    ...{ namespace, device: UNDERLAY_DEVICE, addresses: [`${underlays[i]}/24`] },
  });
  if (kind === 'veth') {
    await joinByVeth(end(left, 0), end(right, 1), UNDERLAY_MTU_BYTES);
  } else {
    const middle = await make('wire');
    await joinByVeth(end(left, 0), { namespace: middle, device: 'w0' }, UNDERLAY_MTU_BYTES);
    await joinByVeth(end(right, 1), { namespace: middle, device: 'w1' }, UNDERLAY_MTU_BYTES);
    for (const node of [left, right]) await forbidSegmentation(node);
    // A veth only aggregates (GRO) what comes from a peer that may not use TSO: the nodes' peers are these.
    for (const device of ['w0', 'w1'])
      await middle.exec('ethtool', ['-K', device, 'tso', 'off', 'gro', 'off']);
    await passOn(middle, 'w0', 'w1');
    await passOn(middle, 'w1', 'w0');
  }
  return {
    kind,
    nodes: [
      { namespace: left, underlay: underlays[0] },
      { namespace: right, underlay: underlays[1] },
    ],
  };
}

async function forbidSegmentation(node: Namespace): Promise<void> {
  const set = (...features: string[]) => node.exec('ethtool', ['-K', UNDERLAY_DEVICE, ...features]);
  await set('tso', 'off', 'gro', 'on');
  // Without checksum offload every checksum is finished before a packet leaves, the inner ones too. A veth pair else carries
  // the sender's notes across, which no wire does: "unfinished" and "encapsulated", and GRO refuses the latter.
  const features = ['tx-checksum-ip-generic', 'tx-udp-segmentation'];
  features.push('tx-udp_tnl-segmentation', 'tx-udp_tnl-csum-segmentation');
  // Not every kernel has each of these; one that is not there is off.
  for (const feature of features) await set(feature, 'off').catch(() => {});
}

async function passOn(middle: Namespace, from: string, to: string): Promise<void> {
  await middle.exec('tc', ['qdisc', 'add', 'dev', from, 'clsact']);
  const redirect = ['action', 'mirred', 'egress', 'redirect', 'dev', to];
  const add = (...match: string[]) =>
    middle.exec('tc', ['filter', 'add', 'dev', from, 'ingress', 'protocol', 'all', ...match, ...redirect]);
  // Not every kernel has matchall.
  await add('matchall').catch(() => add('u32', 'match', 'u32', '0', '0'));
}

/** What a node received from the underlay since it was made, as its device counted it. */
export interface Crossed {
  readonly packets: number;
  readonly bytes: number;
}

export async function crossed({ namespace }: BedNode): Promise<Crossed> {
  const [link] = JSON.parse(await namespace.ip('-j', '-s', 'link', 'show', UNDERLAY_DEVICE)) as {
    stats64: { rx: Crossed };
  }[];
  return link?.stats64.rx ?? { packets: 0, bytes: 0 };
}
