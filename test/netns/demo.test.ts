/** `twill demo`, as somebody who has just cloned this would run it; whatever happens, nothing of it is left. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { asNobody, cannotRun, cli, nobodyCannotRun, until } from '../support/namespaces.js';

const skip = await cannotRun();

interface Demo {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  ended(): Promise<number | null>;
  /** Processes of the demo that are there now. */
  processes(): Promise<string[]>;
  assertNothingLeft(): Promise<void>;
}

async function start(
  t: TestContext,
  flags: readonly string[],
  around: readonly string[] = [],
): Promise<Demo> {
  const temporary = await mkdtemp(join(tmpdir(), 'twill-demo-test-'));
  t.after(() => rm(temporary, { recursive: true, force: true }));
  await chmod(temporary, 0o777);
  // Every process that comes from it inherits this.
  const mark = `TWILL_TEST_MARK=${randomUUID()}`;
  const env = { ...process.env, TMPDIR: temporary, [mark.split('=')[0] ?? '']: mark.split('=')[1] };
  const linksBefore = Object.keys(networkInterfaces());
  const [command = '', ...argv] = [...around, process.execPath, cli, 'demo', ...flags];
  // A process group of its own, as a shell gives it.
  const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'], env, detached: true });
  t.after(() => child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  const close = once(child, 'close');
  const processes = async () => {
    const found: string[] = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      if (environment.split('\0').includes(mark))
        found.push(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
    }
    return found;
  };
  return {
    ...{ child, output, processes },
    ended: async () => ((await close) as [number | null])[0],
    async assertNothingLeft() {
      // Without its processes no namespace of the demo, nor a device in one, can be.
      await until('its processes are gone', async () => (await processes()).length === 0);
      assert.deepEqual(await readdir(temporary), []);
      assert.deepEqual(Object.keys(networkInterfaces()), linksBefore);
    },
  };
}

function assertFigures(text: string, encap: string): void {
  const report = JSON.parse(text);
  assert.deepEqual(Object.keys(report), ['runs', 'kernel']);
  assert.deepEqual(
    [report.kernel.encap, report.kernel.identity, ...report.runs.map((run: { encap: string }) => run.encap)],
    ['kernel', null, encap],
  );
  for (const run of [report.kernel, ...report.runs]) {
    assert.equal(run.lossPercent, 0);
    for (const figure of [run.rttMicros.p50, run.rttMicros.p99, run.tcpGbps, run.packetsPerSecond])
      assert.ok(Number.isFinite(figure) && figure > 0, text);
    assert.ok(run.rttMicros.p50 <= run.rttMicros.p99);
  }
  const [run] = report.runs;
  assert.equal(run.identity, true);
  const near = (a: number, b: number) => assert.ok(Math.abs(a / b - 1) < 0.001, `${a} is not ${b}`);
  near(run.ratios.tcp, run.tcpGbps / report.kernel.tcpGbps);
  near(run.ratios.packets, run.packetsPerSecond / report.kernel.packetsPerSecond);
  near(run.ratios.rtt, run.rttMicros.p50 / report.kernel.rttMicros.p50);
  assert.equal(run.ratioToKernel, run.ratios.tcp);
}

/** /dev/net/tun open to all, as most distributions have it, in a view of /dev of its own. */
const openTun = 'mount -t tmpfs tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$@"';
const withoutRight = ['unshare', '--mount', '--', 'sh', '-c', openTun, 'sh', ...asNobody];

/** Why this system lets nobody make a user namespace, in the product's words. */
function refused({ output }: Demo): string | undefined {
  return /^twill: (cannot make a user namespace: .*)$/m.exec(output.stderr)?.[1];
}

test('an agent facing a kernel vxlan device: figures in JSON, no loss, nothing left', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const demo = await start(t, ['--json', '--seconds=1', '--encap=mixed']);
  assert.equal(await demo.ended(), 0, demo.output.stderr);
  assertFigures(demo.output.stdout, 'mixed');
  await demo.assertNothingLeft();
});

test('without any right, in a user namespace: the same', {
  skip: skip || (await nobodyCannotRun()),
  timeout: 120_000,
}, async (t) => {
  const demo = await start(t, ['--json', '--seconds=1', '--encap=vxlan'], withoutRight);
  const code = await demo.ended();
  const refusal = refused(demo);
  if (refusal) {
    assert.equal(code, 1);
    await demo.assertNothingLeft();
    return t.skip(refusal);
  }
  assert.equal(code, 0, demo.output.stderr);
  assertFigures(demo.output.stdout, 'vxlan');
  await demo.assertNothingLeft();
});

for (const [name, when, around] of [
  ['as root', /^kernel: ping$/m, []],
  ['in a user namespace, among the agents', /^vxlan: ping$/m, withoutRight],
] as const) {
  test(`Ctrl-C ${name}: nothing left`, {
    skip: skip || (around.length > 0 && (await nobodyCannotRun())),
    timeout: 120_000,
  }, async (t) => {
    const demo = await start(t, ['--encap=vxlan', '--seconds=1'], around);
    const hasCome = async () => demo.child.exitCode !== null || when.test(demo.output.stderr);
    await until('it measures', hasCome, 60_000);
    const refusal = refused(demo);
    if (refusal) return t.skip(refusal);
    assert.ok((await demo.processes()).length > 2);
    // The terminal signals all of the group at once.
    assert.ok(demo.child.pid);
    process.kill(-demo.child.pid, 'SIGINT');
    assert.equal(await demo.ended(), 1);
    assert.match(demo.output.stderr, /^twill: stopped; all that was made is removed$/m);
    assert.equal(demo.output.stdout, '');
    await demo.assertNothingLeft();
  });
}

test('kill -9 in a user namespace: what it runs inside does not outlive it', {
  skip: skip || (await nobodyCannotRun()),
  timeout: 120_000,
}, async (t) => {
  const demo = await start(t, ['--encap=vxlan', '--seconds=2'], withoutRight);
  const hasCome = async () => demo.child.exitCode !== null || /^kernel: UDP/m.test(demo.output.stderr);
  await until('it measures', hasCome, 60_000);
  const refusal = refused(demo);
  if (refusal) return t.skip(refusal);
  demo.child.kill('SIGKILL');
  // Left to itself it would go on for half a minute. A file may stay: nobody was asked to put it away.
  await until('its processes are gone', async () => (await demo.processes()).length === 0);
});
