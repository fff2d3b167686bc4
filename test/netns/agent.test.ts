/**
 * Whole agents, as processes, in network namespaces: real TUN devices, real UDP, the real `ping`. Waits are conditions
 * with a limit, never fixed times.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { joinByVeth, Namespace } from '../../src/lab/namespace.js';

const cli = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const network = '10.77.0.0/16';

interface Status {
  readonly node: { readonly subnet: string; readonly device: string; readonly mtuBytes: number };
  readonly peers: number;
  readonly quarantined: readonly { readonly key: string; readonly reason: string }[];
  readonly identity: { readonly encap: boolean; readonly decap: boolean };
  readonly store: { readonly trouble: string | null };
}

class Node {
  readonly namespace: Namespace;
  readonly directory: string;
  readonly store: string;
  process: ChildProcess | undefined;
  iface = 'eth0';
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
      `--store=dir:${this.store}`,
      `--control-socket=${this.socket}`,
      `--subnet-file=${this.subnetFile}`,
    ];
    return [cli, 'run', ...places, `--iface=${this.iface}`, ...more];
  }

  run(more: readonly string[] = []): ChildProcess {
    this.stderr = '';
    const child = this.namespace.spawn(process.execPath, this.flags(more), {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.process = child;
    return child;
  }

  /** Runs to the end: exit code and the lines for people. */
  async fail(more: readonly string[] = []): Promise<{ code: number | null; line: string }> {
    const child = this.run(more);
    const [code] = (await once(child, 'close')) as [number | null];
    return {
      code,
      line: this.stderr
        .split('\n')
        .filter((line) => line.startsWith('twill:'))
        .join('\n'),
    };
  }

  /** The control socket is a file: no need to enter the namespace. */
  async twill(...args: string[]): Promise<string> {
    const { stdout } = await this.namespace.exec(process.execPath, [
      cli,
      ...args,
      `--control-socket=${this.socket}`,
    ]);
    return stdout;
  }

  async status(): Promise<Status> {
    return JSON.parse(await this.twill('status', '--json')) as Status;
  }

  async started(): Promise<Status> {
    const ended = () => this.process?.exitCode !== null && this.process?.exitCode !== undefined;
    await until(`agent ${this.namespace.label} answers`, async () => {
      assert.ok(!ended(), `agent ${this.namespace.label} ended: ${this.stderr}`);
      return this.status().then(
        () => true,
        () => false,
      );
    });
    return this.status();
  }

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

