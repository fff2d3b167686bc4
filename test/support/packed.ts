/** The package as `npm pack` makes it of this checkout, and npm of different versions to install it with. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './documents.js';
import { OWN_TARGET, prebuilt } from './prebuilt.js';

export interface Manifest {
  readonly version: string;
  readonly exports: {
    readonly [entry: string]: string | { readonly types: string; readonly default: string };
  };
  readonly bin: { readonly [name: string]: string };
}
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;

/** A folder of its own, which `remove` takes away. */
export function scratch(name: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `twill-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Without the npm and the test runner that we run under. */
export function plainEnvironment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(?!config_(registry|cache|nodedir|userconfig)$)|NODE_TEST_CONTEXT|INIT_CWD)/.test(name),
  );
  return { ...Object.fromEntries(kept), ...more };
}

/** Runs a program in `cwd` to its end. */
export function attempt(cwd: string, command: readonly string[], env: Record<string, string> = {}) {
  const [program = '', ...args] = command;
  return spawnSync(program, args, { cwd, encoding: 'utf8', env: plainEnvironment(env) });
}

/** What it says; it has to succeed. */
export function run(cwd: string, ...command: readonly string[]): string {
  const { status, stdout, stderr } = attempt(cwd, command);
  assert.equal(status, 0, `${command.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

export interface Tarball {
  readonly path: string;
  /** From the package's root, sorted. */
  readonly files: readonly string[];
  readonly packedBytes: number;
}

/** `npm pack` into `folder`, of what is built, with the addon for this machine. */
export function pack(folder: string): Tarball {
  prebuilt(OWN_TARGET);
  const text = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [about] = JSON.parse(text) as [{ filename: string; size: number; files: { path: string }[] }];
  return {
    path: join(folder, about.filename),
    files: about.files.map(({ path }) => path).sort(),
    packedBytes: about.size,
  };
}

/** What runs npm of this major version; from the registry where the system's is another. */
export function npmOfVersion(major: number, folder: string): readonly string[] {
  const own = execFileSync('npm', ['--version'], { encoding: 'utf8' });
  if (Number.parseInt(own, 10) === major) return ['npm'];
  const program = join(folder, 'node_modules/npm/bin/npm-cli.js');
  if (!existsSync(program))
    execFileSync('npm', ['install', '--prefix', folder, '--ignore-scripts', `npm@${major}`], {
      env: plainEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  return [process.execPath, program];
}
