/** Libraries of a test's own that stand before the system's in a process. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Compiles `test/support/NAME.c`; the environment that puts it there. */
export async function preload(
  t: TestContext,
  name: 'control-messages' | 'netlink' | 'refuse',
  compiler = 'cc',
): Promise<Record<string, string>> {
  const directory = await mkdtemp(join(tmpdir(), 'twill-preload-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const library = join(directory, `${name}.so`);
  const source = fileURLToPath(new URL(`../../../test/support/${name}.c`, import.meta.url));
  execFileSync(compiler, ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']);
  return { LD_PRELOAD: library };
}
