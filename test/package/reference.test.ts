/** Every public name is explained where it is declared, and the reference is made of that. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { root } from '../support/documents.js';
import { manifest, plainEnvironment, scratch } from '../support/packed.js';

const folder = scratch('reference');
after(folder.remove);

/** What docs/reference.mjs says of the public names: typedoc wants a process of its own, it is slow to load. */
interface Findings {
  readonly names: number;
  readonly undocumented: readonly string[];
  readonly warnings: readonly string[];
}
const findings = JSON.parse(
  execFileSync(process.execPath, ['docs/reference.mjs', folder.path, '--findings'], {
    cwd: root,
    encoding: 'utf8',
    env: plainEnvironment(),
  }),
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
