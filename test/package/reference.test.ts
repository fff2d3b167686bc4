/** Every public name is explained where it is declared, with an example that is true, and the reference is made of that. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { root } from '../support/documents.js';
import { manifest, run, scratch } from '../support/packed.js';

const folder = scratch('reference');
after(folder.remove);

/** What docs/reference.mjs says of the public names: typedoc wants a process of its own, it is slow to load. */
interface Findings {
  readonly names: number;
  readonly undocumented: readonly string[];
  /** Of each class and function. */
  readonly examples: readonly {
    readonly name: string;
    readonly entry: string;
    readonly code: readonly string[];
  }[];
  /** Names by entry. */
  readonly exported: { readonly [entry: string]: readonly string[] };
  readonly warnings: readonly string[];
}
const findings = JSON.parse(
  run(root, process.execPath, 'docs/reference.mjs', folder.path, '--findings'),
) as Findings;

test('every public name has a docstring', () => {
  assert.ok(findings.names > 150, `only ${findings.names} names found`);
  assert.deepEqual(findings.undocumented, []);
});

test('the reference has a page for each entry, without a complaint', () => {
  assert.deepEqual(findings.warnings, []);
  const entries = Object.values(manifest.exports).filter((entry) => typeof entry === 'object');
  const pages = readdirSync(folder.path).sort();
  assert.equal(pages.length, entries.length + 1, pages.join(' '));
  for (const page of pages) assert.ok(readFileSync(join(folder.path, page), 'utf8').length > 50, page);
});

test('every class and function has an example', () => {
  assert.ok(findings.examples.length > 30, `only ${findings.examples.length} of them found`);
  const without = findings.examples.filter(({ code }) => code.length === 0).map(({ name }) => name);
  assert.deepEqual(without, []);
});

/** What examples may take from the program that they stand in. */
const AROUND = `
declare const plane: Dataplane & OverlayPort, pool: BufferPool, port: UserPort, options: DataplaneOptions;
declare const inner: Uint8Array, packets: PacketBuffer[], turnRound: (memory: Uint8Array, start: number, length: number) => void;
`;

test('examples compile in strict mode, and those of the codec say what comes out', {
  timeout: 120_000,
}, () => {
  const path = join(folder.path, 'examples');
  mkdirSync(join(path, 'node_modules'), { recursive: true });
  symlinkSync(root, join(path, 'node_modules/twill'));
  writeFileSync(join(path, 'package.json'), '{ "type": "module" }');
  const files = findings.examples.flatMap(({ name, entry, code }) =>
    code.map((text, number) => {
      const body = entry === 'index' ? `${AROUND}{\n${text}\n}` : text;
      const imported =
        findings.exported[entry]?.filter((word) => new RegExp(`\\b${word}\\b`).test(body)) ?? [];
      const from = entry === 'index' ? 'twill' : `twill/${entry}`;
      const file = `${entry}-${name}-${number}`;
      writeFileSync(join(path, `${file}.ts`), `import { ${imported.join(', ')} } from '${from}';\n${body}\n`);
      return { file, entry, text };
    }),
  );
  const compilerOptions = {
    ...{ strict: true, noUncheckedIndexedAccess: true, skipLibCheck: true },
    ...{ target: 'es2022', lib: ['es2022', 'esnext.disposable'], module: 'nodenext' },
    ...{ types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
  };
  const config = { compilerOptions, files: files.map(({ file }) => `${file}.ts`) };
  writeFileSync(join(path, 'tsconfig.json'), JSON.stringify(config));
  run(path, process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.');
  for (const { file, text } of files.filter(({ entry }) => entry === 'codec')) {
    const output = run(path, process.execPath, `${file}.js`);
    const said = [...text.matchAll(/console\.log\(.*; \/\/ (.*)$/gm)].map(([, comment]) => comment);
    assert.ok(said.length > 0, file);
    assert.equal(output, `${said.join('\n')}\n`, file);
  }
});
