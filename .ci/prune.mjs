// Removes compiled files whose source is gone: tsc leaves them, and they would be packed.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
for (const name of readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })) {
  const [, source] = /^(.*)(?:\.js|\.d\.ts|\.js\.map)$/.exec(name) ?? [];
  if (source && !existsSync(join(root, `${source}.ts`))) rmSync(join(root, 'dist', name));
}
