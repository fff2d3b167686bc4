/** What is measured: each system makes an overlay on a bed of its own. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OFFLOADS } from '../../config/offload.js';
import { TwillError } from '../../errors.js';
import { IpAddress } from '../../net/ip.js';
import { MacAddress } from '../../net/mac.js';
import { Prefix } from '../../net/prefix.js';
import { AgentProcess } from '../agent-process.js';
import { FlannelLoop } from '../flannel-loop.js';
import { addKernelPeer, addKernelVxlan, type KernelPeer } from '../kernel-vxlan.js';
import type { CleanUp } from './clean-up.js';
import { type Bed, UNDERLAY_DEVICE, UNDERLAY_MTU_BYTES } from './underlay.js';

export interface OverlayNode {
  /** Where the node itself is reached through the overlay. */
  readonly address: string;
  readonly subnet: Prefix;
}

export interface Overlay {
  readonly nodes: readonly [OverlayNode, OverlayNode];
  /** Largest packet it carries. */
  readonly mtuBytes: number;
  /** Processes that carry packets and nothing else. */
  readonly pids: readonly number[];
  /** Those of them that are ours. */
  readonly agents?: readonly AgentProcess[];
}

export interface Site {
  readonly bed: Bed;
  /** Empty, for this system alone. */
  readonly directory: string;
  readonly cleanUp: CleanUp;
  readonly signal: AbortSignal;
}

export interface System {
  readonly name: string;
  readonly title: string;
  /** Each way has its own name: reverse would measure the other. */
  readonly isOneWay?: boolean;
  start(site: Site): Promise<Overlay>;
}

export const NETWORK = '10.244.0.0/16';
const vxlan = { vni: 1, port: 8472, mtuBytes: UNDERLAY_MTU_BYTES - 50 };
const udp = { port: 8285, mtuBytes: UNDERLAY_MTU_BYTES - 28 };

/** In the order in which tables show them. */
export const systems: readonly System[] = [
  { name: 'raw', title: 'no overlay', start: startRaw },
  { name: 'kernel', title: 'kernel vxlan', start: startKernel },
  { name: 'twill-vxlan', title: 'Twill vxlan', start: (site) => startTwill(site, 'vxlan') },
  { name: 'twill-udp', title: 'Twill udp', start: (site) => startTwill(site, 'udp') },
  {
    name: 'twill-vxlan-plain',
    title: 'Twill vxlan, no offloads',
    start: (site) => startTwill(site, 'vxlan', ['--offload=off']),
  },
  {
    name: 'twill-udp-plain',
    title: 'Twill udp, no offloads',
    start: (site) => startTwill(site, 'udp', ['--offload=off']),
  },
  {
    name: 'twill-to-kernel',
    title: 'Twill to kernel vxlan',
    isOneWay: true,
    start: (site) => startMixed(site, 0),
  },
  {
    name: 'kernel-to-twill',
    title: 'kernel vxlan to Twill',
    isOneWay: true,
    start: (site) => startMixed(site, 1),
  },
  { name: 'loop', title: "flannel's loop", start: startLoop },
];

/** With all offloads but one: what each brings. */
export const withoutOffload: readonly System[] = OFFLOADS.map((offload) => {
  const others = OFFLOADS.filter((name) => name !== offload);
  return {
    name: `twill-vxlan-no-${offload}`,
    title: `Twill without ${offload}`,
    start: (site) => startTwill(site, 'vxlan', [`--offload=${others.join(',')}`]),
  };
});

export function systemNamed(name: string): System {
  const found = systems.find((system) => system.name === name);
  if (!found) throw new RangeError(`no system is called ${name}`);
  return found;
}

/** Of a node that takes no lease. */
export function fixedSubnet(i: 0 | 1): Prefix {
  return Prefix.parse(`10.244.${200 + i}.0/24`);
}

export function overlayNode(subnet: Prefix): OverlayNode {
  return { subnet, address: `${subnet.address}` };
}

async function startRaw({ bed }: Site): Promise<Overlay> {
  const nodes = [0, 1].map((i) => ({
    subnet: fixedSubnet(i as 0 | 1),
    address: bed.nodes[i as 0 | 1].underlay,
  }));
  // For pods: the nodes are each other's routers.
  for (const i of [0, 1] as const) {
    const other = bed.nodes[1 - i]?.underlay ?? '';
    await bed.nodes[i].namespace.ip('route', 'add', `${fixedSubnet((1 - i) as 0 | 1)}`, 'via', other);
  }
  return { nodes: nodes as [OverlayNode, OverlayNode], mtuBytes: UNDERLAY_MTU_BYTES, pids: [] };
}

function kernelPeer(bed: Bed, i: 0 | 1): KernelPeer {
  return {
    subnet: fixedSubnet(i),
    endpoint: IpAddress.parse(bed.nodes[i].underlay),
    mac: MacAddress.parse(`02:00:00:00:00:0${i + 1}`),
  };
}

