/** docs/architecture.md against the code that it describes. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { plain, readDocument, root, tableRows } from '../../support/documents.js';
import { nativeLayers, typeScriptLayers } from '../../support/layers.js';

const text = readDocument('docs/architecture.md');

test('drop reasons: the same names, directions and meanings as native/base/drop_reasons.def', () => {
  const directions: { readonly [letter: string]: string } = { E: 'encap', D: 'decap', B: 'both' };
  const definitions = readDocument('native/base/drop_reasons.def');
  const wanted = [...definitions.matchAll(/^DROP\(\w+,\s*"(\w+)",\s*([EDB]),\s*"([^"]*)"\)$/gm)].map(
    ([, name, letter = '', meaning]) => [name, directions[letter], meaning],
  );
  assert.equal(wanted.length, definitions.match(/^DROP\(/gm)?.length, 'every definition was understood');
  const written = tableRows(text, 'name', 'direction').map(([name, ...rest]) => [plain(name), ...rest]);
  assert.deepEqual(written, wanted);
});

for (const [folder, layers] of Object.entries({ src: typeScriptLayers, native: nativeLayers })) {
  // A layer may have its place in the table before there is anything in it.
  const present = (name: string) => existsSync(join(root, folder, name));

  test(`layers of ${folder}/: the same table as test/support/layers.ts`, () => {
    const written = tableRows(text, `${folder}/`).map(([name, uses]) => [
      plain(name),
      ...plain(uses).split(' ').filter(Boolean).sort(),
    ]);
    const wanted = Object.entries(layers)
      .filter(([name]) => present(name))
      .map(([name, { uses }]) => [name, ...uses.filter(present).sort()]);
    const byName = (rows: string[][]) => [...rows].sort((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1));
    assert.deepEqual(byName(written), byName(wanted));
  });

  test(`the tree: one line for each folder of ${folder}/`, () => {
    const [, tree = ''] = new RegExp(`^${folder}/ .*\\n((?: .*\\n)+)`, 'm').exec(text) ?? [];
    const written = [...tree.matchAll(/^ {2}([\w.]+)\/? +\S/gm)].map(([, name]) => name);
    const wanted = readdirSync(join(root, folder)).filter((name) => !name.endsWith('.mjs'));
    assert.deepEqual([...written].sort(), wanted.sort());
  });
}
