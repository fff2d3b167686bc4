/** docs/compatibility.md: every row of it names tests that there are. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';
import { readDocument, root, tableRows } from '../../support/documents.js';

const rows = tableRows(readDocument('docs/compatibility.md'), 'behaviour', 'flannel', 'ours', 'test');

/** What a title in a source may be: text, and wildcards where the program fills something in. */
function titlesOf(path: string): RegExp[] {
  const text = readFileSync(join(root, path), 'utf8');
  if (path.endsWith('.cc'))
    return [...text.matchAll(/TEST_CASE\("([^"]+)"/g)].map(([, title = '']) => exactly([title]));
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const titles: RegExp[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /^(t\.)?(test|it)$/.test(node.expression.getText())) {
      const [title] = node.arguments;
      if (title && ts.isStringLiteralLike(title)) titles.push(exactly([title.text]));
      if (title && ts.isTemplateExpression(title))
        titles.push(exactly([title.head.text, ...title.templateSpans.map(({ literal }) => literal.text)]));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return titles;
}

function exactly(parts: readonly string[]): RegExp {
  return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.+')}$`);
}

test('every row says something and names its tests by file and title', () => {
  assert.ok(rows.length > 30, `${rows.length} rows were found`);
  for (const row of rows) {
    assert.equal(row.length, 4, row.join(' | '));
    const [behaviour = '', flannel = '', ours = '', tests = ''] = row;
    assert.ok(behaviour !== '' && flannel !== '' && ours !== '' && tests !== '', row.join(' | '));
    for (const named of tests.split('<br>')) {
      const [, path = '', title = ''] = /^\s*`(test\/[^`]+)`: (.+?)\s*$/.exec(named) ?? [];
      assert.ok(path !== '', `"${named}" is not: \`test/FILE\`: TITLE`);
      assert.ok(existsSync(join(root, path)), `${behaviour}: there is no ${path}`);
      const plain = title.replaceAll('`', '');
      assert.ok(
        titlesOf(path).some((pattern) => pattern.test(plain)),
        `${behaviour}: ${path} has no test "${plain}"`,
      );
    }
  }
});

test('a title that is not there is noticed', () => {
  const titles = titlesOf('test/unit/docs/compatibility.test.ts');
  assert.equal(titles.length, 2);
  assert.ok(!titles.some((pattern) => pattern.test('a title that is nowhere')));
});
