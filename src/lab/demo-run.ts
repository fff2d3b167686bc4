/**
 * One run of the demo: two namespaces joined by a veth pair, an overlay between them, real traffic over it.
 *
 *   vxlan, udp   an agent in each, on one directory store
 *   mixed        an agent facing the kernel's vxlan device; each knows the other from a lease
 *   kernel       the kernel's vxlan device in each: what the others are compared with
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TwillError } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import { Prefix } from '../net/prefix.js';
import { AgentProcess } from './agent-process.js';
import { addKernelPeer, addKernelVxlan, type KernelPeer } from './kernel-vxlan.js';
import { joinByVeth, Namespace } from './namespace.js';
import { ping, tcpBulk, udpFlow } from './traffic.js';

export type DemoEncap = 'vxlan' | 'udp' | 'mixed' | 'kernel';

export interface DemoFigures {
  readonly encap: DemoEncap;
  /** Of all pings and of a UDP flow at `PACED_PACKETS_PER_SECOND`, both ways. */
  readonly lossPercent: number;
  readonly rttMicros: { readonly p50: number; readonly p99: number };
  /** One stream, the mean of both ways. */
  readonly tcpGbps: number;
  /** Datagrams of 64 bytes that arrive when one sender sends as fast as it can. */
  readonly packetsPerSecond: number;
  /** `received = delivered + drops` on every agent; null where there is none. */
  readonly identity: boolean | null;
}

export interface DemoPlan {
  readonly encap: DemoEncap;
  readonly secondsPerMeasurement: number;
  readonly signal: AbortSignal;
  readonly progress: (what: string) => void;
}

export const PACED_PACKETS_PER_SECOND = 2000;
const network = '10.244.0.0/16';
const lower = 'eth0';
const addresses = ['192.0.2.1', '192.0.2.2'] as const;
const underlayMtuBytes = 1500;
const vxlan = { vni: 1, port: 8472, mtuBytes: underlayMtuBytes - 50 };

interface Node {
  readonly namespace: Namespace;
  /** Overlay address that traffic goes to. */
  readonly address: string;
}

/** Builds, measures, and removes all that it made, also when it fails or is aborted. */
export async function demoRun(plan: DemoPlan): Promise<DemoFigures> {
  const cleanUp: (() => Promise<unknown>)[] = [];
  try {
    const directory = await mkdtemp(join(tmpdir(), 'twill-demo-'));
    cleanUp.push(() => rm(directory, { recursive: true, force: true }));
    const store = join(directory, 'store');
    await mkdir(join(store, 'subnets'), { recursive: true });
    const type = plan.encap === 'udp' ? 'udp' : 'vxlan';
    await writeFile(join(store, 'config'), JSON.stringify({ Network: network, Backend: { Type: type } }));

    const make = async (label: string) => {
      const namespace = await Namespace.create(label);
      cleanUp.push(() => namespace.close());
      return namespace;
    };
    const [left, right] = [await make('left'), await make('right')];
    plan.signal.throwIfAborted();
    await joinByVeth(
      { namespace: left, device: lower, addresses: [`${addresses[0]}/24`] },
      { namespace: right, device: lower, addresses: [`${addresses[1]}/24`] },
      underlayMtuBytes,
    );
    const agents: AgentProcess[] = [];
    const startAgent = (namespace: Namespace) => {
      const agent = AgentProcess.start(namespace, { store, directory, iface: lower });
      agents.push(agent);
      cleanUp.push(() => agent.stop());
      return agent;
    };
    const nodes = await {
      vxlan: () => twoAgents(left, right, startAgent, plan),
      udp: () => twoAgents(left, right, startAgent, plan),
      mixed: () => agentAndKernel(left, right, startAgent, store, plan),
      kernel: () => twoKernels(left, right),
    }[plan.encap]();
    plan.progress(`${nodes[0].address} <-> ${nodes[1].address}`);
    const figures = await measure(plan, ...nodes);
    const statuses = await Promise.all(agents.map((agent) => agent.status()));
    const identity =
      agents.length === 0 ? null : statuses.every((status) => status.identity.encap && status.identity.decap);
    return { encap: plan.encap, ...figures, identity };
  } catch (error) {
    plan.signal.throwIfAborted();
    throw error;
  } finally {
    for (const step of cleanUp.reverse()) await step().catch(() => {});
  }
}

async function twoAgents(
  left: Namespace,
  right: Namespace,
  start: (namespace: Namespace) => AgentProcess,
  { signal }: DemoPlan,
): Promise<[Node, Node]> {
  const ready = [left, right].map(async (namespace) => {
    const { node } = await start(namespace).ready(1, signal);
    return { namespace, address: Prefix.parse(node.subnet).address.toString() };
  });
  return (await Promise.all(ready)) as [Node, Node];
}

