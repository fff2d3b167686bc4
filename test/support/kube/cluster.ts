/** A mixed cluster on Kubernetes, and what its API server knows of its nodes. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import {
  allReach,
  type ClusterPlan,
  type Member,
  type MixedCluster,
  mixedCluster,
} from '../mixed-cluster.js';
import type { KubeLab } from './lab.js';

export type KubeCluster = MixedCluster & { readonly kube: KubeLab };

/** The namespaces of such a cluster, with its server; no node runs yet. */
export async function onKube(
  t: TestContext,
  labels: readonly string[],
  plan: ClusterPlan = { type: 'vxlan', families: [4] },
): Promise<KubeCluster> {
  const cluster = await mixedCluster(t, { ...plan, store: 'kube' }, labels);
  assert.ok(cluster.kube);
  return { ...cluster, kube: cluster.kube };
}

/** One of flannel's and two of ours, all of which reach each other. */
export async function threeNodes(t: TestContext, ...flags: readonly string[]) {
  const { members, kube } = await onKube(t, ['flannel', 'twill-1', 'twill-2']);
  const [flannel, ...ours] = members as [Member, Member, Member];
  await Promise.all([flannel.startFlannel(), ...ours.map((member) => member.startTwill(...flags))]);
  await flannel.flannel.ready(2);
  await allReach(members);
  return { kube, members, flannel, ours };
}

/** All annotations of all nodes, byte for byte. */
export async function annotationsIn({ api }: KubeLab): Promise<{ [name: string]: unknown }> {
  const nodes = await api.nodes();
  return Object.fromEntries(nodes.map(({ metadata }) => [metadata.name, metadata.annotations]));
}

/** Changes with anything that anybody writes on a node. */
export async function versionOf({ api }: KubeLab, { namespace }: Member): Promise<string> {
  return (await api.node(namespace.label)).metadata.resourceVersion;
}
