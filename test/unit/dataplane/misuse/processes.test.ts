/** Processes and threads that end under traffic, children beside it, and dataplanes that somebody forgets. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../support/misuse-steps.js', import.meta.url));
const timely = { timeout: 180_000 };

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  // biome-ignore lint/suspicious/noExplicitAny: each step says something else.
  readonly said: any[];
  readonly errors: string;
}

/** Runs one step to its end. `meanwhile`: once it has said something. */
async function step(args: readonly string[], meanwhile?: (child: ChildProcess) => void): Promise<Ended> {
  const child = spawn(process.execPath, ['--expose-gc', script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (meanwhile) child.stdout.once('data', () => meanwhile(child));
  const [out, errors, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  const said = out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { code, signal, said, errors };
}

const endings: [how: string, code: number, message: RegExp | null][] = [
  ['exit', 7, null],
  ['exitInCallback', 7, null],
  ['throws', 1, /Error: the program’s own/],
  ['throwsInCallback', 1, /Error: the program’s own/],
  ['rejects', 1, /Error: the program’s own/],
  ['ends', 0, null],
];
for (const [how, wanted, message] of endings) {
  test(`a process under traffic: ${how}`, timely, async () => {
    const { code, signal, said, errors } = await step(['end', how]);
    assert.deepEqual([code, signal, said], [wanted, null, []], errors);
    if (message) assert.match(errors, message);
    else assert.equal(errors, '');
  });
}

test(
  'a process under traffic that exits: both dataplanes are closed, and told, before its other listeners go on',
  timely,
  async () => {
    const { code, said, errors } = await step(['end', 'closesAtExit']);
    assert.deepEqual([code, errors, said.slice(0, 2)], [0, '', [{ closed: true }, { closed: true }]]);
    assert.equal(said.length, 3);
  },
);

for (const how of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
  test(`a process under traffic: ${how}`, timely, async () => {
    const { signal, said, errors } = await step(['end', 'waits'], (child) => child.kill(how));
    assert.deepEqual([signal, said, errors], [how, ['waiting'], '']);
  });
}

test('threads that end under traffic, in every way, leave nothing and harm nobody', timely, async () => {
  const { code, said, errors } = await step(['threads', '2']);
  assert.equal(code, 0, errors);
  const [{ outcomes, before, after }] = said;
  assert.deepEqual(outcomes, {
    ...{ waits: 1, spins: 1, exit: 7, exitInCallback: 7, ends: 0 },
    ...{ throws: 'the program’s own', throwsInCallback: 'the program’s own' },
  });
  assert.deepEqual(after, before);
});

test('children inherit nothing of a dataplane', timely, async () => {
  const { code, said, errors } = await step(['children']);
  assert.equal(code, 0, errors);
  const [{ before, after, ours }] = said;
  assert.ok(ours >= 6, `the dataplanes had ${ours} descriptors`);
  assert.deepEqual(after, before);
});

test(
  'dataplanes that were closed and forgotten are collected with their memory; one that was not closed goes on',
  timely,
  async () => {
    // The sanitizer keeps what is freed for a while: little of it here.
    process.env['ASAN_OPTIONS'] = `${process.env['ASAN_OPTIONS'] ?? ''}:quarantine_size_mb=1`;
    const { code, said, errors } = await step(['forgotten', '20']);
    assert.equal(code, 0, errors);
    const [{ before, after, kept }, { alive }] = said;
    const { residentBytes, ...rest } = after;
    assert.deepEqual({ ...rest, residentBytes: before.residentBytes }, before);
    // Each had 16 MiB.
    const growth = residentBytes - before.residentBytes;
    assert.ok(growth < 64 << 20, `${growth} bytes more after 20 rounds`);
    assert.ok(kept <= 1, `${kept} of 21 are still there`);
    assert.equal(alive, true);
  },
);
