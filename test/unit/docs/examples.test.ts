/** Examples are what they say: named in the documents, short, and users of the public package alone. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { readDocument, root } from '../../support/documents.js';

const names = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'));
/** Somewhat more than a screen shows at once. */
const MOST_LINES = 160;

for (const name of names) {
  const text = readDocument(`examples/${name}`);
  const plainName = name.replace(/\.ts$/, '');

  test(`${name}: short, with its command at its head, and tested`, () => {
    assert.ok(text.split('\n').length <= MOST_LINES, `${name} is longer than ${MOST_LINES} lines`);
    const [head = ''] = /^\/\*\*[\s\S]*?\*\//.exec(text) ?? [];
    assert.ok(head.includes(`node dist/examples/${plainName}.js`), 'the head says how to run it');
    assert.ok(existsSync(join(root, `test/examples/${plainName}.test.ts`)));
  });

  test(`${name}: imports the package by its name, and nothing inside of it`, () => {
    const { importedFiles } = ts.preProcessFile(text);
    assert.ok(importedFiles.length > 0);
    for (const { fileName } of importedFiles)
      assert.ok(
        /^twill(\/(codec|agent))?$/.test(fileName) || isBuiltin(fileName),
        `${name} imports ${fileName}`,
      );
  });

  test(`${name}: in a line of README.md and of docs/library.md`, () => {
    assert.match(readDocument('README.md'), new RegExp(`\\[.*\\]\\(examples/${name}\\): \\S`));
    assert.match(readDocument('docs/library.md'), new RegExp(`\\[.*\\]\\(\\.\\./examples/${name}\\): \\S`));
  });
}

test('there are examples', () => assert.ok(names.length >= 4));
