/** Lists and watches, cut as they come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ItemSplitter, LineSplitter } from '../../../../src/store/kube/splitters.js';
import { times } from '../../../support/properties.js';

/** In pieces of these sizes, over and over. */
function pieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    found.push(bytes.subarray(at, at + size));
    at += size;
  }
  return found;
}

function split(text: string, sizes: readonly number[] = [1 << 16]): { items: unknown[]; rest: unknown } {
  const items: unknown[] = [];
  const splitter = new ItemSplitter((json) => items.push(JSON.parse(json)));
  for (const piece of pieces(Buffer.from(text), sizes)) splitter.write(piece);
  return { items, rest: splitter.end() };
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });

test('any list, in any pieces, in any order of its fields', () => {
  const item = fc.dictionary(fc.string(), fc.jsonValue());
  const metadata = fc.record({
    resourceVersion: fc.string(),
    items: fc.array(fc.jsonValue()),
    more: fc.string(),
  });
  const property = fc.property(
    fc.array(item),
    metadata,
    sizes,
    fc.boolean(),
    fc.boolean(),
    (items, data, cuts, isFirst, isSpaced) => {
      const list = isFirst
        ? { items, metadata: data, kind: 'x' }
        : { kind: '"items":[', metadata: data, items };
      const { items: found, rest } = split(JSON.stringify(list, null, isSpaced ? 2 : 0), cuts);
      const plain = JSON.parse(JSON.stringify(list));
      assert.deepEqual(found, plain.items);
      assert.deepEqual(rest, { ...plain, items: [] });
    },
  );
  fc.assert(property, times(500));
});

test('a list without items, or with none', () => {
  assert.deepEqual(split('{"items":null,"metadata":{}}').items, []);
  assert.deepEqual(split('{"metadata":{}}').items, []);
  assert.deepEqual(split(' { "items" : [ ] } ').items, []);
});

for (const [what, text] of Object.entries({
  'broken off within an item': '{"items":[{"a":1},{"b"',
  'broken off between items': '{"items":[{"a":1},',
  'broken off at the end': '{"items":[{"a":1}],"metadata":{}',
  'an item that is a number': '{"items":[1]}',
  'an item that is a string': '{"items":["x"]}',
  'an item that is a list': '{"items":[[{}]]}',
  nothing: '',
  'no JSON': '<html><body>no</body></html>',
})) {
  test(`refused: ${what}`, () => {
    assert.throws(() => split(text, [3]));
  });
}

test('an item without end is refused before it fills the memory', () => {
  const splitter = new ItemSplitter(() => {});
  splitter.write(Buffer.from('{"items":[{"a":"'));
  const megabyte = Buffer.alloc(1 << 20, 'x');
  assert.throws(() => {
    for (let i = 0; i < 20; i++) splitter.write(megabyte);
  }, /longer than/);
  const around = new ItemSplitter(() => {});
  assert.throws(() => {
    for (let i = 0; i < 3; i++) around.write(megabyte);
  }, /too long/);
});

test('lines, in any pieces; what has not ended is no line', () => {
  const property = fc.property(fc.array(fc.string()), fc.string(), sizes, (texts, rest, cuts) => {
    const lines: string[] = [];
    const splitter = new LineSplitter((line) => lines.push(line));
    const whole = texts.map((text) => JSON.stringify(text));
    const last = JSON.stringify(rest);
    for (const piece of pieces(Buffer.from(`${whole.map((line) => `${line}\n`).join('')}${last}`), cuts))
      splitter.write(piece);
    assert.deepEqual(lines, whole);
  });
  fc.assert(property, times(300));
  const endless = new LineSplitter(() => {});
  assert.throws(() => {
    for (let i = 0; i < 20; i++) endless.write(Buffer.alloc(1 << 20, 'x'));
  }, /longer than/);
});
