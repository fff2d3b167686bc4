/** Node of other versions and for other processors, as the registry carries it in packages. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './documents.js';
import { plainEnvironment } from './packed.js';

/** The program, fetched into build/runtimes where it is not there yet. Throws where it cannot be had. */
export function nodeOfVersion(major: number, arch: string = process.arch): string {
  const name = `node-linux-${arch}`;
  const folder = join(root, 'build/runtimes', `${major}-${arch}`);
  const program = join(folder, 'node_modules', name, 'bin/node');
  if (!existsSync(program)) {
    const flags = ['--force', '--ignore-scripts', '--no-save', '--no-audit', '--no-fund', `--cpu=${arch}`];
    execFileSync('npm', ['install', '--prefix', folder, ...flags, `${name}@${major}`], {
      env: plainEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
  return program;
}

/** What GNU calls the processors that tests emulate. */
export const GNU_NAMES = { arm64: 'aarch64', s390x: 's390x' } as const;

/** Runs a program for another processor to its end, under an emulator; what it says. */
export function emulate(
  arch: keyof typeof GNU_NAMES,
  command: readonly string[],
  env: Record<string, string>,
): string {
  const name = GNU_NAMES[arch];
  return execFileSync(`qemu-${name}-static`, command, {
    cwd: root,
    encoding: 'utf8',
    env: plainEnvironment({ QEMU_LD_PREFIX: `/usr/${name}-linux-gnu`, ...env }),
  });
}
