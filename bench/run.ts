/**
 * `npm run bench`: single operations, the packet path, the library's user port, then whole systems side by side. `npm run
 * bench -- micro`, `path` or `embedder`: that part alone; any other arguments: the system part alone, with them (`npm run
 * bench -- --quick`).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { runEmbedder } from './embedder/run.js';
import { runMicro } from './micro/run.js';
import { runPath } from './path/run.js';

const cli = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const args = process.argv.slice(2);
const [part] = args;
const print = (line: string) => console.log(line);
const isAll = part === undefined;

if (isAll || part === 'micro') await runMicro(print);
if (isAll || part === 'path') runPath(print);
if (isAll || part === 'embedder') process.exitCode = await runEmbedder(print, args.slice(1));
if (isAll || !['micro', 'path', 'embedder'].includes(part)) {
  if (isAll) print('');
  const argv = part === 'system' ? args.slice(1) : args;
  const child = spawn(process.execPath, [cli, 'bench', ...argv], { stdio: 'inherit' });
  // It cleans up and ends by itself; then so do we.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  process.exitCode = (code ?? (signal === null ? 1 : 130)) || (process.exitCode ?? 0);
}
