// Builds the addon with node-gyp: `node native/build.mjs [--tests] [--bench] [--sanitize | --sanitize-threads]`.
// --tests also builds the C++ test program, --bench the native loops of the benchmark; --sanitize builds all with
// address and undefined-behaviour checks into build/Debug, beside the ordinary build/Release; --sanitize-threads builds
// the test program alone with checks for data races into build/Thread.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sanitize = process.argv.includes('--sanitize');
const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');

// A Node installation that brings its own headers needs no download.
const prefix = join(dirname(process.execPath), '..');
const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];

function run(command, ...args) {
  const env = { ...process.env };
  delete env['MAKEFLAGS'];
  const done = spawnSync(command, args, { cwd: root, env, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (done.status === 0) return;
  process.stderr.write(done.stdout ?? '');
  process.stderr.write(done.stderr ?? '');
  process.stderr.write(
    `native build failed: ${command} ${args.join(' ')} (needs a C++20 compiler, make and python3)\n`,
  );
  process.exit(1);
}
const nodeGyp = (...args) => run(process.execPath, gyp, ...headers, '--loglevel=warn', ...args);

// gyp lists the sources when it configures: do that again when a file came or went, or a setting changed.
function sources(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => path.endsWith('.cc'));
}
const stamp = join(root, 'build/.configured');
const before = existsSync(stamp) ? JSON.parse(readFileSync(stamp, 'utf8')) : {};
// A program once asked for stays configured: no turn from one to the other configures again.
const wanted = {
  tests: before.tests === true || process.argv.includes('--tests'),
  bench: before.bench === true || process.argv.includes('--bench'),
  node: process.version,
  gyp: statSync(join(root, 'binding.gyp')).mtimeMs,
  files: ['native', 'test/native', 'bench'].flatMap((folder) => sources(join(root, folder))).sort(),
};
if (JSON.stringify(before) !== JSON.stringify(wanted)) {
  const flag = (on) => (on ? 1 : 0);
  nodeGyp('configure', '--', `-Dnative_tests=${flag(wanted.tests)}`, `-Dnative_bench=${flag(wanted.bench)}`);
  writeFileSync(stamp, JSON.stringify(wanted));
}
const jobs = availableParallelism();
if (process.argv.includes('--sanitize-threads')) {
  // node-gyp knows only two configurations; the makefile that it wrote knows all.
  run('make', '-C', 'build', 'BUILDTYPE=Thread', `-j${jobs}`, 'twill_native_tests');
} else {
  nodeGyp('build', sanitize ? '--debug' : '--release', `--jobs=${jobs}`);
}
