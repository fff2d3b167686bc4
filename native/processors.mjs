// Builds the addon and the C++ tests for other processors, which qemu-user runs: `node native/processors.mjs [arm64]
// [s390x]`, both by default, each into build/beside/linux-PROCESSOR-glibc.
import { buildBeside, gnuTools } from './beside.mjs';

/** As Node names them: one with vectors of its own, and one that keeps the high byte first. */
const processors = ['arm64', 's390x'];

const wanted = process.argv.slice(2);
for (const arch of wanted.length > 0 ? wanted : processors)
  console.log(buildBeside(`linux-${arch}-glibc`, gnuTools(arch), 'twill', 'twill_native_tests'));
