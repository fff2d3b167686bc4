/** Agents around an API server that runs on a segment with them: 192.0.2.1, 192.0.2.2, ...; the server is 192.0.2.250. */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../../../src/lab/namespace.js';
import { AgentNode, network } from '../agent-node.js';
import { makeSegment } from '../namespaces.js';
import type { Asked, Faults, ServerSetup } from './api-server.js';
import type { NodeObject, NodePlan } from './objects.js';

export const PREFIX = 'flannel.alpha.coreos.com/';
const host = '192.0.2.250';
const port = 6443;

/** The server in its process, call by call. */
export class KubeApi {
  readonly url: string;
  /** Whether the nodes of the segment reach it, as far as the test has not taken it away. */
  isReachable = true;
  readonly #child: ChildProcess;
  #serial = 0;
  readonly #waiting = new Map<number, (answer: { value?: unknown; error?: string }) => void>();

  constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
    child.on('message', ({ id, ...answer }: { id: number; value?: unknown; error?: string }) => {
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
    child.once('exit', () => {
      for (const answer of this.#waiting.values()) answer({ error: 'the API server has ended' });
    });
  }

  addNode(name: string, plan: NodePlan = {}): Promise<void> {
    return this.#call('state', 'addNode', name, plan);
  }
  deleteNode(name: string): Promise<NodeObject> {
    return this.#call('state', 'deleteNode', name);
  }
  annotate(name: string, annotations: { readonly [key: string]: string | null }): Promise<void> {
    return this.#call('state', 'annotate', name, annotations);
  }
  node(name: string): Promise<NodeObject> {
    return this.#call('state', 'node', name);
  }
  nodes(): Promise<NodeObject[]> {
    return this.#call('state', 'nodes');
  }
  /** As a node itself does it. */
  patchStatus(name: string, patch: object): Promise<NodeObject> {
    return this.#call('state', 'patchNode', name, patch, 'strategic', 'status');
  }
  /** Of what a manifest brought, by its path. */
  object(path: string): Promise<{ readonly [field: string]: unknown }> {
    return this.#call('state', 'object', path);
  }
  setObjectStatus(path: string, status: object): Promise<void> {
    return this.#call('state', 'setObjectStatus', path, status);
  }
  addPod(namespace: string, name: string, nodeName: string): Promise<void> {
    return this.#call('state', 'addPod', namespace, name, nodeName);
  }
  heartbeat(name: string): Promise<void> {
    return this.#call('state', 'heartbeat', name);
  }
  compact(): Promise<void> {
    return this.#call('state', 'compact');
  }
  stop(): Promise<void> {
    this.isReachable = false;
    return this.#call('server', 'stop');
  }
  async start(): Promise<void> {
    await this.#call('server', 'start');
    this.isReachable = true;
  }
  closeWatches(): Promise<void> {
    return this.#call('server', 'closeWatches');
  }
  setFaults(faults: Faults): Promise<void> {
    return this.#call('server', 'setFaults', faults);
  }
  setTokens(tokens: { readonly [token: string]: string }): Promise<void> {
    return this.#call('server', 'setTokens', tokens);
  }
  asked(): Promise<Asked[]> {
    return this.#call('server', 'asked');
  }

  #call<T>(target: 'server' | 'state', method: string, ...args: readonly unknown[]): Promise<T> {
    const id = ++this.#serial;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ value, error }) => {
        if (error === undefined) resolve(value as T);
        else reject(new Error(error));
      });
      this.#child.send({ id, target, method, args }, (error) => {
        if (error) reject(error);
      });
    });
  }
}

export interface KubeLab {
  readonly api: KubeApi;
  /** Where the server runs. */
  readonly namespace: Namespace;
  readonly directory: string;
  readonly nodes: readonly AgentNode[];
  node(index: number): AgentNode;
  /** The server's link, taken down and up: connections stay, and nothing passes. */
  unplug(): Promise<void>;
  plug(): Promise<void>;
}

export interface KubeLabSetup extends ServerSetup {
  readonly nodes?: number;
  /** Their names, in the place of `nodes`. */
  readonly names?: readonly string[];
  /** Beside IPv4: 2001:db8::1, 2001:db8::2, ... */
  readonly withIpv6?: boolean;
}

/** Names of the nodes: `n0`, `n1`, ..., unless told otherwise. None is registered yet. `config`: of the network, beside its range. */
export async function labOnKube(
  t: TestContext,
  config: object,
  { nodes: count = 2, names: given, withIpv6 = false, ...setup }: KubeLabSetup = {},
): Promise<KubeLab> {
  const directory = await mkdtemp(join(tmpdir(), 'twill-kube-'));
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  const names = given ?? Array.from({ length: count }, (_, i) => `n${i}`);
  const places = names.map((label, i) => ({
    label,
    addresses: [`192.0.2.${i + 1}/24`, ...(withIpv6 ? [`2001:db8::${i + 1}/64`] : [])],
  }));
  const namespaces = await makeSegment(t, [...places, { label: 'kube', addresses: [`${host}/24`] }]);
  const place = namespaces.pop();
  if (!place) throw new Error('a segment without the server');
  const api = await startKubeApi(place, setup);
  const netConf = join(directory, 'net-conf.json');
  await writeFile(netConf, JSON.stringify({ Network: network, ...config }));
  const nodes = namespaces.map((namespace) => {
    const node = new AgentNode(namespace, directory, '');
    node.environment = { NODE_NAME: namespace.label };
    // Each host has its own.
    node.storeFlags = [...['--kube-subnet-mgr', `--kube-api-url=${api.url}`, `--net-config-path=${netConf}`]];
    t.after(() => node.stop('SIGKILL'));
    return node;
  });
  const node = (index: number): AgentNode => {
    const found = nodes[index];
    if (!found) throw new Error(`there is no node ${index}`);
    return found;
  };
  const link = async (state: 'up' | 'down') => {
    await place.ip('link', 'set', 'eth0', state);
    api.isReachable = state === 'up';
  };
  return {
    ...{ api, namespace: place, directory, nodes, node },
    unplug: () => link('down'),
    plug: () => link('up'),
  };
}

async function startKubeApi(namespace: Namespace, setup: ServerSetup): Promise<KubeApi> {
  const script = fileURLToPath(new URL('./process.js', import.meta.url));
  const argv = [script, JSON.stringify({ host, port, ...setup })];
  const child = namespace.spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('exit', (code) => reject(new Error(`the API server ended with ${code}`)));
  });
  return new KubeApi(`${setup.tls ? 'https' : 'http'}://${host}:${port}`, child);
}
