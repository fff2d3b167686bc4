/** Agents around an etcd that runs on a segment with them: 192.0.2.1, 192.0.2.2, ...; etcd is 192.0.2.250. */
import type { TestContext } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { AgentNode, network } from './agent-node.js';
import { type Etcd, type EtcdSetup, startEtcd } from './etcd.js';
import { makeSegment } from './namespaces.js';

export interface EtcdLab {
  readonly etcd: Etcd;
  /** Where etcd runs. */
  readonly namespace: Namespace;
  readonly nodes: readonly AgentNode[];
  node(index: number): AgentNode;
  /** Nothing passes between this node and etcd, until `healed`. The nodes still reach each other. */
  cutOff(index: number): Promise<void>;
  healed(index: number): Promise<void>;
}

/** `config`: of the network, beside its range. */
export async function labOnEtcd(
  t: TestContext,
  config: object,
  { nodes: count = 2, ...setup }: EtcdSetup & { readonly nodes?: number } = {},
): Promise<EtcdLab> {
  const host = '192.0.2.250';
  const places = Array.from({ length: count }, (_, i) => ({
    label: `n${i}`,
    addresses: [`192.0.2.${i + 1}/24`],
  }));
  const namespaces = await makeSegment(t, [...places, { label: 'etcd', addresses: [`${host}/24`] }]);
  const namespace = namespaces.at(-1);
  if (!namespace) throw new Error('a segment without etcd');
  const etcd = await startEtcd(t, { ...setup, namespace, host });
  await etcd.put('config', JSON.stringify({ Network: network, ...config }));
  const nodes = namespaces.slice(0, count).map((place) => {
    const node = new AgentNode(place, etcd.directory, '');
    node.storeFlags = [`--etcd-endpoints=${etcd.endpoints.join(',')}`];
    const { caFile } = etcd.certificates ?? {};
    if (caFile !== undefined) node.storeFlags = [...node.storeFlags, `--etcd-cafile=${caFile}`];
    t.after(() => node.stop('SIGKILL'));
    return node;
  });
  const node = (index: number): AgentNode => {
    const found = nodes[index];
    if (!found) throw new Error(`there is no node ${index}`);
    return found;
  };
  const blackholes = async (verb: 'add' | 'del', index: number) => {
    await namespace.ip('route', verb, 'blackhole', `192.0.2.${index + 1}/32`);
    await node(index).namespace.ip('route', verb, 'blackhole', `${host}/32`);
  };
  return {
    ...{ etcd, namespace, nodes, node },
    cutOff: (index) => blackholes('add', index),
    healed: (index) => blackholes('del', index),
  };
}
