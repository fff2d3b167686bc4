/** The C++ tests, and the addon in Node, on other processors, under an emulator: bytes first or last. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { root } from '../support/documents.js';
import { EXAMPLE_OUTPUT, libraryExample } from '../support/library-example.js';
import { preload } from '../support/preload.js';
import { emulate, GNU_NAMES, nodeOfVersion } from '../support/runtimes.js';

/** The machine's number in an ELF header, and the order of bytes in memory. */
const PROCESSORS = {
  arm64: { machine: 183, order: 'little-endian', checksum: 'neon' },
  s390x: { machine: 22, order: 'big-endian', checksum: 'scalar' },
} as const;
type Processor = keyof typeof PROCESSORS;

const stageOf = (arch: Processor) => join(root, 'build/beside', `linux-${arch}-glibc`);
const programOf = (arch: Processor) => join(stageOf(arch), 'build/Release/twill_native_tests');

/** Why what is built for `arch` cannot be run; false where it can. */
function cannotRun(arch: Processor): string | false {
  const path = programOf(arch);
  if (!existsSync(path)) return 'there is none: "node native/processors.mjs" makes it, in minutes';
  const built = statSync(path).mtimeMs;
  const sources = ['native', 'test/native'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const younger = sources.find(
    (name) => /\.(cc|h|def)$/.test(name) && statSync(join(root, name)).mtimeMs > built,
  );
  return younger !== undefined && `${younger} has changed since: "node native/processors.mjs"`;
}

/** Tests of the addon against what it has to do with each packet. */
const COMPARED = ['golden/vectors', 'pair/against-specification', 'pair/drop-reasons'];

/** Of an ELF file's header: the order of its bytes, and for which machine it is. */
function elfOf(path: string): { order: string; machine: number } {
  const header = readFileSync(path).subarray(0, 20);
  const isBig = header[5] === 2;
  return {
    order: isBig ? 'big-endian' : 'little-endian',
    machine: isBig ? header.readUInt16BE(18) : header.readUInt16LE(18),
  };
}

/** What was built for `arch`, in the place of our own; few rounds of random tests: an emulator costs more than a tenfold. */
async function environmentFor(t: TestContext, arch: Processor): Promise<Record<string, string>> {
  return {
    ...(PROCESSORS[arch].order === 'big-endian' &&
      (await preload(t, 'control-messages', `${GNU_NAMES[arch]}-linux-gnu-gcc`))),
    TWILL_PREBUILD: stageOf(arch),
    TWILL_TEST_SCALE: '0.1',
    TWILL_PROPERTY_RUNS: '20',
  };
}

for (const arch of Object.keys(PROCESSORS) as Processor[]) {
  const { machine, order, checksum } = PROCESSORS[arch];
  const about = { skip: cannotRun(arch), timeout: 300_000 };

  test(`the C++ tests pass on ${arch}, ${order}`, about, async (t) => {
    const program = programOf(arch);
    assert.deepEqual(elfOf(program), { order, machine });
    const output = emulate(arch, [program], await environmentFor(t, arch));
    // Said by the program itself, of the memory that it runs in.
    assert.ok(output.startsWith(`memory is ${order}, checksum by ${checksum}\n`), output);
    const [, cases, passed] = /test cases: +(\d+) \| +(\d+) passed \| 0 failed/.exec(output) ?? [];
    const [, checks] = /assertions: +(\d+) \| +\d+ passed \| 0 failed/.exec(output) ?? [];
    assert.ok(Number(cases) >= 100 && passed === cases, output);
    assert.ok(Number(checks) > 100_000, output);
  });

  // For s390x the registry has no Node younger than 20.11. We ask for 20.17, but nothing here needs it.
  test(`the addon for ${arch} carries packets, as the specification has them`, about, async (t) => {
    const env = await environmentFor(t, arch);
    const node = nodeOfVersion(20, arch);
    const output = emulate(arch, [node, '--input-type=module', '-e', libraryExample()], env);
    assert.equal(output, EXAMPLE_OUTPUT);
    // Each by itself: what `node --test` starts would not be emulated.
    for (const name of COMPARED) {
      const report = emulate(arch, [node, '--test-reporter=tap', `dist/test/${name}.test.js`], env);
      assert.match(report, /^# pass [1-9]\d*\n# fail 0$/m, name);
    }
  });
}
