/**
 * A whole Kubernetes on one machine: etcd, API server, controllers and scheduler in one network namespace, and nodes in others, each
 * with mounts, processes and a container runtime of its own. With us all of it ends.
 */

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../../src/lab/namespace.js';
import { issue, makeCertificates } from '../support/certificates.js';
import { root } from '../support/documents.js';
import { makeSegment, until } from '../support/namespaces.js';
import { makeImages, PAUSE } from './images.js';
import { kubernetesPrograms } from './programs.js';

const API = '192.0.2.250';
const SERVICE = '10.96.0.1';
/** Of a host, each node has its own. */
const FOLDERS = [
  ...['/etc/cni/net.d', '/opt/cni/bin', '/run/flannel', '/run/containerd', '/run/netns'],
  ...['/var/lib/twill', '/var/lib/kubelet', '/var/lib/containerd', '/var/lib/cni'],
  ...['/var/log/pods', '/var/log/containers'],
];
const LOCK = '/run/xtables.lock';
const CGROUPS = '/sys/fs/cgroup';
const cgroupOf = (node: string) => `twill-cluster-${process.pid}-${node}`;

/** Who each is, as a certificate says it: its name, and its groups. */
const USERS: { readonly [name: string]: string } = {
  admin: 'admin/O=system:masters',
  controllers: 'system:kube-controller-manager',
  scheduler: 'system:kube-scheduler',
  proxy: 'system:kube-proxy',
};

