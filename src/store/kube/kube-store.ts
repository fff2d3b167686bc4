/**
 * Leases in Kubernetes, in flannel's form, so that both can share a cluster: the subnet of a node is its PodCIDR, and its
 * annotations say how it is reached. The network configuration is a file, mounted from a ConfigMap.
 */
import { readFile } from 'node:fs/promises';
import type { KubeOptions } from '../../config/kube-options.js';
import { parseNetConf } from '../../config/net-conf.js';
import { TwillError } from '../../errors.js';
import type { LeaseAttributes } from '../../lease/lease.js';
import {
  annotationsOf,
  type NodeFacts,
  type NodeReading,
  nodePublicIp,
  overwriteOf,
  subnetsOfNode,
} from '../../lease/node-annotations.js';
import type { IpFamily } from '../../net/ip.js';
import { latest } from '../latest.js';
import type { GivingStore, OwnNode, StoreRecord, StoreSnapshot } from '../store.js';
import { readAccess } from './access.js';
import { KubeClient } from './client.js';
import { Refused } from './failure.js';
import { followNodes, mirrorOfAll } from './follow.js';
import { findNode } from './list.js';
import { NodeMirror, recordOf } from './mirror.js';
import { fieldsOf, type NodeView, seenNode } from './node.js';
import { getPod, patchNodeStatus } from './requests.js';

const FRESH_MS = 30_000;
/** flannel's words: tools look for them. */
const UP = { reason: 'FlannelIsUp', message: 'Flannel is running on this node' };

export interface KubeStoreParts {
  /** For people: what an operator has written and we pass over. */
  readonly say?: (message: string) => void;
  /** Where a pod's credentials lie, for tests. */
  readonly podFiles?: string;
  /** See `FollowParts`. */
  readonly silentAtMostMs?: number;
}

export class KubeStore implements GivingStore {
  readonly description: string;
  readonly #options: KubeOptions;
  readonly #parts: KubeStoreParts;
  readonly #client: KubeClient;
  readonly #view: NodeView;
  /** That the network configuration enables, once it has been read. */
  #families: readonly IpFamily[] = [4];
  #nodeName: string | null;
  #listed: { readonly mirror: NodeMirror; readonly atMs: number } | null = null;
  #said = '';

  constructor(options: KubeOptions, parts: KubeStoreParts = {}) {
    this.#options = options;
    this.#parts = parts;
    this.#client = new KubeClient(() => readAccess(options, parts.podFiles));
    this.#view = { prefix: options.annotationPrefix, withAddresses: options.verifyNodeAddresses };
    this.#nodeName = 'name' in options.node ? options.node.name : null;
    const place = options.apiUrl ?? options.kubeconfigFile ?? options.podApiUrl ?? 'by the usual kubeconfig';
    this.description = `Kubernetes ${place}, ${options.netConfigPath}`;
  }

  async readConfig(): Promise<string> {
    const { netConfigPath: path } = this.#options;
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (cause) {
      const fix = 'it is the net-conf.json of a ConfigMap, and --net-config-path says where it is mounted';
      throw new TwillError('ERR_TWILL_STORE', `cannot read ${path}: ${(cause as Error).message}: ${fix}`, {
        cause,
      });
    }
    this.#families = enabledFamilies(text) ?? this.#families;
    return text;
  }