/** Two namespaces on one veth, one store directory. */
async function lab(
  t: TestContext,
  config: object,
): Promise<{ a: Node; b: Node; store: string; record: (key: string) => string }> {
  const directory = await mkdtemp(join(tmpdir(), 'twill-netns-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const store = join(directory, 'store');
  await mkdir(join(store, 'subnets'), { recursive: true });
  await writeFile(join(store, 'config'), JSON.stringify({ Network: network, ...config }));
  const left = await Namespace.create('a');
  t.after(() => left.close());
  const right = await Namespace.create('b');
  t.after(() => right.close());
  await joinByVeth(
    { namespace: left, device: 'eth0', addresses: ['192.0.2.1/24'] },
    { namespace: right, device: 'eth0', addresses: ['192.0.2.2/24'] },
  );
  const a = new Node(left, directory, store);
  const b = new Node(right, directory, store);
  return { a, b, store, record: (key) => join(store, 'subnets', key) };
}

function base(subnet: string): string {
  return subnet.split('/')[0] ?? '';
}

async function ping(from: Node, to: string, ...flags: string[]): Promise<boolean> {
  return from.namespace.exec('ping', ['-n', '-c', '1', '-W', '1', ...flags, to]).then(
    () => true,
    () => false,
  );
}

async function until(what: string, check: () => Promise<boolean>, withinMs = 10_000): Promise<void> {
  const endMs = Date.now() + withinMs;
  while (!(await check())) {
    if (Date.now() > endMs) assert.fail(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The reason why these tests cannot run here, or false. */
async function missing(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'needs root, or a user namespace of its own';
  for (const [path, what] of [
    ['/dev/net/tun', 'TUN devices'],
    ['/usr/bin/unshare', 'unshare of util-linux'],
  ] as const) {
    const there = await access(path, constants.F_OK).then(
      () => true,
      () => false,
    );
    if (!there) return `needs ${what} (${path})`;
  }
  return false;
}
const skip = await missing();

for (const type of ['vxlan', 'udp'] as const) {
  test(`two agents, ${type}: ping both ways, full frames, and an exact account`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { a, b } = await lab(t, { Backend: { Type: type } });
    a.run();
    b.run();
    const [left, right] = await Promise.all([a.started(), b.started()]);
    assert.notEqual(left.node.subnet, right.node.subnet);
    await until('a reaches b', () => ping(a, base(right.node.subnet)));
    await until('b reaches a', () => ping(b, base(left.node.subnet)));
    const fullBytes = String(left.node.mtuBytes - 28);
    assert.ok(
      await ping(a, base(right.node.subnet), '-M', 'do', '-s', fullBytes),
      'a packet of exactly the MTU passes',
    );
    assert.match(
      await readFile(a.subnetFile, 'utf8'),
      new RegExp(`^FLANNEL_MTU=${left.node.mtuBytes}$`, 'm'),
    );
    const { identity, peers, store } = await a.status();
    assert.deepEqual(
      { identity, peers, trouble: store.trouble },
      { identity: { encap: true, decap: true }, peers: 1, trouble: null },
    );
    assert.match(await a.twill('trace', base(right.node.subnet)), /192\.0\.2\.2/);
    assert.match(await a.twill('peers'), /192\.0\.2\.2/);
    assert.deepEqual([await a.stop('SIGINT'), await b.stop()], [0, 0]);
    const devices = await a.namespace.ip('-o', 'link');
    assert.doesNotMatch(
      devices,
      new RegExp(left.node.device.replace('.', '\\.')),
      'the device went with the agent',
    );
  });
}

test('a lease file written by hand for a kernel vxlan peer pings both ways within a second', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { a, b, record } = await lab(t, { Backend: { Type: 'vxlan' } });
  a.run();
  const { node } = await a.started();
  const mac = '0e:2a:00:00:00:02';
  const own = JSON.parse(await readFile(record(node.subnet.replace('/', '-')), 'utf8'));
  // The peer as flannel sets it up.
  const ip = (...args: string[]) => b.namespace.ip(...args);
  const device = [
    'type',
    'vxlan',
    'id',
    '1',
    'local',
    '192.0.2.2',
    'dev',
    'eth0',
    'dstport',
    '8472',
    'nolearning',
  ];
  await ip('link', 'add', 'flannel.1', 'address', mac, 'mtu', '1450', ...device);
  await ip('address', 'add', '10.77.250.0/32', 'dev', 'flannel.1');
  await ip('link', 'set', 'flannel.1', 'up');
  const vtep = own.BackendData.VtepMAC as string;
  await ip('neighbour', 'add', base(node.subnet), 'lladdr', vtep, 'dev', 'flannel.1', 'nud', 'permanent');
  await b.namespace.exec('bridge', ['fdb', 'add', vtep, 'dev', 'flannel.1', 'dst', '192.0.2.1']);
  await ip('route', 'add', node.subnet, 'via', base(node.subnet), 'dev', 'flannel.1', 'onlink');

  const backend = `"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}`;
  await writeFile(record('10.77.250.0-24'), `{"PublicIP":"192.0.2.2","PublicIPv6":null,${backend}}`);
  const writtenAtMs = Date.now();
  await until('ours reaches the kernel', () => ping(a, '10.77.250.0', '-W', '0.2'), 5000);
  const tookMs = Date.now() - writtenAtMs;
  assert.ok(tookMs < 1000, `reachable after ${tookMs} ms`);
  assert.ok(await ping(b, base(node.subnet)), 'the kernel reaches ours');

  await t.test('a leftover kernel device that holds the port is named', async () => {
    const { code, line } = await b.fail();
    assert.equal(code, 1);
    assert.match(line, /^twill: [^\n]*flannel\.1[^\n]*ip link delete flannel\.1[^\n]*$/);
  });
});

test('junk, broken JSON and a second claim are quarantined by name; other peers never notice', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { a, b, store, record } = await lab(t, { Backend: { Type: 'vxlan' } });
  a.run();
  b.run();
  const [, right] = await Promise.all([a.started(), b.started()]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => ping(a, target));
  await mkdir(record('10.77.244.0-24'));
  await writeFile(record('junk'), 'x');
  await writeFile(record('10.77.240.0-24'), '{"PublicIP":');
  await writeFile(record('10.77.241.0-24'), '{"PublicIP":"127.0.0.1"}');
  // Two nodes claim one range: the second to come is refused.
  const lease = (publicIp: string, mac: string) =>
    `{"PublicIP":"${publicIp}","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`;
  await writeFile(record('10.77.242.0-24'), lease('192.0.2.42', '02:00:00:00:00:42'));
  await until('the first claim is a peer', async () => (await a.status()).peers === 2);
  await writeFile(record('10.77.242.0-25'), lease('192.0.2.43', '02:00:00:00:00:43'));
  await writeFile(record('10.77.243.0-24'), lease('192.0.2.44', '02:00:00:00:00:42'));
  const bad = [
    '10.77.240.0-24',
    '10.77.241.0-24',
    '10.77.242.0-25',
    '10.77.243.0-24',
    '10.77.244.0-24',
    'junk',
  ];
  const named = async () => (await a.status()).quarantined.map(({ key }) => key).sort();
  await until('all bad records are named', async () => (await named()).length === bad.length);
  assert.deepEqual(await named(), bad);
  const text = await a.twill('status');
  for (const key of bad) assert.ok(text.includes(`  ${key}: `), `${key} is shown to people`);
  assert.equal((await a.status()).peers, 2);
  assert.ok(await ping(a, target));
  assert.ok(await ping(b, base((await a.status()).node.subnet)));
  assert.deepEqual(
    (await readdir(join(store, 'subnets'))).filter((name) => name === 'junk'),
    ['junk'],
    'nothing of it is touched',
  );
});

test('a restart keeps subnet and MAC; a lease taken by another node ends the agent with 1', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { a, record } = await lab(t, { Backend: { Type: 'vxlan' } });
  a.run();
  const first = await a.started();
  const path = record(first.node.subnet.replace('/', '-'));
  const macOf = async () => JSON.parse(await readFile(path, 'utf8')).BackendData.VtepMAC;
  const mac = await macOf();
  assert.equal(await a.stop(), 0);
  const child = a.run();
  const second = await a.started();
  assert.deepEqual([second.node.subnet, await macOf()], [first.node.subnet, mac]);
  const end = once(child, 'close');
  // Moved into place: what it reads half-written the agent takes for damage, and mends.
  await writeFile(
    record('.new'),
    '{"PublicIP":"192.0.2.77","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:77"}}',
  );
  await rename(record('.new'), path);
  const [code] = (await end) as [number | null];
  assert.equal(code, 1);
  assert.match(a.stderr, /^twill: our lease .* is lost: it is now held by node 192\.0\.2\.77/m);
});

test('two agents on one host: the second says why it cannot', { skip, timeout: 60_000 }, async (t) => {
  const { a } = await lab(t, { Backend: { Type: 'vxlan' } });
  a.run();
  await a.started();
  const second = new Node(a.namespace, a.directory, a.store);
  const sameSocket = await second.fail();
  assert.equal(sameSocket.code, 1);
  assert.match(sameSocket.line, /^twill: [^\n]*a\.sock[^\n]*$/);
  const sameDevice = await second.fail([`--control-socket=${join(a.directory, 'other.sock')}`]);
  assert.equal(sameDevice.code, 1);
  assert.match(sameDevice.line, /^twill: [^\n]+$/);
  second.iface = 'nope0';
  const noInterface = await second.fail([`--control-socket=${join(a.directory, 'other.sock')}`]);
  assert.equal(noInterface.code, 1);
  assert.match(
    noInterface.line,
    /^twill: no interface matches --iface=nope0; interfaces here: [^\n]*eth0 \(192\.0\.2\.1/,
  );
});
