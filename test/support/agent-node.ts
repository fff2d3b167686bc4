/** A whole agent, started as people start it, in a namespace of a test; and labs of several around one store. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import type { Json } from '../../src/net/json.js';
import { controlRequest } from '../../src/observe/control-socket.js';
import { cli, makePair, makeSegment, until } from './namespaces.js';

export const network = '10.77.0.0/16';

export interface Status {
  readonly node: {
    readonly publicIp: string;
    readonly publicIpv6: string | null;
    readonly subnet: string;
    readonly device: string;
    readonly mtuBytes: number;
    readonly deviceTrouble: string | null;
  };
  readonly backend: { readonly mac: string };
  readonly dataplane: {
    readonly kind: string;
    readonly why: string;
    readonly troubles: readonly { readonly subnet: string | null; readonly reason: string }[];
    readonly foreignRoutes: readonly string[];
    readonly mended: {
      readonly count: number;
      readonly last: readonly { readonly at: string; readonly what: string }[];
    };
  };
  /** The host's rules; null: none of our business. */
  readonly firewall: { readonly mended: { readonly count: number } } | null;
  readonly ready: boolean;
  /** What each condition lacks. */
  readonly readiness: { readonly [condition: string]: string | null };
  readonly peers: number;
  readonly quarantined: readonly { readonly key: string; readonly reason: string }[];
  readonly identity: { readonly encap: boolean; readonly decap: boolean };
  readonly store: { readonly trouble: string | null; readonly lastSnapshotAt: string | null };
  readonly counters: {
    readonly [direction in 'encap' | 'decap']: {
      readonly delivered: number;
      readonly drops: { readonly [reason: string]: number };
    };
  };
}

export class AgentNode {
  readonly namespace: Namespace;
  readonly directory: string;
  readonly store: string;
  process: ChildProcess | undefined;
  /** What is run, up to its flags. */
  program: readonly string[] = [cli, 'run'];
  /** Beside our own. */
  environment: NodeJS.ProcessEnv = {};
  iface = 'eth0';
  /** Where leases are kept, if not in the directory `store`. */
  storeFlags: readonly string[] = [];
  stderr = '';

  constructor(namespace: Namespace, directory: string, store: string) {
    this.namespace = namespace;
    this.directory = directory;
    this.store = store;
  }

  get socket(): string {
    return join(this.directory, `${this.namespace.label}.sock`);
  }
  get subnetFile(): string {
    return join(this.directory, `${this.namespace.label}.env`);
  }

  flags(more: readonly string[] = []): string[] {
    const places = [
      ...(this.storeFlags.length > 0 ? this.storeFlags : [`--store=dir:${this.store}`]),
      `--control-socket=${this.socket}`,
      `--subnet-file=${this.subnetFile}`,
      `--state-dir=${this.directory}`,
    ];
    if (this.iface !== '') places.push(`--iface=${this.iface}`);
    return [...this.program, ...places, ...more];
  }

  /** `around`: a command line that runs the agent, for example with less privilege. */
  run(more: readonly string[] = [], around: readonly string[] = []): ChildProcess {
    this.stderr = '';
    const [command = '', ...argv] = [...around, process.execPath, ...this.flags(more)];
    const env = { ...process.env, ...this.environment };
    const child = this.namespace.spawn(command, argv, { stdio: ['ignore', 'ignore', 'pipe'], env });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.process = child;
    return child;
  }

  /** The lines for people, of which an end in failure has one. */
  get lines(): string[] {
    return this.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  }

  /** Messages of the log at this level. */
  logged(level: string): string[] {
    return this.records.filter((record) => record.level === level).map(({ msg }) => msg);
  }

  /** Its log. */
  get records(): { readonly level: string; readonly time: string; readonly msg: string }[] {
    const lines = this.stderr.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'));
    return lines.map((line) => JSON.parse(line));
  }

