/** `twill/agent` in namespaces: two nodes of a store of one's own, as the example has it, and what an `Agent` says and leaves. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../../src/lab/namespace.js';
import { base, cannotRun, makeNamespace, makePair, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();
const example = fileURLToPath(new URL('../../examples/custom-store/custom-store.js', import.meta.url));
const steps = fileURLToPath(new URL('../support/agent-steps.js', import.meta.url));

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'twill-agent-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A process of the example, and the next line that it says of a kind. */
class Speaker {
  readonly process: ChildProcess;
  readonly #lines: string[] = [];
  readonly #input: Interface;

  constructor(namespace: Namespace, ...args: string[]) {
    this.process = namespace.spawn(process.execPath, [example, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    assert.ok(this.process.stdout);
    this.#input = createInterface({ input: this.process.stdout });
    this.#input.on('line', (line) => this.#lines.push(line));
  }

  async says(what: RegExp): Promise<RegExpExecArray> {
    let found: RegExpExecArray | null = null;
    await until(`it says ${what}`, async () => {
      if (this.process.exitCode !== null) assert.fail(`it ended after: ${this.#lines.join('; ')}`);
      found = this.#lines.map((line) => what.exec(line)).find((match) => match !== null) ?? null;
      return found !== null;
    });
    return found as unknown as RegExpExecArray;
  }

  async stop(): Promise<number | null> {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const [code] = await ended;
    return code as number | null;
  }
}

test('the example: two agents over a store of one’s own carry a ping, and go without a trace', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const [a, b] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const path = await folder(t);
  const socket = `--socket=${join(path, 'leases.sock')}`;
  const server = new Speaker(await makeNamespace(t, 'leases'), 'serve', socket);
  await server.says(/^serving 10\.244\.0\.0\/16/);
  const nodeOf = (namespace: Namespace, name: string) =>
    new Speaker(namespace, 'node', socket, `--directory=${join(path, name)}`);
  const [nodeA, nodeB] = [nodeOf(a, 'a'), nodeOf(b, 'b')];
  const [, subnetA = ''] = await nodeA.says(/^node (\S+) on flannel\.1$/);
  const [, subnetB = ''] = await nodeB.says(/^node (\S+) on flannel\.1$/);
  assert.notEqual(subnetA, subnetB);
  await nodeA.says(new RegExp(`^peers: ${subnetB} at 192\\.0\\.2\\.2$`));
  await nodeB.says(new RegExp(`^peers: ${subnetA} at 192\\.0\\.2\\.1$`));
  assert.ok(await pings(a, base(subnetB)));
  assert.ok(await pings(b, base(subnetA)));
  const text = await readFile(join(path, 'a', 'subnet.env'), 'utf8');
  assert.match(text, /^FLANNEL_NETWORK=10\.244\.0\.0\/16$/m);
  // The store goes: what is there goes on.
  assert.equal(await server.stop(), 0);
  assert.ok(await pings(a, base(subnetB)));
  assert.equal(await nodeA.stop(), 0);
  assert.equal(await nodeB.stop(), 0);
  for (const namespace of [a, b]) {
    const links = JSON.parse(await namespace.ip('-j', 'link')) as { ifname: string }[];
    assert.deepEqual(links.map(({ ifname }) => ifname).sort(), ['eth0', 'lo']);
  }
});

async function step(namespace: Namespace, ...args: string[]) {
  const { stdout } = await namespace.exec(process.execPath, ['--expose-gc', steps, ...args], 60_000);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('an Agent over a directory: what it says of itself, and how it ends', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const [a] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const [found, after] = await step(a, 'life', await folder(t));
  assert.deepEqual(found.node, {
    ...{ interface: 'eth0', publicIp: '192.0.2.9', device: 'weft7', mtuBytes: 1450, deviceTrouble: null },
    ...{ subnet: found.node.subnet, interfaceMtuBytes: 1500, underlayMoves: 0 },
  });
  assert.equal(found.ready, true);
  assert.deepEqual(found.peers, [['10.5.77.0/24', '192.0.2.2', 8472]]);
  assert.deepEqual(found.traced, ['10.5.77.0/24', '192.0.2.2', null]);
  assert.deepEqual(found.nowhere, ['no_route', null]);
  assert.deepEqual(found.wrong, 'ERR_TWILL_ADDRESS');
  assert.deepEqual(after, { finished: 'resolved', links: ['lo', 'eth0'], same: true });
});

test('starts that fail leave nothing, name the reason, and close only what is theirs', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const [a] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const [{ errors, links, closed }] = await step(a, 'failures', await folder(t));
  assert.deepEqual(errors, [
    ['TwillError', 'ERR_TWILL_STORE'],
    ['TwillError', 'ERR_TWILL_INTERFACE'],
    ['TwillError', 'ERR_TWILL_CLOSED'],
    ['TwillError', 'ERR_TWILL_CONTROL'],
  ]);
  assert.deepEqual(links, ['lo', 'eth0']);
  assert.equal(closed, 0, 'a store that was brought along stays open');
});

for (const [how, ending] of [
  ['exit', { code: 7, signal: null }],
  ['throws', { code: 1, signal: null }],
  ['stops', { code: 0, signal: null }],
  ['waits', { code: null, signal: 'SIGKILL' }],
] as const) {
  test(`a process that ends while its agent carries (${how}): no device is left, and the next start has room`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const [a] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
    const path = await folder(t);
    const child = a.spawn(process.execPath, [steps, 'end', path, how], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    child.stdout?.once('data', () => child.kill('SIGKILL'));
    const [code, signal] = await once(child, 'exit');
    assert.deepEqual({ code, signal }, ending);
    const links = JSON.parse(await a.ip('-j', 'link')) as { ifname: string }[];
    assert.deepEqual(links.map(({ ifname }) => ifname).sort(), ['eth0', 'lo']);
    const [found] = await step(a, 'life', path);
    assert.equal(found.ready, true);
  });
}

test('threads that end while their agent carries, in every way, leave nothing', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const [a] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const [{ outcomes, before, after }] = await step(a, 'threads', await folder(t));
  assert.deepEqual(outcomes, [1, 7, 'the program’s own', 0]);
  assert.deepEqual(after, before);
  assert.deepEqual(after.links, ['lo', 'eth0']);
});

test('an agent that is forgotten goes on', { skip, timeout: 60_000 }, async (t) => {
  const [a] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const [found] = await step(a, 'forgotten', await folder(t));
  assert.deepEqual(found, { again: 'ERR_TWILL_CONTROL', links: ['lo', 'eth0', 'flannel.1'] });
});

test('a store that throws: the start fails with its error; a node that lives is in trouble, and well again', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const [a] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const [found] = await step(a, 'thrown', await folder(t));
  const own = 'the program’s own';
  assert.deepEqual(found, {
    // Only when there is a lease is one replaced.
    starts: { readConfig: own, list: own, create: own, '': 'it started', replace: own },
    ...{ afterStarts: ['lo', 'eth0'], ready: true, peers: 1, trouble: own, strays: [] },
  });
});
