/** What a cluster's API server knows: nodes and pods, each change with a version, and of the last ones the history. */
import { ApiError, type NodeObject, type NodePlan, nodeObject, type PodObject } from './objects.js';
import { OtherObjects } from './other-objects.js';
import { type PatchKind, patchedNode } from './patch.js';

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: NodeObject;
  readonly version: number;
}

export class KubeState {
  /** Beside nodes and pods. */
  readonly objects = new OtherObjects();
  #version = 1000;
  #serial = 0;
  readonly #nodes = new Map<string, NodeObject>();
  readonly #pods = new Map<string, PodObject>();
  #history: WatchEvent[] = [];
  /** The oldest version from which a watch can still go on. */
  #oldest = 1000;
  readonly #listeners = new Set<(event: WatchEvent) => void>();

  get version(): number {
    return this.#version;
  }

  /** In the order of their names, as etcd has them. */
  nodes(): NodeObject[] {
    return [...this.#nodes.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }
  node(name: string): NodeObject {
    const node = this.#nodes.get(name);
    if (node) return node;
    throw new ApiError(404, 'NotFound', `nodes "${name}" not found`);
  }
  pod(namespace: string, name: string): PodObject {
    const pod = this.#pods.get(`${namespace}/${name}`);
    if (pod) return pod;
    throw new ApiError(404, 'NotFound', `pods "${name}" not found`);
  }

  addNode(name: string, plan: NodePlan = {}): void {
    this.createNode(nodeObject(name, plan, ++this.#serial));
  }

  createNode(node: NodeObject): NodeObject {
    const { name } = node.metadata;
    if (this.#nodes.has(name)) throw new ApiError(409, 'AlreadyExists', `nodes "${name}" already exists`);
    return this.#write('ADDED', node);
  }

  /** As `kubectl get` shows it. */
  object(path: string): object {
    return this.objects.get(path);
  }

  /** As a controller reports of what it has done. */
  setObjectStatus(path: string, status: object): void {
    this.objects.setStatus(path, status);
  }

  addPod(namespace: string, name: string, nodeName: string): void {
    const metadata = {
      ...{ name, namespace, uid: `pod-${++this.#serial}`, resourceVersion: String(++this.#version) },
      creationTimestamp: `${new Date().toISOString().slice(0, 19)}Z`,
    };
    this.#pods.set(`${namespace}/${name}`, { apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName } });
  }

  /** The node as it is then; the same version where nothing has changed. */
  patchNode(name: string, patch: unknown, kind: PatchKind, subresource: string): NodeObject {
    const before = this.node(name);
    const after = patchedNode(before, patch, kind, subresource);
    return JSON.stringify(after) === JSON.stringify(before) ? before : this.#write('MODIFIED', after);
  }

  /** Annotations by another hand; null removes one. */
  annotate(name: string, annotations: { readonly [key: string]: string | null }): void {
    this.patchNode(name, { metadata: { annotations } }, 'merge', '');
  }

  /** What a kubelet does each few minutes. */
  heartbeat(name: string): void {
    const now = `${new Date().toISOString().slice(0, 19)}Z`;
    const beat = String(++this.#serial);
    const conditions = [{ type: 'Ready', lastHeartbeatTime: now, message: `kubelet is well, ${beat}` }];
    this.patchNode(name, { status: { conditions } }, 'strategic', 'status');
  }

  deleteNode(name: string): NodeObject {
    const node = this.node(name);
    this.#nodes.delete(name);
    return this.#publish('DELETED', this.#versioned(node));
  }

  /** What has happened after this version; null: it is too old. */
  eventsAfter(version: number): WatchEvent[] | null {
    if (version < this.#oldest) return null;
    return this.#history.filter((event) => event.version > version);
  }

  /** Calls at each event; what it returns ends that. */
  listen(listener: (event: WatchEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets the history, as etcd's compaction does. */
  compact(): void {
    this.#history = [];
    this.#oldest = ++this.#version;
  }

  /** As after etcd was restored from a backup: its versions begin where they were then. */
  turnBack(version: number): void {
    this.#version = version;
    this.#history = [];
    this.#oldest = version;
    for (const node of this.#nodes.values()) node.metadata.resourceVersion = String(version);
  }

  #write(type: 'ADDED' | 'MODIFIED', node: NodeObject): NodeObject {
    const written = this.#versioned(node);
    this.#nodes.set(node.metadata.name, written);
    return this.#publish(type, written);
  }

  #versioned(node: NodeObject): NodeObject {
    return { ...node, metadata: { ...node.metadata, resourceVersion: String(++this.#version) } };
  }

  #publish(type: WatchEvent['type'], object: NodeObject): NodeObject {
    const event = { type, object, version: this.#version };
    this.#history.push(event);
    for (const listener of this.#listeners) listener(event);
    return object;
  }
}
