/** Codecs, checksum, tables and both paths of the core on other processors, under an emulator: bytes first or last. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/documents.js';
import { plainEnvironment } from '../support/packed.js';

/** The suffix of the emulator's name, the machine's number in an ELF header, and the order of bytes in memory. */
const PROCESSORS = {
  arm64: { emulator: 'aarch64', machine: 183, order: 'little-endian', checksum: 'neon' },
  s390x: { emulator: 's390x', machine: 22, order: 'big-endian', checksum: 'scalar' },
} as const;

const programOf = (arch: string) => join(root, 'build/portable', arch, 'build/Release/twill_portable_tests');

/** Why the program for `arch` cannot be run; false where it can. */
function cannotRun(arch: string): string | false {
  const path = programOf(arch);
  if (!existsSync(path)) return 'there is none: "node native/portable-tests.mjs" makes it, in minutes';
  const built = statSync(path).mtimeMs;
  const sources = ['native', 'test/native'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const younger = sources.find(
    (name) => /\.(cc|h|def)$/.test(name) && statSync(join(root, name)).mtimeMs > built,
  );
  return younger !== undefined && `${younger} has changed since: "node native/portable-tests.mjs"`;
}

/** Of an ELF file's header: the order of its bytes, and for which machine it is. */
function elfOf(path: string): { order: string; machine: number } {
  const header = readFileSync(path).subarray(0, 20);
  const isBig = header[5] === 2;
  return {
    order: isBig ? 'big-endian' : 'little-endian',
    machine: isBig ? header.readUInt16BE(18) : header.readUInt16LE(18),
  };
}

for (const [arch, { emulator, machine, order, checksum }] of Object.entries(PROCESSORS)) {
  test(`the core's portable tests pass on ${arch}, ${order}`, {
    skip: cannotRun(arch),
    timeout: 240_000,
  }, () => {
    const program = programOf(arch);
    assert.deepEqual(elfOf(program), { order, machine });
    const output = execFileSync(`qemu-${emulator}-static`, [program], {
      encoding: 'utf8',
      // An emulator costs more than a tenfold.
      env: plainEnvironment({ TWILL_TEST_SCALE: '0.1' }),
    });
    // Said by the program itself, of the memory that it runs in.
    assert.ok(output.startsWith(`memory is ${order}, checksum by ${checksum}\n`), output);
    const [, cases, passed] = /test cases: +(\d+) \| +(\d+) passed \| 0 failed/.exec(output) ?? [];
    const [, checks] = /assertions: +(\d+) \| +\d+ passed \| 0 failed/.exec(output) ?? [];
    assert.ok(Number(cases) >= 60 && passed === cases, output);
    assert.ok(Number(checks) > 100_000, output);
  });
}