  async list(signal?: AbortSignal): Promise<StoreSnapshot> {
    const mirror = await mirrorOfAll(this.#listParts(), this.#listed?.mirror ?? null, signal);
    this.#listed = { mirror, atMs: performance.now() };
    return mirror.snapshot();
  }

  async *watch(
    signal: AbortSignal,
    onTrouble: (error: Error | null) => void = () => {},
  ): AsyncIterable<StoreSnapshot> {
    const ending = new AbortController();
    const ended = AbortSignal.any([signal, ending.signal]);
    const { changed, values } = latest<NodeMirror>(ended);
    const { silentAtMostMs } = this.#parts;
    const following = followNodes(
      {
        ...this.#listParts(),
        start: this.#takeListed(),
        onChange: changed,
        onTrouble,
        ...(silentAtMostMs !== undefined && { silentAtMostMs }),
      },
      ended,
    );
    try {
      for await (const mirror of values) yield mirror.snapshot();
    } finally {
      ending.abort();
      await following;
    }
  }

  async ownNode(signal?: AbortSignal): Promise<OwnNode> {
    const { name, annotations } = await this.#ownFacts(signal);
    for (const label of [
      'node-public-ip',
      'node-public-ipv6',
      'public-ip-overwrite',
      'public-ipv6-overwrite',
    ])
      this.#complainOf(label, annotations);
    const [publicIp, publicIpv6] = [nodePublicIp(annotations, 4), nodePublicIp(annotations, 6)];
    return { name, ...(publicIp && { publicIp }), ...(publicIpv6 && { publicIpv6 }) };
  }

  async announce(attributes: LeaseAttributes, signal?: AbortSignal): Promise<StoreRecord> {
    let facts = await this.#ownFacts(signal);
    const { name } = facts;
    if (facts.podCidrs.length === 0) {
      const fix =
        'kube-controller-manager gives it with --allocate-node-cidrs and --cluster-cidr (kubeadm: networking.podSubnet)';
      throw new TwillError('ERR_TWILL_STORE_EMPTY', `node ${name} has no PodCIDR yet: ${fix}`);
    }
    const subnets = subnetsOfNode(facts);
    if (typeof subnets === 'string') throw new TwillError('ERR_TWILL_STORE', `node ${name}: ${subnets}`);
    const wanted = annotationsOf(attributes, facts.annotations);
    const changes = Object.entries(wanted).filter(([key, value]) => facts.annotations[key] !== value);
    if (changes.length > 0) {
      const { prefix } = this.#view;
      const annotations = Object.fromEntries(changes.map(([key, value]) => [`${prefix}${key}`, value]));
      facts = seenNode(await this.#patch(name, { metadata: { annotations } }, signal), this.#view).facts;
    }
    const record = recordOf(facts, { ...this.#reading(), verifyAddresses: false });
    if (record !== null && 'value' in record) return record;
    throw new TwillError(
      'ERR_TWILL_STORE',
      `node ${name} does not keep what was written: ${record?.reason ?? 'another hand has changed it'}`,
    );
  }

  async announceUp(signal?: AbortSignal): Promise<void> {
    if (!this.#options.setNetworkUnavailable) return;
    const now = `${new Date().toISOString().slice(0, 19)}Z`;
    const condition = {
      type: 'NetworkUnavailable',
      status: 'False',
      lastHeartbeatTime: now,
      lastTransitionTime: now,
      ...UP,
    };
    await this.#patch(await this.#ownName(signal), { status: { conditions: [condition] } }, signal);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  #reading(): NodeReading {
    return { families: this.#families, verifyAddresses: this.#options.verifyNodeAddresses };
  }

  #listParts() {
    return { client: this.#client, view: this.#view, newMirror: () => new NodeMirror(this.#reading()) };
  }

  /** A listing of just now is as good a start for a watch as another one: events bring what has come since. */
  #takeListed(): NodeMirror | null {
    const listed = this.#listed;
    this.#listed = null;
    return listed && performance.now() - listed.atMs < FRESH_MS ? listed.mirror : null;
  }

  async #ownFacts(signal?: AbortSignal): Promise<NodeFacts> {
    const name = await this.#ownName(signal);
    const node = await findNode({ client: this.#client, view: this.#view }, name, signal);
    if (node) return node.facts;
    throw new TwillError(
      'ERR_TWILL_STORE_EMPTY',
      `the cluster has no node ${name}: its kubelet must register it`,
    );
  }

  /** Of the pod that runs us, where nothing names the node itself. */
  async #ownName(signal?: AbortSignal): Promise<string> {
    const { node } = this.#options;
    if (this.#nodeName !== null) return this.#nodeName;
    if ('name' in node) return node.name;
    const pod = await this.#client.call(getPod(node.podNamespace, node.podName), { signal });
    const { nodeName } = fieldsOf(fieldsOf(pod)['spec']);
    if (typeof nodeName !== 'string' || nodeName === '')
      throw new TwillError('ERR_TWILL_STORE', `pod ${node.podNamespace}/${node.podName} is on no node`);
    this.#nodeName = nodeName;
    return nodeName;
  }

  #patch(name: string, patch: object, signal: AbortSignal | undefined): Promise<unknown> {
    const body = { type: 'application/strategic-merge-patch+json', text: JSON.stringify(patch) };
    return this.#client.call(patchNodeStatus(name), { body, signal }).catch((error) => {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
      throw new TwillError('ERR_TWILL_STORE_EMPTY', `the cluster has no node ${name} any more`, {
        cause: error,
      });
    });
  }

  /** Once for each text. */
  #complainOf(label: string, annotations: NodeFacts['annotations']): void {
    const text = annotations[label];
    if (text === undefined || text === '') return;
    const family = label.includes('ipv6') ? 6 : 4;
    const read = label.startsWith('node-') ? nodePublicIp : overwriteOf;
    if (read(annotations, family) !== null) return;
    const shown = JSON.stringify(text.slice(0, 80));
    const line = `annotation ${this.#view.prefix}${label} of our node is ${shown}, which is no IPv${family} address: it is passed over`;
    if (this.#said.includes(line)) return;
    this.#said += line;
    this.#parts.say?.(line);
  }
}

/** null: it is wrong, which whoever uses it will say. */
function enabledFamilies(text: string): IpFamily[] | null {
  try {
    const { enableIpv4, enableIpv6 } = parseNetConf(text, { subnets: 'given' });
    return [...(enableIpv4 ? [4 as const] : []), ...(enableIpv6 ? [6 as const] : [])];
  } catch {
    return null;
  }
}
