import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesText, durationText, printable, table } from '../../../src/cli/table.js';

test('columns line up, without trailing spaces', () => {
  assert.deepEqual(
    table(
      ['A', 'BBB'],
      [
        ['long', '1'],
        ['x', ''],
      ],
    ),
    ['A     BBB', 'long  1', 'x'],
  );
  assert.deepEqual(table([], [['k', 'v']]), ['k  v']);
  assert.deepEqual(table([], []), []);
});

test('durations in their two largest units', () => {
  const seconds = (count: number) => durationText(count * 1000);
  assert.deepEqual([0, 12, 60, 61, 3600, 3661, 86_400, 90_000].map(seconds), [
    ...['0 s', '12 s', '1 min', '1 min 1 s', '1 h', '1 h 1 min', '1 d', '1 d 1 h'],
  ]);
  assert.equal(durationText(-5), '0 s');
});

test('bytes in binary units', () => {
  assert.deepEqual([0, 1023, 1536, 2 ** 40].map(bytesText), ['0 B', '1023 B', '1.5 KiB', '1.0 TiB']);
});

test('nothing from a store can steer the terminal', () => {
  assert.equal(printable('a\u001b[31mb\nc\u009bd\u202ee'), 'a?[31mb?c?d?e');
  assert.equal(printable('übung 10.1.0.0-24&fd00::-64'), 'übung 10.1.0.0-24&fd00::-64');
});
