// Makes the addons that come with the package: `npm run prebuilds [-- linux-x64-glibc ...]`, all of them by default, and
// puts them where node-gyp-build looks. This machine's own is the ordinary build, which the tests have run; each other one
// is built in a copy of the sources beside it, build/prebuild/TARGET.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { zigTools } from './zig.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');

const gnuNames = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };
function gnuTools(arch) {
  const name = gnuNames[arch];
  return { CC: `${name}-gcc`, CXX: `${name}-g++`, AR: `${name}-ar`, STRIP: `${name}-strip` };
}

/** What to build each with. */
export const targets = {
  'linux-x64-glibc': () => gnuTools('x64'),
  'linux-arm64-glibc': () => gnuTools('arm64'),
  'linux-x64-musl': () => zigTools('x86_64-linux-musl'),
  'linux-arm64-musl': () => zigTools('aarch64-linux-musl'),
};

export function prebuiltPath(target) {
  const [platform, arch, libc] = target.split('-');
  return join(root, 'prebuilds', `${platform}-${arch}`, `twill.${libc}.node`);
}

function run(command, args, options) {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (done.status === 0) return;
  process.stderr.write(
    `${done.stdout ?? ''}${done.stderr ?? ''}prebuild failed: ${command} ${args.join(' ')}\n`,
  );
  process.exit(1);
}

/** Builds for another machine; where the addon is then. */
function buildBeside(target, tools) {
  const [, arch] = target.split('-');
  const stage = join(root, 'build/prebuild', target);
  mkdirSync(stage, { recursive: true });
  rmSync(join(stage, 'native'), { recursive: true, force: true });
  // With their times, so that what has not changed is not compiled again.
  for (const name of ['native', 'binding.gyp', 'package.json'])
    cpSync(join(root, name), join(stage, name), { recursive: true, preserveTimestamps: true });
  const prefix = join(dirname(process.execPath), '..');
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
  for (const step of [['configure'], ['build', `--jobs=${availableParallelism()}`]])
    run(process.execPath, [gyp, ...step, `--arch=${arch}`, ...headers, '--loglevel=warn'], {
      cwd: stage,
      env: { ...process.env, ...tools },
    });
  return join(stage, 'build/Release/twill.node');
}

function prebuild(target) {
  const tools = targets[target]?.();
  if (!tools) {
    process.stderr.write(`prebuild: "${target}" is none of ${Object.keys(targets).join(', ')}\n`);
    process.exit(2);
  }
  const isOwn =
    target === `linux-${process.arch}-glibc` && process.report.getReport().header.glibcVersionRuntime;
  if (isOwn) run(process.execPath, [join(root, 'native/build.mjs')]);
  const built = isOwn ? join(root, 'build/Release/twill.node') : buildBeside(target, tools);
  const path = prebuiltPath(target);
  mkdirSync(dirname(path), { recursive: true });
  // The symbols that a stack of the addon's own needs stay in the build. Nobody sees half an addon.
  const stripped = join(root, 'build/prebuild', `${target}.node`);
  mkdirSync(dirname(stripped), { recursive: true });
  run(tools.STRIP, ['--strip-unneeded', '-o', stripped, built]);
  renameSync(stripped, path);
  console.log(`${target}: ${Math.round(statSync(path).size / 1024)} KiB`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2);
  for (const target of wanted.length > 0 ? wanted : Object.keys(targets)) prebuild(target);
}
