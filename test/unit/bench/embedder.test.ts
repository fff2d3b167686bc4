/** The embedder's bench carries what it says it carries, over each of its systems, and its tables say what was measured. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pair } from '../../../bench/embedder/pair.js';
import { embedderTable, residentTable } from '../../../bench/embedder/report.js';
import { growthOf, heapBytesOf, runEmbedder, SYSTEMS } from '../../../bench/embedder/run.js';

// Ports of this process's own.
const port = 30_000 + (process.pid % 1000) * 2;

for (const system of SYSTEMS) {
  test(`${system}: every packet goes there and back once and whole`, { timeout: 60_000 }, async () => {
    await using pair = await Pair.open(system, [port, port + 1]);
    for (const lengthBytes of [64, 512, 1400]) {
      const { returned, lost, near, far } = await pair.exchange(lengthBytes, 3000, Infinity);
      assert.deepEqual({ returned, lost }, { returned: 3000, lost: 0 });
      for (const { residentBytes, processorMicros } of [near, far])
        assert.ok(residentBytes > 1 << 20 && processorMicros > 0);
    }
  });
}

test('what carries nothing is counted as lost, and ends', { timeout: 60_000 }, async () => {
  // Both ends send to a port that nobody has.
  await using pair = await Pair.open('dgram', [port, port + 1], [port + 2, port + 3]);
  const { returned, lost } = await pair.exchange(64, 10, Infinity);
  assert.deepEqual({ returned, lost }, { returned: 0, lost: 10 });
});

test('the bench of rounds: a line for each size and system, and the floors', {
  timeout: 120_000,
}, async () => {
  const lines: string[] = [];
  const code = await runEmbedder((line) => lines.push(line), ['--rounds=1', '--milliseconds=20']);
  assert.ok(code === 0 || code === 1);
  assert.equal(lines.filter((line) => /^(64|512|1400) B {2,}/.test(line)).length, 9);
  assert.match(
    lines.join('\n'),
    /64 B through batches, of dgram: at least 5: (met|within the spread|MISSED)/,
  );
});

test('a million packets through the user port and back leave nothing behind', {
  timeout: 240_000,
}, async () => {
  await using pair = await Pair.open('batches', [port, port + 1]);
  // Code is compiled, pool and queues are touched.
  const half = 500_000;
  const before = await pair.exchange(64, half, Infinity);
  const after = await pair.exchange(64, half, Infinity);
  assert.equal(after.returned + after.lost, half);
  // Whatever were kept of a packet, an object of it or its buffer, would be more than this.
  const grown = growthOf(before, after) / after.returned;
  assert.ok(grown < 8, `${grown} bytes a packet`);
  assert.ok(heapBytesOf([after]) < 8, `${heapBytesOf([after])} bytes allocated a packet`);
});

test('the long bench: memory at its start, middle and end', { timeout: 120_000 }, async () => {
  const lines: string[] = [];
  await runEmbedder((line) => lines.push(line), ['--packets=20000']);
  assert.match(lines.join('\n'), /of 10000 packets: -?\d+ bytes more, -?\d+\.\d{3} a packet/);
  assert.deepEqual(
    lines.slice(2, 5).map((line) => line.split(/ +/).slice(0, 2).join(' ')),
    ['start 200', 'middle 10000', 'end 10000'],
  );
});

test('the tables: medians, spreads, and what a packet took at both ends together', () => {
  const usage = {
    allocatedBytes: 1000,
    collections: 1,
    processorMicros: 300,
    residentBytes: 50 << 20,
    heapBytes: 5 << 20,
  };
  const one = { returned: 1000, lost: 2, seconds: 0.01, near: usage, far: usage };
  const summary = (median: number, low: number, high: number) => ({ median, low, high, count: 3 });
  const row = {
    ...{ system: 'batches', lengthBytes: 64, all: [one, one] },
    rate: summary(100_000, 90_000, 120_000),
    ratio: summary(5.5, 5, 6.25),
  };
  assert.deepEqual(embedderTable([row]), [
    '',
    'there and back                  packets/s  rounds            of dgram  rounds       CPU      heap   GC      lost',
    '64 B            Twill, batches  100.0 k    90.0 k - 120.0 k  5.50      5.00 - 6.25  0.60 us  2.0 B  2000.0  4',
  ]);
  assert.deepEqual(residentTable({ start: one }), [
    '',
    'at the  packets  per second  near RSS  far RSS   near heap  far heap  allocated  GC       lost',
    'start   1000     100.0 k     50.0 MiB  50.0 MiB  5.0 MiB    5.0 MiB   2.00 B     2000.00  2',
  ]);
});
