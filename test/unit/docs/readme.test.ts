/** The README's library example runs as it stands; links in all documents lead somewhere. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readDocument, root, tableRows } from '../../support/documents.js';
import { EXAMPLE_OUTPUT, libraryExample } from '../../support/library-example.js';

test('the library example: fifteen lines that run without privilege', { timeout: 60_000 }, () => {
  const script = libraryExample();
  assert.ok(script.split('\n').filter((line) => line !== '').length <= 15);
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.equal(out, EXAMPLE_OUTPUT);
});

const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'));

/** As GitHub makes them of headings. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

test('links between documents lead to files and headings that are there', () => {
  let links = 0;
  for (const document of documents) {
    for (const [, target = ''] of readDocument(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      links += 1;
      const [file = '', anchor] = target.split('#');
      const path = file === '' ? document : join(dirname(document), file);
      assert.ok(existsSync(join(root, path)), `${document} links to ${target}`);
      if (anchor !== undefined)
        assert.ok(anchors(readDocument(path)).includes(anchor), `${document} links to ${target}`);
    }
  }
  assert.ok(links > 30, `only ${links} links found`);
});

test('every decision is in the index, by its number and title', () => {
  const index = tableRows(readDocument('docs/adr/README.md'), '', 'decision');
  const records = readdirSync(join(root, 'docs/adr')).filter((name) => /^\d{4}-/.test(name));
  assert.ok(records.length >= 14);
  for (const name of records) {
    const [, number, title] = /^# (\d{4}): (.*)$/m.exec(readDocument(`docs/adr/${name}`)) ?? [];
    assert.equal(number, name.slice(0, 4));
    assert.ok(
      index.some(([link, decision]) => link === `[${number}](${name})` && decision === title),
      name,
    );
  }
});
