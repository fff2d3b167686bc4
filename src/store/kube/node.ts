/** Of a Node object as the API server sends it, which is 10 to 50 KB, the few hundred bytes that concern us. */
import type { NodeFacts } from '../../lease/node-annotations.js';

export interface NodeView {
  /** Of annotations that we read: `flannel.alpha.coreos.com/`. */
  readonly prefix: string;
  /** Whether the node's addresses are wanted too. */
  readonly withAddresses: boolean;
}

export interface SeenNode {
  readonly facts: NodeFacts;
  readonly resourceVersion: string;
}

type Fields = { readonly [name: string]: unknown };

/** An annotation of ours can be as long as what the cluster lets through; what is longer than any good one is cut. */
const LONGEST_ANNOTATION_CHARS = 8192;
const MOST_ADDRESSES = 64;

/** Throws Error where it is no Node object. */
export function seenNode(object: unknown, view: NodeView): SeenNode {
  const node = fieldsOf(object);
  const metadata = fieldsOf(node['metadata']);
  const { name, resourceVersion } = metadata;
  if (typeof name !== 'string' || name === '' || typeof resourceVersion !== 'string')
    throw new Error('an object without name or resourceVersion');
  const spec = fieldsOf(node['spec']);
  const createdAtMs = Date.parse(text(metadata['creationTimestamp']));
  return {
    facts: {
      name,
      uid: text(metadata['uid']),
      createdAtMs: Number.isFinite(createdAtMs) ? createdAtMs : 0,
      podCidrs: podCidrsOf(spec),
      annotations: annotationsBelow(view.prefix, fieldsOf(metadata['annotations'])),
      addresses: view.withAddresses ? addressesOf(fieldsOf(node['status'])) : [],
    },
    resourceVersion,
  };
}

/** `podCIDRs`; of API servers that know but one, that one. */
function podCidrsOf({ podCIDRs, podCIDR }: Fields): string[] {
  const several = Array.isArray(podCIDRs) ? podCIDRs.filter((cidr) => typeof cidr === 'string') : [];
  if (several.length > 0) return several;
  return typeof podCIDR === 'string' && podCIDR !== '' ? [podCIDR] : [];
}

function annotationsBelow(prefix: string, all: Fields): { [name: string]: string } {
  const ours = Object.entries(all).filter(([name, value]) => {
    return name.startsWith(prefix) && typeof value === 'string';
  }) as [string, string][];
  return Object.fromEntries(
    ours
      .map(([name, value]) => [name.slice(prefix.length), value.slice(0, LONGEST_ANNOTATION_CHARS)])
      .sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
  );
}

function addressesOf({ addresses }: Fields): string[] {
  return (Array.isArray(addresses) ? addresses : [])
    .slice(0, MOST_ADDRESSES)
    .map((entry) => text(fieldsOf(entry)['address']))
    .filter((address) => address !== '');
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
