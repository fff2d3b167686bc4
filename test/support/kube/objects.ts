/** Objects of the Kubernetes API as its server keeps them, as far as the tests need them. */

export interface NodeObject {
  apiVersion: 'v1';
  kind: 'Node';
  metadata: Metadata;
  spec: { podCIDR?: string; podCIDRs?: string[]; [field: string]: unknown };
  status: {
    addresses?: { type: string; address: string }[];
    conditions?: { type: string; status: string; [field: string]: unknown }[];
    [field: string]: unknown;
  };
}

export interface Metadata {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
  labels?: { [name: string]: string };
  annotations?: { [name: string]: string };
  [field: string]: unknown;
}

export interface PodObject {
  apiVersion: 'v1';
  kind: 'Pod';
  metadata: Metadata;
  spec: { nodeName?: string; [field: string]: unknown };
}

export interface NodePlan {
  readonly podCidrs?: readonly string[];
  /** With their prefix. */
  readonly annotations?: { readonly [name: string]: string };
  readonly addresses?: readonly string[];
  /** RFC 3339; default: now. */
  readonly createdAt?: string;
  /** Images that the kubelet tells of: they make most of a real node's size. */
  readonly images?: number;
}

/** A node as a kubelet would have registered it and a controller given it its PodCIDRs. */
export function nodeObject(name: string, plan: NodePlan, serial: number): NodeObject {
  const { podCidrs = [], annotations = {}, addresses = [], images = 0 } = plan;
  const createdAt = plan.createdAt ?? `${new Date().toISOString().slice(0, 19)}Z`;
  const digest = 'e7a9bd1f0c6f2a58e7a9bd1f0c6f2a58e7a9bd1f0c6f2a58e7a9bd1f0c6f2a58';
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      uid: `00000000-0000-4000-8000-${serial.toString(16).padStart(12, '0')}`,
      resourceVersion: '0',
      creationTimestamp: createdAt,
      labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' },
      annotations: { 'node.alpha.kubernetes.io/ttl': '0', ...annotations },
    },
    spec: podCidrs.length > 0 ? { podCIDR: podCidrs[0] ?? '', podCIDRs: [...podCidrs] } : {},
    status: {
      addresses: [
        ...addresses.map((address) => ({ type: 'InternalIP', address })),
        { type: 'Hostname', address: name },
      ],
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          lastHeartbeatTime: createdAt,
          lastTransitionTime: createdAt,
          reason: 'KubeletReady',
          message: 'kubelet is posting ready status',
        },
      ],
      capacity: { cpu: '8', memory: '32595856Ki', pods: '110' },
      nodeInfo: { kubeletVersion: 'v1.32.0', osImage: 'Debian GNU/Linux', operatingSystem: 'linux' },
      images: Array.from({ length: images }, (_, i) => ({
        names: [
          `registry.example/team/service-${i}@sha256:${digest}`,
          `registry.example/team/service-${i}:v1`,
        ],
        sizeBytes: 123_456_789 + i,
      })),
    },
  };
}

/** The body of an answer that is no success. */
export function statusObject(code: number, reason: string, message: string, more: object = {}): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
    ...more,
  };
}

/** What the server answers instead of doing what was asked. */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}