  /** Runs to the end: exit code and the lines for people. */
  async fail(
    more: readonly string[] = [],
    around: readonly string[] = [],
  ): Promise<{ code: number | null; line: string }> {
    const child = this.run(more, around);
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, line: this.lines.join('\n') };
  }

  async twill(...args: string[]): Promise<string> {
    const argv = [cli, ...args, `--control-socket=${this.socket}`];
    return (await this.namespace.exec(process.execPath, argv)).stdout;
  }

  /** What its health port 8081 answers: status code and body. */
  async get(path: string): Promise<{ status: number; text: string }> {
    const url = `http://127.0.0.1:8081${path}`;
    const script = `const r = await fetch('${url}'); console.log(r.status + ' ' + await r.text())`;
    const { stdout } = await this.namespace.exec(process.execPath, ['--input-type=module', '-e', script]);
    const [, status = '', text = ''] = /^(\d+) ([\s\S]*?)\n$/.exec(stdout) ?? [];
    return { status: Number(status), text };
  }

  /** What `twill status --json` prints, without starting it. */
  async status(): Promise<Status> {
    return (await controlRequest(this.socket, 'status')) as unknown as Status;
  }

  /** What `twill peers --json` prints. */
  peers(): Promise<Json> {
    return controlRequest(this.socket, 'peers');
  }

  /** Waits until it says that it is ready. */
  async started(): Promise<Status> {
    await until(`agent ${this.namespace.label} is ready`, async () => {
      const { exitCode = null, signalCode = null } = this.process ?? {};
      assert.ok(
        exitCode === null && signalCode === null,
        `agent ${this.namespace.label} ended: ${this.stderr}`,
      );
      return this.status().then(
        ({ ready }) => ready,
        () => false,
      );
    });
    return this.status();
  }

  /** Share of one core that it uses while `during` runs. */
  async cpuShare(during: () => Promise<unknown>): Promise<number> {
    const path = `/proc/${this.process?.pid}/stat`;
    // proc(5): fields 14 and 15, ticks of 10 ms; the name in field 2 ends with the last ")".
    const ticks = async () => {
      const fields = (await readFile(path, 'utf8')).replace(/^.*\) /s, '').split(' ');
      return Number(fields[11]) + Number(fields[12]);
    };
    const [beforeTicks, beforeMs] = [await ticks(), performance.now()];
    await during();
    return ((await ticks()) - beforeTicks) / ((performance.now() - beforeMs) / 10);
  }

  /** Waits until it forwards and has this many peers. */
  async ready(peers: number): Promise<Status> {
    await this.started();
    await until(`${peers} peers`, async () => (await this.status()).peers >= peers);
    return this.status();
  }

  /** Ends it by a signal; its exit code, null where the signal itself ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.process;
    if (!child) return null;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const end = once(child, 'exit');
    child.kill(signal);
    const [code] = (await end) as [number | null];
    return code;
  }
}

export interface Lab<Nodes> {
  readonly nodes: Nodes;
  readonly store: string;
  /** Path of a lease. */
  record(key: string): string;
  /** Writes a lease as `mv` would: readers see the old one or the new one. */
  writeRecord(key: string, value: string): Promise<void>;
  /** A new directory beside the store, removed with it. */
  readonly directory: string;
}

/** Nodes of any layout around one store. */
export async function labWith<Nodes>(
  t: TestContext,
  config: object,
  makeNodes: (make: (namespace: Namespace) => AgentNode) => Promise<Nodes>,
): Promise<Lab<Nodes>> {
  const directory = await mkdtemp(join(tmpdir(), 'twill-netns-'));
  // Agents that have not ended yet may still write there.
  t.after(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
  const store = join(directory, 'store');
  const record = (key: string) => join(store, 'subnets', key);
  await mkdir(record(''), { recursive: true });
  await writeFile(join(store, 'config'), JSON.stringify({ Network: network, ...config }));
  const nodes = await makeNodes((namespace) => new AgentNode(namespace, directory, store));
  const writeRecord = async (key: string, value: string) => {
    await writeFile(join(directory, 'new-record'), value);
    await rename(join(directory, 'new-record'), record(key));
  };
  return { nodes, store, record, writeRecord, directory };
}

/** Two nodes on one veth: 192.0.2.1 and 192.0.2.2. */
export function labOfTwo(t: TestContext, config: object): Promise<Lab<readonly [AgentNode, AgentNode]>> {
  return labWith(t, config, async (make) => {
    const [a, b] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
    return [make(a), make(b)] as const;
  });
}

/** Three nodes on one bridge: 192.0.2.1 to 192.0.2.3. */
export function labOfThree(
  t: TestContext,
  config: object,
): Promise<Lab<readonly [AgentNode, AgentNode, AgentNode]>> {
  return labWith(t, config, async (make) => {
    const places = ['a', 'b', 'c'].map((label, i) => ({ label, addresses: [`192.0.2.${i + 1}/24`] }));
    const [a, b, c] = (await makeSegment(t, places)).map(make);
    assert.ok(a && b && c);
    return [a, b, c] as const;
  });
}

/** The JSON of a vxlan node's lease as flannel writes it. */
export function vxlanLease(publicIp: string, mac: string): string {
  const data = `"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}`;
  return `{"PublicIP":"${publicIp}","PublicIPv6":null,${data}}`;
}
