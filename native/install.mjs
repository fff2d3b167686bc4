// What `npm install` of the package runs: where no addon loads that came with it, builds one from source. Where that fails
// nothing is lost: what needs no addon works, and what needs it then says how to get it (src/native/binding.ts).
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = dirname(fileURLToPath(import.meta.url));
const root = join(native, '..');

function loads() {
  try {
    createRequire(import.meta.url)('node-gyp-build')(root);
    return true;
  } catch {
    return false;
  }
}

/** What the compiler left beside the addon. */
function removeObjects() {
  for (const name of ['obj.target', 'twill_core.a', '.deps'])
    rmSync(join(root, 'build/Release', name), { recursive: true, force: true });
}

// In a checkout `npm run build` does it. Elsewhere than on Linux there is nothing to build.
if (!existsSync(join(root, 'src')) && process.platform === 'linux' && !loads()) {
  const built = spawnSync(process.execPath, [join(native, 'build.mjs')], { stdio: 'inherit' });
  if (built.status === 0) removeObjects();
  else console.error('twill: no addon for this machine: only what needs none will work (twill/codec)');
}