async function agentAndKernel(
  left: Namespace,
  right: Namespace,
  start: (namespace: Namespace) => AgentProcess,
  store: string,
  { signal }: DemoPlan,
): Promise<[Node, Node]> {
  const own = kernelNode(1);
  const device = await addKernelVxlan(right, {
    ...vxlan,
    lower,
    subnet: own.subnet,
    local: own.endpoint,
    mac: own.mac,
  });
  // The lease that a flannel node would have written.
  const lease = `{"PublicIP":"${own.endpoint}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${own.mac}"}}`;
  await writeFile(join(store, 'subnets', `${own.subnet.address}-${own.subnet.length}`), lease);
  const { node, backend } = await start(left).ready(1, signal);
  const peer = {
    subnet: Prefix.parse(node.subnet),
    endpoint: IpAddress.parse(node.publicIp),
    mac: MacAddress.parse(backend.mac ?? ''),
  };
  await addKernelPeer(right, device, peer);
  return [
    { namespace: left, address: peer.subnet.address.toString() },
    { namespace: right, address: own.subnet.address.toString() },
  ];
}

async function twoKernels(left: Namespace, right: Namespace): Promise<[Node, Node]> {
  const peers = [kernelNode(0), kernelNode(1)] as const;
  for (const [i, namespace] of [left, right].entries()) {
    const [own, other] = [peers[i], peers[1 - i]];
    if (!own || !other) continue;
    const device = await addKernelVxlan(namespace, {
      ...vxlan,
      lower,
      subnet: own.subnet,
      local: own.endpoint,
      mac: own.mac,
    });
    await addKernelPeer(namespace, device, other);
  }
  return [
    { namespace: left, address: peers[0].subnet.address.toString() },
    { namespace: right, address: peers[1].subnet.address.toString() },
  ];
}

function kernelNode(i: 0 | 1): KernelPeer {
  return {
    subnet: Prefix.parse(`10.244.${200 + i}.0/24`),
    endpoint: IpAddress.parse(addresses[i]),
    mac: MacAddress.parse(`02:00:00:00:00:0${i + 1}`),
  };
}

async function measure(
  { secondsPerMeasurement, signal, progress, encap }: DemoPlan,
  left: Node,
  right: Node,
): Promise<Omit<DemoFigures, 'encap' | 'identity'>> {
  const ways = [
    { from: left, to: right },
    { from: right, to: left },
  ];
  const durationMs = Math.max(Math.round(secondsPerMeasurement * 1000), 100);
  let sent = 0;
  let lost = 0;
  const rtts: number[] = [];
  // The first packet of a pair pays for neighbour entries and caches.
  for (const { from, to } of ways) await ping(from.namespace, to.address, { count: 20 });
  for (const { from, to } of ways) {
    signal.throwIfAborted();
    progress('ping');
    const report = await ping(from.namespace, to.address, {
      count: Math.min(Math.round(durationMs / 2), 5000),
    });
    sent += report.sent;
    lost += report.sent - report.received;
    rtts.push(...report.rttMicros);
  }
  for (const { from, to } of ways) {
    signal.throwIfAborted();
    progress(`UDP, ${PACED_PACKETS_PER_SECOND} packets a second`);
    const flow = await udpFlow(from.namespace, to.namespace, to.address, {
      ...{ durationMs, packetsPerSecond: PACED_PACKETS_PER_SECOND, payloadBytes: 1000 },
    });
    sent += flow.sent.sent;
    lost += flow.lost + flow.sent.refused;
  }
  let gigabits = 0;
  for (const { from, to } of ways) {
    signal.throwIfAborted();
    progress('TCP bulk');
    const bulk = await tcpBulk(from.namespace, to.namespace, to.address, { durationMs });
    if (!bulk.intact) throw new TwillError('ERR_TWILL_INTERNAL', `${encap}: TCP bytes arrived changed`);
    gigabits += bulk.gigabitsPerSecond / ways.length;
  }
  signal.throwIfAborted();
  progress('UDP, as fast as it goes');
  const flood = await udpFlow(left.namespace, right.namespace, right.address, {
    ...{ durationMs, packetsPerSecond: 0, payloadBytes: 64 },
  });
  rtts.sort((a, b) => a - b);
  return {
    lossPercent: sent === 0 ? 100 : (100 * lost) / sent,
    rttMicros: { p50: quantile(rtts, 0.5), p99: quantile(rtts, 0.99) },
    tcpGbps: gigabits,
    packetsPerSecond: flood.received.seconds > 0 ? flood.received.received / flood.received.seconds : 0,
  };
}

/** Of sorted values; NaN of none. */
function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(Math.floor(sorted.length * q), sorted.length - 1)] ?? Number.NaN;
}
