/**
 * Real etcd for tests: one member or three, on free ports of the loopback or inside a namespace, with TLS and users
 * where a test wants them. Its data lie in a directory of their own; all of it goes with the test.
 */
import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { Secret } from '../../src/config/secret.js';
import type { EtcdOptions } from '../../src/config/store-options.js';
import type { Namespace } from '../../src/lab/namespace.js';
import { type Certificates, makeCertificates } from './certificates.js';
import { until } from './namespaces.js';

export const etcdPrefix = '/coreos.com/network';
export const rootPassword = 'root-4f1c';

/** The reason why tests with etcd cannot run here, or false. */
export function noEtcd(): string | false {
  const missing = ['etcd', 'etcdctl', 'openssl'].filter((name) => !existsSync(`/usr/bin/${name}`));
  return missing.length > 0 && `needs ${missing.join(', ')} (Debian: etcd-server, etcd-client, openssl)`;
}

const ctlEnvironment = { ...process.env, ETCDCTL_API: '3' };

export interface EtcdSetup {
  /** 1 or 3. Default 1. */
  readonly members?: number;
  /** `server`: clients verify it by a CA; `client`: and it verifies them, the certificate's CN being the user. */
  readonly tls?: 'server' | 'client';
  /** Where it runs and listens; default: here, 127.0.0.1. */
  readonly namespace?: Namespace;
  readonly host?: string;
  readonly flags?: readonly string[];
}

/** Starts it and waits until it serves. */
export async function startEtcd(t: TestContext, setup: EtcdSetup = {}): Promise<Etcd> {
  const directory = await mkdtemp(join(tmpdir(), 'twill-etcd-'));
  const etcd = new Etcd(directory, setup);
  t.after(async () => {
    for (const member of etcd.members) await member.kill();
    await rm(directory, { recursive: true, force: true });
  });
  await etcd.begin();
  return etcd;
}

export class Etcd {
  readonly directory: string;
  readonly #setup: EtcdSetup;
  #members: readonly Member[] = [];
  certificates: Certificates | undefined;
  #user: readonly string[] = [];

  constructor(directory: string, setup: EtcdSetup) {
    this.directory = directory;
    this.#setup = setup;
  }

  get members(): readonly Member[] {
    return this.#members;
  }
  member(index = 0): Member {
    const member = this.#members[index];
    if (!member) throw new Error(`there is no member ${index}`);
    return member;
  }
  get endpoints(): readonly string[] {
    return this.#members.map(({ clientUrl }) => clientUrl);
  }

  /** What our store needs to reach it. */
  options(more: Partial<EtcdOptions> = {}): EtcdOptions {
    const caFile = this.certificates?.caFile;
    return {
      endpoints: this.endpoints,
      prefix: etcdPrefix,
      ...(caFile !== undefined && { caFile }),
      ...more,
    };
  }

