/** Manifests as tests read them: YAML of Kubernetes, each document an object. */
import { parseAllDocuments } from 'yaml';
import { readDocument } from '../documents.js';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

export const PLAIN = 'deploy/kubernetes/twill.yml';
/** Where it has the agent's container, as `differences` names places, and that container's arguments. */
export const AGENT = 'DaemonSet twill: spec.template.spec.containers.0';
export const ARGS = ['--ip-masq', '--kube-subnet-mgr', '--healthz-port=8081', '--kernel-stand-in'];

/** Throws on what a stricter parser would refuse: a key twice, a tag or an alias that is unknown, a document that is empty. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text, { strict: true, uniqueKeys: true }).map((document) => {
    const [fault] = [...document.errors, ...document.warnings];
    if (fault) throw fault;
    const object = document.toJS() as Manifest | null;
    if (!object?.apiVersion || !object.kind || !object.metadata?.name)
      throw new Error(`no object of Kubernetes: ${JSON.stringify(object).slice(0, 200)}`);
    return object;
  });
}

/** The one of a kind. */
export function only<T = Manifest>(manifests: readonly Manifest[], kind: string): T {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  if (found.length !== 1) throw new Error(`${found.length} objects of kind ${kind}`);
  return found[0] as T;
}

export function readManifests(path = PLAIN): Manifest[] {
  return parseManifests(readDocument(path));
}

/** Of a DaemonSet, what tests look at. */
export interface DaemonSet extends Manifest {
  readonly spec: {
    readonly selector: { readonly matchLabels: { readonly [label: string]: string } };
    readonly updateStrategy: unknown;
    readonly template: {
      readonly metadata: { readonly labels: { readonly [label: string]: string } };
      readonly spec: PodSpec;
    };
  };
}

export interface PodSpec {
  readonly securityContext: { readonly seccompProfile: { readonly type: string } };
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly [field: string]: unknown;
}

export interface Volume {
  readonly name: string;
  readonly hostPath?: { readonly path: string; readonly type?: string };
  readonly configMap?: { readonly name: string };
  readonly emptyDir?: object;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
  }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext: {
    readonly capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] };
    readonly [field: string]: unknown;
  };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