/** Makes folders and files that are not there yet, to be mounted upon; what takes them away again. */
function borrow(folders: readonly string[], files: readonly string[]): () => void {
  const made: string[] = [];
  for (const folder of folders) {
    const parts = folder.split('/').slice(1);
    const paths = parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`);
    for (const path of paths.filter((one) => !existsSync(one))) {
      mkdirSync(path);
      made.push(path);
    }
  }
  const written = files.filter((file) => !existsSync(file));
  for (const file of written) writeFileSync(file, '');
  return () => {
    for (const file of written) rmSync(file);
    for (const path of made.reverse()) rmdirSync(path);
  };
}

/** All that a kubelet has left below a place in each hierarchy; whether it could go: what has ended may have to be waited for. */
function removeCgroups(name: string): boolean {
  const remove = (path: string) => {
    for (const child of readdirSync(path, { withFileTypes: true }))
      if (child.isDirectory()) remove(join(path, child.name));
    rmdirSync(path);
  };
  try {
    for (const hierarchy of readdirSync(CGROUPS)) {
      const path = join(CGROUPS, hierarchy, name);
      if (existsSync(path)) remove(path);
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return false;
    throw error;
  }
}

export class Cluster {
  readonly nodes: readonly string[];
  readonly #directory: string;
  readonly #programs: string;
  readonly #control: Namespace;
  readonly #hosts: readonly Namespace[];
  #server: ChildProcess | null = null;

  private constructor(directory: string, programs: string, control: Namespace, hosts: readonly Namespace[]) {
    this.#directory = directory;
    this.#programs = programs;
    this.#control = control;
    this.#hosts = hosts;
    this.nodes = hosts.map(({ label }) => label);
  }

  /** Two nodes, `worker-1` and `worker-2`, that wait for a network. The logs stay below `build/cluster`. */
  static async make(t: TestContext): Promise<Cluster> {
    const programs = kubernetesPrograms();
    const labels = ['worker-1', 'worker-2'];
    const places = labels.map((label, i) => ({ label, addresses: [`192.0.2.${i + 1}/24`] }));
    const hosts = await makeSegment(t, [...places, { label: 'control', addresses: [`${API}/24`] }]);
    const control = hosts.pop() as Namespace;
    // What is to be done at the end is done in this order: the namespaces, and all that runs in them, are the first to go.
    t.after(() =>
      until('the control groups are gone', async () =>
        labels.every((label) => removeCgroups(cgroupOf(label))),
      ),
    );
    t.after(borrow(FOLDERS, [LOCK]));
    const directory = mkdtempSync(join(tmpdir(), 'twill-cluster-'));
    t.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 20 }));
    const cluster = new Cluster(directory, programs, control, hosts);
    await cluster.#certify();
    await cluster.#startControl();
    const images = await makeImages(directory);
    for (const [i, host] of hosts.entries()) await cluster.#startHost(host, `192.0.2.${i + 1}`, images);
    await until(
      'the nodes are known',
      async () => (await cluster.kubectl('get', 'nodes', '-o', 'name')).split('\n').length > hosts.length,
      120_000,
    );
    return cluster;
  }

  /** Throws with what it says where it fails. */
  async kubectl(...argv: string[]): Promise<string> {
    const place = [
      '-C',
      root,
      `HOME=${this.#directory}`,
      'kubectl',
      `--kubeconfig=${this.#path('admin.conf')}`,
    ];
    return (await this.#control.exec('env', [...place, ...argv], 300_000)).stdout;
  }

  /** In the network of a node. */
  host(name: string): Namespace {
    const found = this.#hosts.find(({ label }) => label === name);
    if (!found) throw new Error(`there is no node ${name}`);
    return found;
  }

  /** Of the node's network, those whose command line holds this. */
  processesOf(name: string, text: string): number[] {
    const network = readlinkSync(`/proc/${this.host(name).pid}/ns/net`);
    return readdirSync('/proc').flatMap((entry) => {
      try {
        const isHere = readlinkSync(`/proc/${entry}/ns/net`) === network;
        return isHere && readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(text) ? Number(entry) : [];
      } catch {
        // No process, or one that has just ended.
        return [];
      }
    });
  }

  /** It is killed, and comes back. */
  async restartServer(): Promise<void> {
    const server = this.#server;
    if (server && server.exitCode === null) {
      const end = once(server, 'exit');
      server.kill('SIGKILL');
      await end;
    }
    await this.#startServer();
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  async #certify(): Promise<void> {
    const hosts = [API, SERVICE, '127.0.0.1', 'kubernetes.default.svc'];
    const { caFile, caKeyFile } = await makeCertificates(this.#directory, { hosts });
    const nodes = this.nodes.map((name) => [name, `system:node:${name}/O=system:nodes`] as const);
    for (const [name, cn] of [...Object.entries(USERS), ...nodes]) {
      const address = this.nodes.indexOf(name) + 1;
      const names = address > 0 ? [name, `192.0.2.${address}`] : [];
      const files = { certFile: this.#path(`${name}.pem`), keyFile: this.#path(`${name}.key`) };
      await issue({ caFile, caKeyFile }, { cn, hosts: names, ...files });
      const user = { 'client-certificate': files.certFile, 'client-key': files.keyFile };
      const cluster = { server: `https://${API}:6443`, 'certificate-authority': caFile };
      const config = {
        ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'c' },
        clusters: [{ name: 'c', cluster }],
        users: [{ name: 'u', user }],
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      };
      writeFileSync(this.#path(`${name}.conf`), JSON.stringify(config));
    }
    await this.#control.exec('openssl', ['genrsa', '-out', this.#path('accounts.key'), '2048']);
    await this.#control.exec('openssl', [
      'rsa',
      '-in',
      this.#path('accounts.key'),
      '-pubout',
      '-out',
      this.#path('accounts.pub'),
    ]);
  }

  #start(name: string, command: string, args: readonly string[]): ChildProcess {
    const log = openSync(this.#log(name), 'a');
    const child = this.#control.spawn(command, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    return child;
  }

  #log(name: string): string {
    const folder = join(root, 'build/cluster');
    mkdirSync(folder, { recursive: true });
    return join(folder, `${name}.log`);
  }

  async #startControl(): Promise<void> {
    const urls = ['listen-client', 'advertise-client'].map((name) => `--${name}-urls=http://127.0.0.1:2379`);
    this.#start('etcd', 'etcd', [
      `--data-dir=${this.#path('etcd')}`,
      '--unsafe-no-fsync',
      '--listen-peer-urls=http://127.0.0.1:2380',
      ...urls,
    ]);
    await this.#startServer();
    const program = (name: string) => join(this.#programs, name);
    this.#start('controllers', program('kube-controller-manager'), [
      `--kubeconfig=${this.#path('controllers.conf')}`,
      ...['--allocate-node-cidrs=true', '--cluster-cidr=10.244.0.0/16', '--leader-elect=false'],
      `--service-account-private-key-file=${this.#path('accounts.key')}`,
      `--root-ca-file=${this.#path('ca.pem')}`,
      ...['--use-service-account-credentials', `--cert-dir=${this.#path('controllers')}`],
    ]);
    this.#start('scheduler', program('kube-scheduler'), [
      `--kubeconfig=${this.#path('scheduler.conf')}`,
      ...['--leader-elect=false', `--cert-dir=${this.#path('scheduler')}`],
    ]);
  }

  async #startServer(): Promise<void> {
    this.#server = this.#start('apiserver', join(this.#programs, 'kube-apiserver'), [
      ...['--etcd-servers=http://127.0.0.1:2379', `--advertise-address=${API}`, '--secure-port=6443'],
      ...[
        '--service-cluster-ip-range=10.96.0.0/16',
        '--authorization-mode=Node,RBAC',
        '--allow-privileged=true',
      ],
      ...['--enable-admission-plugins=NodeRestriction', '--kubelet-preferred-address-types=InternalIP'],
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${this.#path('accounts.pub')}`,
      `--service-account-signing-key-file=${this.#path('accounts.key')}`,
      `--client-ca-file=${this.#path('ca.pem')}`,
      `--tls-cert-file=${this.#path('server.pem')}`,
      `--tls-private-key-file=${this.#path('server.key')}`,
      `--kubelet-client-certificate=${this.#path('admin.pem')}`,
      `--kubelet-client-key=${this.#path('admin.key')}`,
      `--kubelet-certificate-authority=${this.#path('ca.pem')}`,
      `--cert-dir=${this.#path('apiserver')}`,
    ]);
    const isReady = () =>
      this.kubectl('get', '--raw=/readyz').then(
        () => true,
        () => false,
      );
    await until('the API server is ready', isReady, 120_000);
  }

  async #startHost(host: Namespace, address: string, images: readonly string[]): Promise<void> {
    const disk = this.#path(host.label);
    mkdirSync(join(disk, 'run'), { recursive: true });
    await host.exec('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    // The Service of the API server has to be on the way to somewhere.
    await host.ip('route', 'add', 'default', 'via', API);
    const env = {
      ...process.env,
      ...{ NODE: host.label, DISK: disk, CGROUP: cgroupOf(host.label), PROGRAMS: this.#programs },
      ...{
        CONFIG: this.#directory,
        ADDRESS: address,
        IMAGES: images.join(' '),
        PAUSE,
        FOLDERS: FOLDERS.join(' '),
      },
    };
    const script = fileURLToPath(new URL('../../../test/cluster/host.sh', import.meta.url));
    // With its first process all that runs there ends.
    const inside = ['--mount', '--propagation=slave', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const log = openSync(this.#log(host.label), 'a');
    host.spawn('unshare', [...inside, 'bash', script], { env, stdio: ['ignore', log, log] });
    closeSync(log);
  }
}
