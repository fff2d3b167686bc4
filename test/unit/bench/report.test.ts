import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measure } from '../../../bench/micro/suite.js';
import { nativeTable, speedTable } from '../../../bench/report.js';

test('speeds in units that can be read', () => {
  const speeds = [
    { name: 'quick', perSecond: 50e6, errorPercent: 1.26 },
    { name: 'slow', perSecond: 4, errorPercent: 30 },
    { name: 'between', perSecond: 20_000, errorPercent: 0.1 },
  ];
  assert.deepEqual(speedTable('things', speeds), [
    '',
    'things',
    'quick    20.0 ns    50.00 M/s  +-1.3 %',
    'slow     250.00 ms  4.00 /s    +-30.0 %',
    'between  50.00 us   20.00 k/s  +-0.1 %',
  ]);
});

test('variants of one loop are compared with its first', () => {
  const sum = { name: 'sum', unit: 'bytes', spread: 0.01 };
  const path = { name: 'path', unit: 'packets', spread: 0.2 };
  const speeds = [
    { ...sum, variant: 'naive', perSecond: 2e9 },
    { ...sum, variant: 'avx2', perSecond: 50e9 },
    { ...path, variant: 'batch of 1', perSecond: 12e6 },
  ];
  assert.deepEqual(nativeTable('loops', speeds), [
    '',
    'loops',
    'sum    naive       2.00 GB/s   +-1.0 %   x 1.00',
    'sum    avx2        50.00 GB/s  +-1.0 %   x 25.00',
    'path   batch of 1  12.00 M/s   +-20.0 %  x 1.00',
  ]);
});

test('an operation is run under benchmark, and its failure is ours', () => {
  let calls = 0;
  const speed = measure('count', () => calls++, 10);
  assert.ok(calls >= 10 && speed.perSecond > 0);
  assert.throws(
    () =>
      measure('fail', () => {
        throw new Error('broken');
      }),
    /broken/,
  );
});
