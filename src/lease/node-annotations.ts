/**
 * A lease as flannel keeps it in Kubernetes: annotations of the Node object, with its PodCIDRs as the subnets. Values are
 * flannel's, byte for byte:
 *
 *   PREFIXkube-subnet-manager  true
 *   PREFIXbackend-type         vxlan                                       empty for udp
 *   PREFIXbackend-data         {"VNI":1,"VtepMAC":"12:c6:65:89:b4:e3"}     null for types without data
 *   PREFIXpublic-ip            192.0.2.1
 *   PREFIXbackend-v6-data, PREFIXpublic-ipv6                               where the type carries IPv6
 *
 * What an operator may write beside them: `public-ip-overwrite` goes into `public-ip`; `node-public-ip` says which
 * address of the node counts; each also for IPv6.
 */
import type { IpFamily } from '../net/ip.js';
import { IpAddress } from '../net/ip.js';
import { goJson, type Json, parseJsonObject } from '../net/json.js';
import { Prefix } from '../net/prefix.js';
import { leaseKey } from './codec.js';
import type { LeaseAttributes, LeaseSubnets } from './lease.js';

export type Annotations = { readonly [name: string]: string };

/** What of a Node object concerns us, as it stands there. */
export interface NodeFacts {
  readonly name: string;
  readonly uid: string;
  readonly createdAtMs: number;
  /** As many as there are; Kubernetes gives one for each family. */
  readonly podCidrs: readonly string[];
  /** Those that begin with our prefix, without it. */
  readonly annotations: Annotations;
  /** Of the node as the kubelet reports them; empty where nobody looks at them. */
  readonly addresses: readonly string[];
}

/** What one node's facts amount to: the two halves of a lease record, nothing where it is no node of ours, or what is wrong. */
export type NodeLease =
  | { readonly key: string; readonly value: string }
  | { readonly key: string; readonly reason: string }
  | null;

export interface NodeReading {
  /** That the network configuration enables. */
  readonly families: readonly IpFamily[];
  /** Whether a public IP must be one of the node's addresses. */
  readonly verifyAddresses: boolean;
}

const NAMES = {
  4: { address: 'public-ip', data: 'backend-data', field: 'PublicIP', dataField: 'BackendData' },
  6: { address: 'public-ipv6', data: 'backend-v6-data', field: 'PublicIPv6', dataField: 'BackendV6Data' },
} as const;

/** The lease that a node's annotations tell of. */
export function leaseOfNode(facts: NodeFacts, { families, verifyAddresses }: NodeReading): NodeLease {
  const { name, annotations } = facts;
  if (annotations['kube-subnet-manager'] !== 'true') return null;
  const subnets = subnetsOfNode(facts);
  if (typeof subnets === 'string') return { key: name, reason: subnets };
  // A family without an address is one that its node does not run yet.
  const there = families.filter((family) => {
    return subnets[family === 4 ? 'v4' : 'v6'] && annotations[NAMES[family].address];
  });
  if (there.length === 0) {
    const wanted = families.map((family) => NAMES[family].address).join(' or ');
    return { key: name, reason: `it has no PodCIDR with an annotation ${wanted} to it` };
  }
  const key = leaseKey({
    ...(there.includes(4) && subnets.v4 && { v4: subnets.v4 }),
    ...(there.includes(6) && subnets.v6 && { v6: subnets.v6 }),
  });
  const value: { [field: string]: Json } = { PublicIP: '0.0.0.0', PublicIPv6: null };
  const backendType = annotations['backend-type'] ?? '';
  if (backendType !== '') value['BackendType'] = backendType;
  for (const family of there) {
    const { address, data, field, dataField } = NAMES[family];
    const text = annotations[address] ?? '';
    if (verifyAddresses && !facts.addresses.some((own) => sameAddress(own, text)))
      return { key, reason: `its ${address} ${JSON.stringify(text.slice(0, 80))} is no address of its node` };
    value[field] = text;
    const dataText = annotations[data] ?? 'null';
    if (dataText === 'null' || dataText === '') continue;
    try {
      value[dataField] = parseJsonObject(dataText);
    } catch (error) {
      return { key, reason: `its ${data} is ${(error as Error).message}` };
    }
  }
  return { key, value: goJson(value) };
}

/** The PodCIDRs, one for each family; a string says what is wrong with them. */
export function subnetsOfNode({ podCidrs }: NodeFacts): LeaseSubnets | string {
  if (podCidrs.length > 2)
    return `it has ${podCidrs.length} PodCIDRs: one for each family is all there can be`;
  const subnets: { v4?: Prefix; v6?: Prefix } = {};
  for (const text of podCidrs) {
    const subnet = Prefix.tryParse(text);
    if (!subnet) return `its PodCIDR ${JSON.stringify(text.slice(0, 80))} is no prefix`;
    const family = subnet.family === 4 ? 'v4' : 'v6';
    if (subnets[family]) return `it has two IPv${subnet.family} PodCIDRs`;
    subnets[family] = subnet;
  }
  return podCidrs.length === 0 ? 'it has no PodCIDR' : subnets;
}

/**
 * What our node's annotations must be, without the prefix. An overwrite that is no address of its family is passed over.
 * A family that we do not run is left as it is, as flannel does.
 */
export function annotationsOf(attributes: LeaseAttributes, present: Annotations): Annotations {
  const { backendType, publicIp, publicIpv6, backendData, backendV6Data } = attributes;
  const family = (of: IpFamily, address: IpAddress, data: Json | undefined) => ({
    [NAMES[of].data]: data === undefined ? 'null' : goJson(data),
    [NAMES[of].address]: `${overwriteOf(present, of) ?? address}`,
  });
  return {
    'kube-subnet-manager': 'true',
    'backend-type': backendType,
    ...(!publicIp.isUnspecified && family(4, publicIp, backendData)),
    ...(publicIpv6 && family(6, publicIpv6, backendV6Data)),
  };
}

/** The address that an operator wants in the place of ours, if it is one. */
export function overwriteOf(annotations: Annotations, family: IpFamily): IpAddress | null {
  return addressOf(annotations[`${NAMES[family].address}-overwrite`], family);
}

/** The address of a node that counts, by its operator's word, if it is one. */
export function nodePublicIp(annotations: Annotations, family: IpFamily): IpAddress | null {
  return addressOf(annotations[`node-${NAMES[family].address}`], family);
}

function addressOf(text: string | undefined, family: IpFamily): IpAddress | null {
  const address = text === undefined ? null : IpAddress.tryParse(text);
  return address?.family === family ? address : null;
}

function sameAddress(a: string, b: string): boolean {
  const address = IpAddress.tryParse(a);
  const other = IpAddress.tryParse(b);
  return address !== null && other !== null && address.equals(other);
}
