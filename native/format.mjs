// Checks (or with --write mends) the layout of all C++ files with clang-format.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const program = join(
  dirname(createRequire(import.meta.url).resolve('clang-format/package.json')),
  'index.js',
);
const files = ['native', 'test/native', 'bench'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => /\.(cc|h)$/.test(path)),
);
const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '--Werror'];
const done = spawnSync(process.execPath, [program, ...mode, ...files], { cwd: root, stdio: 'inherit' });
process.exit(done.status ?? 1);
