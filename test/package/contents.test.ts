/** What is in the tarball: all that the package needs, nothing else, and sound in the eyes of those who check packages. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { after, test } from 'node:test';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { root } from '../support/documents.js';
import { manifest, pack, scratch } from '../support/packed.js';

const folder = scratch('contents');
after(folder.remove);
const tarball = pack(folder.path);

/** Compiled files that an entry leads to, by import, by type or as a script to run. */
function reachable(entries: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const visit = (path: string) => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = readFileSync(join(root, path), 'utf8');
    const named = text.matchAll(/(?:\bfrom |\bimport |\bimport\(|new URL\()['"]([^'"]+\.js)['"]/g);
    for (const [, target = ''] of named) {
      const next = posix.join(dirname(path), target);
      if (path.endsWith('.js')) visit(next);
      visit(next.replace(/\.js$/, '.d.ts'));
    }
  };
  for (const entry of entries) visit(entry);
  return seen;
}

const entries = [
  ...Object.values(manifest.exports).flatMap((entry) =>
    typeof entry === 'string' ? [] : Object.values(entry),
  ),
  ...Object.values(manifest.bin),
].map((path) => posix.normalize(path));

function filesOf(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => posix.join(entry.parentPath.slice(root.length), entry.name));
}

test('the tarball holds what its entries lead to, the sources of the addon, the addons, and what a host is set up with', () => {
  const compiled = [...reachable(entries)].flatMap((path) => {
    // Types of a file whose code is used are for who reads it; they come together, and with a map.
    const stem = path.replace(/\.js$|\.d\.ts$/, '');
    return [`${stem}.js`, `${stem}.js.map`, `${stem}.d.ts`];
  });
  const wanted = new Set([
    ...['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'binding.gyp'],
    ...compiled,
    // Not what lays out the sources, and what builds for other machines.
    ...filesOf('native').filter((path) => !/\/(beside|format|prebuild|processors|zig)\.mjs$/.test(path)),
    ...filesOf('deploy').filter((path) => !path.startsWith('deploy/image/')),
    ...(existsSync(join(root, 'prebuilds')) ? filesOf('prebuilds') : []),
  ]);
  assert.ok(compiled.length > 300, `only ${compiled.length} compiled files found`);
  assert.deepEqual(
    {
      missing: [...wanted].filter((path) => !tarball.files.includes(path)),
      superfluous: tarball.files.filter((path) => !wanted.has(path)),
    },
    { missing: [], superfluous: [] },
  );
});

test('publint finds nothing to say', async () => {
  const bytes = readFileSync(tarball.path);
  const { messages } = await publint({
    pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) },
    strict: true,
  });
  assert.deepEqual(messages, []);
});

test('the types of every entry are right for whoever imports it', async () => {
  const analysis = await checkPackage(createPackageFromTarballData(readFileSync(tarball.path)));
  assert.ok(analysis.types);
  const names = Object.keys(analysis.entrypoints).filter((name) => name !== './package.json');
  assert.deepEqual(
    names.sort(),
    Object.keys(manifest.exports)
      .filter((name) => name !== './package.json')
      .sort(),
  );
  // Before `exports` there was "node10", which TypeScript 6 no longer has. And CommonJS gets modules by import(), or from
  // Node 22 on by require().
  const counted = analysis.problems.filter(
    (problem) =>
      problem.kind !== 'CJSResolvesToESM' &&
      !('resolutionKind' in problem && problem.resolutionKind === 'node10'),
  );
  assert.deepEqual(counted, []);
});

test('without the addons the package is small', () => {
  const prebuilt = tarball.files.filter((path) => path.startsWith('prebuilds/'));
  const bytes = prebuilt.reduce((sum, path) => sum + statSync(join(root, path)).size, 0);
  assert.ok(tarball.packedBytes < 1_500_000 + bytes, `${tarball.packedBytes} bytes packed`);
});
