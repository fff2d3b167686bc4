/**
 * Loaded into every process of the sanitized run (`--import`): ends it with an error if the addon that it used was not
 * the sanitized one, or the sanitizer was not there.
 */
import { readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.once('exit', () => {
    const mapped = readFileSync('/proc/self/maps', 'utf8');
    const addons = new Set(mapped.match(/\S+\/twill\.node$/gm));
    const wrong = [...addons].filter((path) => !path.endsWith('/build/Debug/twill.node'));
    if (wrong.length === 0 && mapped.includes('/libasan.so')) return;
    console.error(`not sanitized: ${wrong.join(' ') || 'libasan.so is not loaded'}`);
    process.exitCode = 1;
  });
}