/** The device's name. */
function addKernelNode(bed: Bed, i: 0 | 1): Promise<string> {
  const { subnet, endpoint: local, mac } = kernelPeer(bed, i);
  return addKernelVxlan(bed.nodes[i].namespace, { ...vxlan, lower: UNDERLAY_DEVICE, subnet, local, mac });
}

async function startKernel({ bed }: Site): Promise<Overlay> {
  for (const i of [0, 1] as const) {
    const device = await addKernelNode(bed, i);
    await addKernelPeer(bed.nodes[i].namespace, device, kernelPeer(bed, (1 - i) as 0 | 1));
  }
  const nodes = [overlayNode(fixedSubnet(0)), overlayNode(fixedSubnet(1))] as const;
  return { nodes, mtuBytes: vxlan.mtuBytes, pids: [] };
}

async function makeStore(directory: string, type: 'vxlan' | 'udp'): Promise<string> {
  const store = join(directory, 'store');
  await mkdir(join(store, 'subnets'), { recursive: true });
  await writeFile(join(store, 'config'), JSON.stringify({ Network: NETWORK, Backend: { Type: type } }));
  return store;
}

function startAgent(site: Site, store: string, i: 0 | 1, flags: readonly string[]): AgentProcess {
  const { bed, directory, cleanUp } = site;
  const agent = AgentProcess.start(
    bed.nodes[i].namespace,
    { store, directory, iface: UNDERLAY_DEVICE },
    flags,
  );
  cleanUp.add(() => agent.stop());
  return agent;
}

async function startTwill(
  site: Site,
  type: 'vxlan' | 'udp',
  flags: readonly string[] = [],
): Promise<Overlay> {
  const store = await makeStore(site.directory, type);
  const agents = [startAgent(site, store, 0, flags), startAgent(site, store, 1, flags)] as const;
  const [left, right] = await Promise.all([agents[0].ready(1, site.signal), agents[1].ready(1, site.signal)]);
  return {
    nodes: [overlayNode(Prefix.parse(left.node.subnet)), overlayNode(Prefix.parse(right.node.subnet))],
    mtuBytes: Math.min(left.node.mtuBytes, right.node.mtuBytes),
    pids: agents.flatMap(({ pid }) => pid ?? []),
    agents,
  };
}

/** An agent on node `ours`, the kernel's vxlan device on the other; each knows the other from a lease. */
async function startMixed(site: Site, ours: 0 | 1): Promise<Overlay> {
  const { bed, signal } = site;
  const theirs = (1 - ours) as 0 | 1;
  const store = await makeStore(site.directory, 'vxlan');
  const kernel = kernelPeer(bed, theirs);
  const device = await addKernelNode(bed, theirs);
  const lease = {
    ...{ PublicIP: `${kernel.endpoint}`, PublicIPv6: null, BackendType: 'vxlan' },
    BackendData: { VNI: vxlan.vni, VtepMAC: `${kernel.mac}` },
  };
  const { address, length } = kernel.subnet;
  await writeFile(join(store, 'subnets', `${address}-${length}`), JSON.stringify(lease));
  const agent = startAgent(site, store, ours, []);
  const { node, backend } = await agent.ready(1, signal);
  const subnet = Prefix.parse(node.subnet);
  const endpoint = IpAddress.parse(node.publicIp);
  if (backend.mac === undefined) throw new TwillError('ERR_TWILL_INTERNAL', 'the agent tells no VTEP MAC');
  await addKernelPeer(bed.nodes[theirs].namespace, device, {
    subnet,
    endpoint,
    mac: MacAddress.parse(backend.mac),
  });
  const nodes: [OverlayNode, OverlayNode] = [overlayNode(subnet), overlayNode(kernel.subnet)];
  if (ours === 1) nodes.reverse();
  return {
    nodes,
    mtuBytes: vxlan.mtuBytes,
    pids: agent.pid === undefined ? [] : [agent.pid],
    agents: [agent],
  };
}

async function startLoop({ bed, cleanUp }: Site): Promise<Overlay> {
  const start = async (i: 0 | 1) => {
    const other = (1 - i) as 0 | 1;
    const loop = await FlannelLoop.start(bed.nodes[i].namespace, {
      ...{ network: NETWORK, ...udp, subnet: `${fixedSubnet(i)}`, local: bed.nodes[i].underlay },
      peers: [{ subnet: `${fixedSubnet(other)}`, endpoint: bed.nodes[other].underlay }],
    });
    cleanUp.add(() => loop.stop());
  };
  await Promise.all([start(0), start(1)]);
  // Its process is Node's with a loop of ours in it: what memory that takes says nothing of flannel.
  const nodes = [overlayNode(fixedSubnet(0)), overlayNode(fixedSubnet(1))] as const;
  return { nodes, mtuBytes: udp.mtuBytes, pids: [] };
}
