// Builds the tests of the core that ask nothing of the kernel for other processors: `node native/portable-tests.mjs
// [arm64] [s390x]`, both by default, each to where `portableTests` says. They need no libraries; qemu-user runs them.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBeside, gnuTools, root } from './beside.mjs';

/** As Node names them: one with vectors of its own, and one that keeps the high byte first. */
export const processors = ['arm64', 's390x'];

const stageOf = (arch) => join(root, 'build/portable', arch);
export const portableTests = (arch) => join(stageOf(arch), 'build/Release/twill_portable_tests');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2);
  for (const arch of wanted.length > 0 ? wanted : processors) {
    const stage = stageOf(arch);
    mkdirSync(join(stage, 'test'), { recursive: true });
    buildBeside({
      ...{ stage, arch, tools: gnuTools(arch), program: 'twill_portable_tests' },
      sources: ['native', 'test/native', 'binding.gyp', 'package.json'],
      settings: ['-Dportable_tests=1', '-Dstrict_warnings=1'],
    });
    console.log(`${arch}: ${portableTests(arch)}`);
  }
}
