// Builds the addon with node-gyp: `node native/build.mjs [--tests] [--bench] [--sanitize | --sanitize-threads]`.
// --tests also builds the C++ test program, --bench the native loops of the benchmark; --sanitize builds all with
// address and undefined-behaviour checks into build/Debug, beside the ordinary build/Release; --sanitize-threads builds
// the test program alone with checks for data races into build/Thread. In an installed package it builds the addon.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sanitize = process.argv.includes('--sanitize');
// Other compilers than ours have other warnings: they stop us, not who installs the package, which has no src/.
const isCheckout = existsSync(join(root, 'src'));

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
  fail(`${command} ${args.join(' ')} (needs a C++20 compiler, make and python3)`);
}
function fail(why) {
  process.stderr.write(`native build failed: ${why}\n`);
  process.exit(1);
}

/** The checkout has node-gyp; npm names its own to the scripts that it runs, and brings it along. */
function findNodeGyp() {
  const program = 'node-gyp/bin/node-gyp.js';
  const npms = join(prefix, 'lib/node_modules/npm/node_modules', program);
  try {
    return createRequire(import.meta.url).resolve(program);
  } catch {
    const found = [process.env['npm_config_node_gyp'], npms].find((path) => path && existsSync(path));
    return found ?? fail('there is no node-gyp: npm install node-gyp');
  }
}
const gyp = findNodeGyp();
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
  const settings = { native_tests: wanted.tests, native_bench: wanted.bench, strict_warnings: isCheckout };
  nodeGyp('configure', '--', ...Object.entries(settings).map(([name, on]) => `-D${name}=${flag(on)}`));
  writeFileSync(stamp, JSON.stringify(wanted));
}
const jobs = availableParallelism();
if (process.argv.includes('--sanitize-threads')) {
  // node-gyp knows only two configurations; the makefile that it wrote knows all.
  run('make', '-C', 'build', 'BUILDTYPE=Thread', `-j${jobs}`, 'twill_native_tests');
} else {
  nodeGyp('build', sanitize ? '--debug' : '--release', `--jobs=${jobs}`);
}
