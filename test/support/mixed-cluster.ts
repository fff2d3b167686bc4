/** Clusters of nodes that run flanneld and nodes that run our agent, on one segment, around one store. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { type UdpFlow, udpFlow } from '../../src/lab/traffic.js';
import { AgentNode, labWith } from './agent-node.js';
import { type Etcd, startEtcd } from './etcd.js';
import { type FlannelCluster, FlannelNode } from './flannel-node.js';
import { DirectoryRecords, EtcdRecords, type FlannelRecords } from './flannel-records.js';
import { type KubeLab, labOnKube } from './kube/lab.js';
import { NodeRecords } from './kube/node-records.js';
import { base, makeSegment, pings, until } from './namespaces.js';

export interface ClusterPlan {
  readonly type: 'vxlan' | 'udp';
  readonly families: readonly (4 | 6)[];
  readonly vni?: number;
  readonly port?: number;
  /** The option of net-conf. */
  readonly mtuBytes?: number;
  /** Where the leases are. Default: a directory. */
  readonly store?: 'etcd' | 'kube';
}

const V4 = '10.77.0.0/16';
const V6 = 'fd00:77::/48';

/** A place on the segment, and whatever runs there. */
export class Member {
  readonly namespace: Namespace;
  readonly agent: AgentNode;
  readonly flannel: FlannelNode;
  /** Base addresses of the subnet, one a family; known once it runs. */
  addresses: readonly string[] = [];

  constructor(agent: AgentNode, flannel: FlannelNode) {
    this.namespace = agent.namespace;
    this.agent = agent;
    this.flannel = flannel;
  }

  async startTwill(...flags: string[]): Promise<void> {
    this.agent.run(flags);
    const { node } = await this.agent.started();
    this.addresses = node.subnet.split(' ').map(base);
  }

  async startFlannel(): Promise<void> {
    await this.flannel.start();
    this.addresses = this.flannel.addresses;
  }
}

export interface MixedCluster {
  readonly members: readonly Member[];
  readonly records: FlannelRecords;
  /** Where they are there. */
  readonly etcd: Etcd | null;
  readonly kube: KubeLab | null;
}

/** Nodes 192.0.2.1 (2001:db8::1) and so on. Nothing runs yet. */
export async function mixedCluster(
  t: TestContext,
  plan: ClusterPlan,
  labels: readonly string[],
): Promise<MixedCluster> {
  const { type, families, vni = 1, port = type === 'vxlan' ? 8472 : 8285, mtuBytes } = plan;
  const [v4, v6] = [families.includes(4), families.includes(6)];
  const config = {
    ...(v4 ? { Network: V4 } : { EnableIPv4: false, Network: undefined }),
    ...(v6 && { EnableIPv6: true, IPv6Network: V6 }),
    Backend: {
      Type: type,
      ...(plan.vni !== undefined && { VNI: vni }),
      ...(plan.port !== undefined && { Port: port }),
      ...(mtuBytes !== undefined && { MTU: mtuBytes }),
    },
  };
  const cluster: FlannelCluster = {
    ...{ type, vni, port, mtuBytes: mtuBytes ?? 1500 },
    ...{ v4: v4 ? V4 : null, v6: v6 ? V6 : null },
  };
  const places = labels.map((label, i) => ({
    label,
    // Hosts have IPv4 also where the overlay has none.
    addresses: [`192.0.2.${i + 1}/24`, ...(v6 ? [`2001:db8::${i + 1}/64`] : [])],
  }));
  const stores = { etcd: onEtcd, kube: onKube, directory: onDirectory };
  const stored = await stores[plan.store ?? 'directory'](t, config, places);
  const { agents, recordsOf, etcd = null, kube = null } = stored;
  const members = agents.map((agent, i) => {
    const place = {
      ...{ namespace: agent.namespace, iface: 'eth0', number: 101 + i },
      publicIp: v4 ? `192.0.2.${i + 1}` : null,
      publicIpv6: v6 ? `2001:db8::${i + 1}` : null,
    };
    const member = new Member(agent, new FlannelNode(place, cluster, recordsOf(agent)));
    // Before its namespace goes.
    t.after(() => member.flannel.stop().catch(() => {}));
    return member;
  });
  const [first] = agents;
  assert.ok(first);
  return { members, records: recordsOf(first), etcd, kube };
}

