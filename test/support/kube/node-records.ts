/**
 * Lease records in annotations of Node objects as flannel's Go code reads and writes them on Kubernetes, by contract:
 * nothing here is shared with what is under test. Each node has its own view of them.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { leaseKeyOf, readLease } from '../flannel-lease.js';
import type { GivenRecords } from '../flannel-records.js';
import { type KubeApi, PREFIX } from './lab.js';
import type { NodeObject } from './objects.js';

export class NodeRecords implements GivenRecords {
  readonly #api: KubeApi;
  readonly #name: string;
  readonly #families: readonly (4 | 6)[];
  /** What was known when the server was last there. */
  #known: ReadonlyMap<string, string> = new Map();

  constructor(api: KubeApi, name: string, families: readonly (4 | 6)[]) {
    this.#api = api;
    this.#name = name;
    this.#families = families;
  }

  /** Nodes that cannot be read are left out, one by one. */
  async list(): Promise<ReadonlyMap<string, string>> {
    if (!this.#api.isReachable) return this.#known;
    const nodes = await this.#api.nodes();
    this.#known = new Map(nodes.flatMap((node) => this.#record(node) ?? []));
    return this.#known;
  }

  /** Only what is not there yet, into the status subresource. */
  async put(key: string, value: string): Promise<void> {
    const { metadata } = await this.#api.node(this.#name);
    const present = (suffix: string) => metadata.annotations?.[PREFIX + suffix];
    const lease = readLease(key, value);
    const { BackendData, BackendV6Data } = JSON.parse(value);
    const wanted: { [suffix: string]: string } = {
      'kube-subnet-manager': 'true',
      'backend-type': lease?.backendType ?? '',
    };
    const say = (address: string, given: string | null | undefined, field: string, data: unknown) => {
      wanted[address] = present(`${address}-overwrite`) || (given ?? '');
      wanted[field] = JSON.stringify(data ?? null);
    };
    if (this.#families.includes(4)) say('public-ip', lease?.publicIp, 'backend-data', BackendData);
    if (this.#families.includes(6)) say('public-ipv6', lease?.publicIpv6, 'backend-v6-data', BackendV6Data);
    const changed = Object.entries(wanted).filter(([suffix, text]) => present(suffix) !== text);
    if (changed.length === 0) return;
    const annotations = Object.fromEntries(changed.map(([suffix, text]) => [PREFIX + suffix, text]));
    await this.#api.patchStatus(this.#name, { metadata: { annotations } });
  }

  /** Nobody takes a subnet away there: a node goes with its object. */
  async remove(): Promise<void> {}

  async given(): Promise<string> {
    const { v4, v6 } = subnetsOf(await this.#api.node(this.#name));
    const has = (family: 4 | 6) => this.#families.includes(family);
    return leaseKeyOf(has(4) ? v4 : null, has(6) ? v6 : null);
  }

  /** By splitting text, as flannel does it: a form with blanks, or in another order, is not understood. */
  async macs(): Promise<{ readonly 4: string | null; readonly 6: string | null }> {
    const { metadata } = await this.#api.node(this.#name);
    const mac = (field: string) => {
      const parts = (metadata.annotations?.[PREFIX + field] ?? '').split(':"');
      return parts.length === 2 ? (parts[1] ?? '').replace('"}', '') : null;
    };
    return { 4: mac('backend-data'), 6: mac('backend-v6-data') };
  }

  async up(): Promise<void> {
    const now = `${new Date().toISOString().slice(0, 19)}Z`;
    const condition = {
      ...{ type: 'NetworkUnavailable', status: 'False', lastHeartbeatTime: now, lastTransitionTime: now },
      ...{ reason: 'FlannelIsUp', message: 'Flannel is running on this node' },
    };
    await this.#api.patchStatus(this.#name, { status: { conditions: [condition] } });
  }

  #record(node: NodeObject): [string, string][] | null {
    const read = (suffix: string) => node.metadata.annotations?.[PREFIX + suffix] ?? '';
    if (read('kube-subnet-manager') !== 'true') return null;
    const { v4, v6 } = subnetsOf(node);
    const [has4, has6] = [this.#families.includes(4), this.#families.includes(6)];
    if (has4 && (v4 === null || !isIPv4(read('public-ip')))) return null;
    if (has6 && (v6 === null || !isIPv6(read('public-ipv6')))) return null;
    const value = [
      `"PublicIP":"${has4 ? read('public-ip') : '0.0.0.0'}"`,
      `"PublicIPv6":${has6 ? `"${read('public-ipv6')}"` : 'null'}`,
      `"BackendType":${JSON.stringify(read('backend-type'))}`,
      ...(has4 ? [`"BackendData":${read('backend-data')}`] : []),
      ...(has6 ? [`"BackendV6Data":${read('backend-v6-data')}`] : []),
    ];
    return [[leaseKeyOf(has4 ? v4 : null, has6 ? v6 : null), `{${value.join(',')}}`]];
  }
}

function subnetsOf({ spec }: NodeObject): { readonly v4: string | null; readonly v6: string | null } {
  const cidrs = spec.podCIDRs ?? (spec.podCIDR === undefined ? [] : [spec.podCIDR]);
  const find = (isIt: (text: string) => boolean) =>
    cidrs.find((cidr) => isIt(cidr.split('/')[0] ?? '')) ?? null;
  return { v4: find(isIPv4), v6: find(isIPv6) };
}
