/** The pod of a DaemonSet on a host that is a namespace with a folder for its disk; runc runs its containers. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Namespace } from '../../../src/lab/namespace.js';
import { type Container, type DaemonSet, type Manifest, only, type Volume } from '../kube/manifests.js';
import { imageEnvironment } from './dockerfile.js';
import { ociSpec } from './oci.js';

export interface PodPlan {
  readonly rootFs: string;
  /** Of a whole cluster's manifest: its DaemonSet and its ConfigMaps. */
  readonly manifests: readonly Manifest[];
  readonly nodeName: string;
  readonly namespace: Namespace;
  /** Becomes the host's `/`: what a hostPath names is below it, but for devices. */
  readonly disk: string;
  /** How the pod finds the API server, and who it is there. */
  readonly api: {
    readonly host: string;
    readonly port: number;
    readonly caFile: string;
    readonly token: string;
  };
}

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const POD_NAME = 'twill-x7k2p';

export class Pod {
  readonly #plan: PodPlan;
  readonly #daemonSet: DaemonSet;
  readonly #volumes: { [name: string]: string } = {};

  constructor(plan: PodPlan) {
    this.#plan = plan;
    this.#daemonSet = only<DaemonSet>(plan.manifests, 'DaemonSet');
    for (const volume of this.#daemonSet.spec.template.spec.volumes)
      this.#volumes[volume.name] = this.#place(volume);
    this.#volumes['account'] = this.#folder('account', {
      'ca.crt': readFileSync(plan.api.caFile, 'utf8'),
      namespace: this.#daemonSet.metadata.namespace ?? '',
      token: plan.api.token,
    });
  }

  get namespace(): Namespace {
    return this.#plan.namespace;
  }

  /** Where a file of the host is for us. */
  onDisk(path: string): string {
    return join(this.#plan.disk, path);
  }

  volume(name: string): string {
    return this.#volumes[name] ?? assert.fail(`there is no volume ${name}`);
  }

  container(name: string): Container {
    const { initContainers, containers } = this.#daemonSet.spec.template.spec;
    const found = [...initContainers, ...containers].find((candidate) => candidate.name === name);
    return found ?? assert.fail(`there is no container ${name}`);
  }

  /** Starts a container; `change` is done to a copy of what the manifest says of it. */
  start(t: TestContext, name: string, change: Partial<Container> = {}): RunningContainer {
    const { host, port } = this.#plan.api;
    const container = { ...this.container(name), ...change };
    const mounts = [...container.volumeMounts, { name: 'account', mountPath: ACCOUNT }];
    const spec = ociSpec(
      { ...container, volumeMounts: mounts },
      {
        rootFs: this.#plan.rootFs,
        podSecurity: this.#daemonSet.spec.template.spec.securityContext,
        fields: {
          'metadata.name': POD_NAME,
          'metadata.namespace': this.#daemonSet.metadata.namespace ?? '',
          'spec.nodeName': this.#plan.nodeName,
        },
        environment: {
          ...imageEnvironment(),
          KUBERNETES_SERVICE_HOST: host,
          KUBERNETES_SERVICE_PORT: String(port),
        },
        volumes: this.#volumes,
      },
    );
    const bundle = this.#folder(`bundle-${name}`, { 'config.json': JSON.stringify(spec) });
    return new RunningContainer(
      t,
      this.namespace,
      bundle,
      `twill-${process.pid}-${this.#plan.nodeName}-${name}`,
    );
  }

  #place({ name, hostPath, configMap, emptyDir }: Volume): string {
    if (configMap) {
      const maps = this.#plan.manifests.filter(({ metadata }) => metadata.name === configMap.name);
      return this.#folder(name, only<Manifest & { data: Record<string, string> }>(maps, 'ConfigMap').data);
    }
    if (emptyDir) return this.#folder(name, {});
    const path = hostPath?.path ?? assert.fail(`volume ${name} is of no kind that is known`);
    if (hostPath?.type === 'CharDevice') return path;
    mkdirSync(hostPath?.type === 'FileOrCreate' ? join(this.onDisk(path), '..') : this.onDisk(path), {
      recursive: true,
    });
    if (hostPath?.type === 'FileOrCreate') closeSync(openSync(this.onDisk(path), 'a'));
    return this.onDisk(path);
  }

  /** A folder of the kubelet's, with these files. */
  #folder(name: string, files: { readonly [file: string]: string }): string {
    const path = join(this.#plan.disk, 'var/lib/kubelet', name);
    mkdirSync(path, { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
    return path;
  }
}

export class RunningContainer {
  readonly #process: ChildProcess;
  #output = '';

  constructor(t: TestContext, namespace: Namespace, bundle: string, id: string) {
    const states = join(bundle, 'states');
    // With this process all inside ends, so does it with us.
    const outer = ['--pid', '--fork', '--kill-child', '--mount-proc'];
    const runtime = ['runc', `--root=${states}`, 'run', `--bundle=${bundle}`, id];
    this.#process = namespace.spawn('unshare', [...outer, ...runtime], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    t.after(async () => {
      if (this.isRunning) {
        const end = once(this.#process, 'exit');
        // Its first process, so that the runtime takes away what it made; where there is none yet, all.
        try {
          process.kill(this.pid, 'SIGKILL');
        } catch {
          this.#process.kill('SIGKILL');
        }
        await end;
      }
      removeCgroups(id);
    });
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }
  /** What it printed. */
  get output(): string {
    return this.#output;
  }

  /** Waits for its end: the exit code. */
  async ended(): Promise<number | null> {
    if (this.isRunning) await once(this.#process, 'close');
    return this.#process.exitCode;
  }

  /** The container's first process, as this machine numbers it. */
  get pid(): number {
    const runtime = childOf(this.#process.pid ?? 0);
    return childOf(runtime);
  }

  /** The runtime passes it on. */
  signal(name: NodeJS.Signals): void {
    process.kill(childOf(this.#process.pid ?? 0), name);
  }
}

/** Its first child, whichever of its threads has it. */
function childOf(pid: number): number {
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const [child = ''] = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ');
    if (child !== '') return Number(child);
  }
  throw new Error(`process ${pid} has no child`);
}

const CGROUPS = '/sys/fs/cgroup';

/** Those that the runtime has left: it is at its end before the last process of the container is. */
function removeCgroups(id: string): void {
  for (const hierarchy of ['', ...readdirSync(CGROUPS)]) {
    try {
      rmdirSync(join(CGROUPS, hierarchy, id));
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}