  async begin(): Promise<void> {
    const { tls, host = '127.0.0.1', members = 1, namespace, flags = [] } = this.#setup;
    if (tls) this.certificates = await makeCertificates(this.directory, { hosts: [host, 'localhost'] });
    const scheme = tls ? 'https' : 'http';
    // In a namespace nobody else takes ports.
    const ports = namespace
      ? Array.from({ length: 2 * members }, (_, i) => 2379 + i)
      : await freePorts(2 * members);
    const urls = Array.from({ length: members }, (_, i) => ({
      name: `m${i}`,
      clientUrl: `${scheme}://${host}:${ports[2 * i]}`,
      peerUrl: `http://${host}:${ports[2 * i + 1]}`,
    }));
    const cluster = urls.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
    this.#members = urls.map(({ name, clientUrl, peerUrl }) => {
      const dataDirectory = join(this.directory, name);
      const argv = [
        ...['--name', name, '--data-dir', dataDirectory, '--logger', 'zap', '--log-level', 'error'],
        ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
        ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
        ...['--initial-cluster', cluster],
        ...this.#tlsFlags(),
        ...flags,
      ];
      return new Member({ name, clientUrl, peerUrl, dataDirectory, argv, namespace });
    });
    await Promise.all(this.#members.map((member) => member.start()));
    await this.healthy();
  }

  /** Waits until every member serves. */
  async healthy(): Promise<void> {
    await until(
      'etcd serves',
      () =>
        this.ctl('endpoint', 'health').then(
          () => true,
          () => false,
        ),
      60_000,
    );
  }

  /** `etcdctl ...`; its standard output. */
  ctl(...args: string[]): Promise<string> {
    return this.ctlAt(
      this.#members.filter(({ isRunning }) => isRunning).map(({ clientUrl }) => clientUrl),
      ...args,
    );
  }

  async ctlAt(endpoints: readonly string[], ...args: string[]): Promise<string> {
    const options = { env: ctlEnvironment, maxBuffer: 1 << 28 };
    return (await promisify(execFile)(...this.#command(endpoints, args), options)).stdout;
  }

  #command(endpoints: readonly string[], args: readonly string[]): [string, string[]] {
    const argv = [`--endpoints=${endpoints.join(',')}`, '--dial-timeout=10s', '--command-timeout=30s'];
    const { caFile, clientCertFile, clientKeyFile } = this.certificates ?? {};
    if (caFile !== undefined) argv.push(`--cacert=${caFile}`);
    if (this.#setup.tls === 'client') argv.push(`--cert=${clientCertFile}`, `--key=${clientKeyFile}`);
    const all = [...argv, ...this.#user, ...args];
    return this.#setup.namespace?.command('etcdctl', all) ?? ['etcdctl', all];
  }

  /** Below the prefix. */
  async put(key: string, value: string, ...args: string[]): Promise<void> {
    await this.ctl('put', ...args, '--', `${etcdPrefix}/${key}`, value);
  }
  /** Many below the prefix, on one lease, 100 in a transaction. etcdctl reads Go's strings, which these are. */
  async putMany(records: readonly (readonly [key: string, value: string])[], lease: string): Promise<void> {
    for (let at = 0; at < records.length; at += 100) {
      const puts = records
        .slice(at, at + 100)
        .map(([key, value]) => `put --lease=${lease} "${etcdPrefix}/${key}" ${JSON.stringify(value)}\n`);
      const child = execFile(...this.#command(this.endpoints, ['txn']), { env: ctlEnvironment });
      child.stdin?.end(`\n${puts.join('')}\n\n`);
      let stderr = '';
      child.stderr?.on('data', (text) => {
        stderr += text;
      });
      const [code] = await once(child, 'close');
      if (code !== 0) throw new Error(`etcdctl txn ended with ${code}: ${stderr}`);
    }
  }
  async remove(key: string): Promise<void> {
    await this.ctl('del', '--', `${etcdPrefix}/${key}`);
  }
  /** `etcdctl get --prefix`: keys and values, line by line. */
  async records(): Promise<readonly string[]> {
    return (await this.ctl('get', '--prefix', etcdPrefix)).split('\n').filter((line) => line !== '');
  }

  /** A lease of etcd, as flannel takes one before it writes a key; its id for `--lease`. */
  async grant(ttlSeconds: number): Promise<string> {
    const answer = await this.ctl('lease', 'grant', String(ttlSeconds));
    return /lease ([0-9a-f]+) granted/.exec(answer)?.[1] ?? '';
  }

  async revision(): Promise<number> {
    const [status] = JSON.parse(await this.ctl('endpoint', 'status', '-w', 'json'));
    return status.Status.header.revision;
  }
  /** Forgets all history up to now. */
  async compact(): Promise<void> {
    await this.ctl('compact', String(await this.revision()));
  }

  /** Users from here on: root, and whom the test adds. */
  async enableAuth(): Promise<void> {
    await this.ctl('user', 'add', `root:${rootPassword}`);
    await this.ctl('user', 'grant-role', 'root', 'root');
    await this.ctl('auth', 'enable');
    this.#user = [`--user=root:${rootPassword}`];
  }
  /** A user who may read and write below the prefix. */
  async addUser(name: string, password: string): Promise<{ username: string; password: Secret }> {
    await this.ctl('role', 'add', `${name}-role`);
    await this.ctl(
      'role',
      'grant-permission',
      `${name}-role`,
      '--prefix=true',
      'readwrite',
      `${etcdPrefix}/`,
    );
    await this.ctl('user', 'add', `${name}:${password}`);
    await this.ctl('user', 'grant-role', name, `${name}-role`);
    return { username: name, password: new Secret(password) };
  }

  #tlsFlags(): string[] {
    if (!this.certificates) return [];
    const { caFile, serverCertFile, serverKeyFile } = this.certificates;
    const flags = ['--cert-file', serverCertFile, '--key-file', serverKeyFile];
    return this.#setup.tls === 'client'
      ? [...flags, '--client-cert-auth', '--trusted-ca-file', caFile]
      : flags;
  }
}

interface MemberPlace {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly dataDirectory: string;
  readonly argv: readonly string[];
  readonly namespace: Namespace | undefined;
}

export class Member {
  readonly #place: MemberPlace;
  #process: ChildProcess | undefined;
  stderr = '';

  constructor(place: MemberPlace) {
    this.#place = place;
  }

  get clientUrl(): string {
    return this.#place.clientUrl;
  }
  get peerUrl(): string {
    return this.#place.peerUrl;
  }
  get name(): string {
    return this.#place.name;
  }
  get dataDirectory(): string {
    return this.#place.dataDirectory;
  }
  get isRunning(): boolean {
    const { exitCode, signalCode } = this.#process ?? {};
    return this.#process !== undefined && exitCode === null && signalCode === null;
  }

  /** Starts the process; that it serves is another matter. */
  async start(): Promise<void> {
    const { namespace, argv } = this.#place;
    const env = { ...process.env, ETCD_UNSUPPORTED_ARCH: 'arm64' };
    const options: SpawnOptions = { stdio: ['ignore', 'ignore', 'pipe'], env };
    // The kernel ends it with us, however we end.
    this.#process = namespace
      ? namespace.spawn('etcd', argv, options)
      : spawn('setpriv', ['--pdeathsig=KILL', '--', 'etcd', ...argv], options);
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-20_000);
    });
    await once(this.#process, 'spawn');
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }
  /** Connections stay, answers do not come. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }
  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!this.isRunning || !this.#process) return;
    const end = once(this.#process, 'exit');
    this.#process.kill(signal);
    this.#process.kill('SIGCONT');
    await end;
  }
}

/** Ports that nobody has now; all are held until all are found. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
