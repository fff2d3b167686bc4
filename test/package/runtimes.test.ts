/** The addon and what is built on it, under each version of Node that we support beside the one that runs the tests. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/documents.js';
import { plainEnvironment } from '../support/packed.js';
import { nodeOfVersion } from '../support/runtimes.js';

const SUPPORTED = [20, 22, 24];
/** What depends on Node itself: the library, values and formats, files, sockets, processes. */
const FOLDERS = [
  'unit/agent',
  'unit/cli',
  'unit/dataplane',
  'unit/dataplane/misuse',
  'unit/net',
  'unit/observe',
  'unit/store',
  'unit/wire',
  'pair',
];

/** The library over real devices, and threads and processes that end under it. */
const IN_NAMESPACES = ['embedder', 'library-agent', 'library-faults', 'misuse', 'tun'];

const own = Number.parseInt(process.versions.node, 10);
const tests = join(root, 'dist/test');
const files = FOLDERS.flatMap((folder) =>
  readdirSync(join(tests, folder))
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(tests, folder, name)),
).concat(IN_NAMESPACES.map((name) => join(tests, 'netns', `${name}.test.js`)));

for (const major of SUPPORTED.filter((version) => version !== own)) {
  test(`library, unit tests and the library in namespaces under Node ${major}`, { timeout: 900_000 }, () => {
    const node = nodeOfVersion(major);
    const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout;
    assert.match(version, new RegExp(`^v${major}\\.`));
    const done = spawnSync(
      node,
      ['--test', '--test-reporter=tap', '--test-concurrency=2', '--test-timeout=300000', ...files],
      {
        cwd: root,
        encoding: 'utf8',
        maxBuffer: 1 << 28,
        env: plainEnvironment(),
      },
    );
    const count = (what: string) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(done.stdout)?.[1]);
    const failures = done.stdout.split('\n').filter((line) => /^\s*not ok\b/.test(line));
    assert.deepEqual([done.status, failures], [0, []], `${version}${done.stdout.slice(-4000)}${done.stderr}`);
    assert.ok(count('pass') > 200, `only ${count('pass')} tests ran`);
  });
}