interface Stored {
  readonly agents: readonly AgentNode[];
  readonly recordsOf: (agent: AgentNode) => FlannelRecords;
  readonly etcd?: Etcd;
  readonly kube?: KubeLab;
}

type Places = Parameters<typeof makeSegment>[1];

async function onDirectory(t: TestContext, config: object, places: Places): Promise<Stored> {
  const { nodes, store } = await labWith(t, config, async (make) => (await makeSegment(t, places)).map(make));
  const records = new DirectoryRecords(store);
  return { agents: nodes, recordsOf: () => records };
}

/** It runs on the segment too. */
async function onEtcd(t: TestContext, config: object, places: Places): Promise<Stored> {
  const host = '192.0.2.250';
  const namespaces = await makeSegment(t, [...places, { label: 'etcd', addresses: [`${host}/24`] }]);
  const namespace = namespaces.pop();
  assert.ok(namespace);
  const etcd = await startEtcd(t, { namespace, host });
  await etcd.put('config', JSON.stringify({ Network: V4, ...config }));
  const agents = namespaces.map((place) => {
    const agent = new AgentNode(place, etcd.directory, '');
    agent.storeFlags = [`--etcd-endpoints=${etcd.endpoints.join(',')}`];
    return agent;
  });
  const records = new EtcdRecords(etcd);
  return { agents, recordsOf: () => records, etcd };
}

/** Each node is registered, with a PodCIDR of each family: the first of all subnets is the first node's. */
async function onKube(t: TestContext, config: object, places: Places): Promise<Stored> {
  const withIpv6 = places.some(({ addresses }) => addresses.length > 1);
  const families = [...('EnableIPv4' in config ? [] : [4 as const]), ...(withIpv6 ? [6 as const] : [])];
  const kube = await labOnKube(t, config, { names: places.map(({ label }) => label), withIpv6 });
  for (const [i, { label, addresses }] of places.entries())
    await kube.api.addNode(label, {
      podCidrs: families.map((family) => (family === 4 ? `10.77.${i}.0/24` : `fd00:77:0:${i + 1}::/64`)),
      addresses: addresses.map(base),
    });
  const recordsOf = ({ namespace }: AgentNode) => new NodeRecords(kube.api, namespace.label, families);
  return { agents: kube.nodes, recordsOf, kube };
}

/** Every member reaches every other in each family. */
export async function allReach(members: readonly Member[], withinMs?: number): Promise<void> {
  for (const from of members) {
    for (const to of members) {
      if (from === to) continue;
      assert.ok(to.addresses.length > 0);
      for (const address of to.addresses) {
        const what = `${from.namespace.label} reaches ${to.namespace.label} at ${address}`;
        await until(what, () => pings(from.namespace, address, '-W', '0.5'), withinMs);
      }
    }
  }
}

/** What a node that runs flannel knows of its peers, as its kernel shows it. */
export async function entriesOf({ namespace }: Member): Promise<string> {
  const shown = await Promise.all([
    namespace.ip('neighbour', 'show', 'nud', 'permanent'),
    namespace.ip('-6', 'neighbour', 'show', 'nud', 'permanent'),
    namespace.exec('bridge', ['fdb', 'show']).then(({ stdout }) => stdout),
    namespace.ip('route'),
    namespace.ip('-6', 'route'),
  ]);
  return shown
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.includes('flannel'))
    .sort()
    .join('\n');
}

/** Datagrams from each of these to each address of another, under way when it resolves. */
export async function sending(
  from: readonly Member[],
  to: Member,
  durationMs: number,
): Promise<readonly Promise<UdpFlow>[]> {
  const plan = { durationMs, packetsPerSecond: 1000, payloadBytes: 200 };
  const flows: Promise<UdpFlow>[] = [];
  const begun: Promise<void>[] = [];
  for (const member of from) {
    for (const address of to.addresses) {
      const listening = new Promise<void>((resolve) => {
        flows.push(udpFlow(member.namespace, to.namespace, address, plan, resolve));
      });
      begun.push(listening);
    }
  }
  // One that fails says why.
  await Promise.race([Promise.all(begun), Promise.all(flows)]);
  return flows;
}
