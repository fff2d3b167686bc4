// Builds for other processors: each in a copy of the sources of its own, so that build/Release stays for this machine.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');

const gnuNames = {
  arm: 'arm-linux-gnueabihf',
  arm64: 'aarch64-linux-gnu',
  ppc64: 'powerpc64le-linux-gnu',
  riscv64: 'riscv64-linux-gnu',
  s390x: 's390x-linux-gnu',
  x64: 'x86_64-linux-gnu',
};

/** CC, CXX, AR and STRIP of Debian's compilers for a processor, as Node names it. */
export function gnuTools(arch) {
  const name = gnuNames[arch];
  return { CC: `${name}-gcc`, CXX: `${name}-g++`, AR: `${name}-ar`, STRIP: `${name}-strip` };
}

/** Runs to its end; where that is not 0, shows what it said and ends this program. */
export function run(command, args, options) {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (done.status === 0) return;
  process.stderr.write(
    `${done.stdout ?? ''}${done.stderr ?? ''}build failed: ${command} ${args.join(' ')}\n`,
  );
  process.exit(1);
}

/**
 * Copies the sources to build/beside/TARGET and builds `programs` (targets of binding.gyp) there; where build/Release is then.
 */
export function buildBeside(target, tools, ...programs) {
  const stage = join(root, 'build/beside', target);
  mkdirSync(stage, { recursive: true });
  for (const name of ['native', 'test/native', 'binding.gyp', 'package.json']) {
    rmSync(join(stage, name), { recursive: true, force: true });
    // With their times, so that what has not changed is not compiled again.
    cpSync(join(root, name), join(stage, name), { recursive: true, preserveTimestamps: true });
  }
  const options = { cwd: stage, env: { ...process.env, ...tools } };
  // Of an outer make, whose jobs these are not.
  delete options.env['MAKEFLAGS'];
  const prefix = join(dirname(process.execPath), '..');
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
  const [, arch, libc] = target.split('-');
  // The same for every program, or what they share would be compiled again. clang warns of what is in musl's headers.
  const settings = ['-Dnative_tests=1', `-Dstrict_warnings=${libc === 'glibc' ? 1 : 0}`];
  const configure = ['configure', `--arch=${arch}`, ...headers, '--loglevel=warn', '--', ...settings];
  run(process.execPath, [gyp, ...configure], options);
  run('make', ['-C', 'build', 'BUILDTYPE=Release', `-j${availableParallelism()}`, ...programs], options);
  return join(stage, 'build/Release');
}
