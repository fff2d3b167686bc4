/** The native loops: builds their program where need be, and runs one part of it. */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NativeSpeed } from './report.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

export function runNative(part: 'micro' | 'path'): NativeSpeed[] {
  const run = (command: string, args: string[]) => {
    const done = spawnSync(command, args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (done.status !== 0) throw new Error(`failed: ${command} ${args.join(' ')}`);
    return done.stdout;
  };
  run(process.execPath, ['native/build.mjs', '--bench']);
  const lines = run(join(root, 'build/Release/twill_bench'), [part]);
  return lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as NativeSpeed);
}
