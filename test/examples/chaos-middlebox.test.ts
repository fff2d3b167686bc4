/** examples/chaos-middlebox.ts: what it does to packets is what it was asked for, and it can count. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Example } from '../support/example.js';

interface Path {
  readonly came: number;
  readonly dropped: number;
  readonly duplicated: number;
  readonly waiting: number;
  readonly refused: number;
  readonly handedOver: number;
  readonly arrived: number;
  readonly reordered: number;
}
const PACKETS = 3000;

for (const { title, args, check } of [
  {
    title: 'a good network changes nothing',
    args: ['--drop', '0', '--duplicate', '0', '--delay-ms', '0'],
    check: ({ arrived, reordered }: Path) =>
      assert.deepEqual({ arrived, reordered }, { arrived: PACKETS, reordered: 0 }),
  },
  {
    title: 'a dead one carries nothing',
    args: ['--drop', '1'],
    check: ({ dropped, arrived }: Path) =>
      assert.deepEqual({ dropped, arrived }, { dropped: PACKETS, arrived: 0 }),
  },
  {
    title: 'a bad one drops, duplicates and reorders about as much as it was asked for',
    args: ['--drop', '0.3', '--duplicate', '0.2', '--delay-ms', '10'],
    check: ({ dropped, duplicated, arrived, reordered }: Path) => {
      // Far beyond what chance does at 3000 packets; and the seed is always the same.
      assert.ok(Math.abs(dropped - 0.3 * PACKETS) < 200, `dropped ${dropped}`);
      assert.ok(Math.abs(duplicated - 0.2 * (PACKETS - dropped)) < 200, `duplicated ${duplicated}`);
      assert.equal(arrived, PACKETS - dropped + duplicated);
      assert.ok(reordered > 100, `reordered ${reordered}`);
    },
  },
]) {
  test(`chaos middlebox: ${title}`, { timeout: 60_000 }, async (t) => {
    const example = Example.start(t, 'chaos-middlebox', [...args, '--packets', `${PACKETS}`]);
    assert.equal(await example.end(), 0, 'the counts add up');
    const paths = example.lines.map((line) => JSON.parse(line) as Path);
    assert.equal(paths.length, 2, 'there and back');
    for (const path of paths) {
      assert.deepEqual([path.came, path.waiting, path.refused], [PACKETS, 0, 0]);
      assert.equal(path.came - path.dropped + path.duplicated, path.handedOver);
      check(path);
    }
  });
}

test('chaos middlebox: the same seed is the same chance, another is another', {
  timeout: 60_000,
}, async (t) => {
  const fates = async (seed: string) => {
    const example = Example.start(t, 'chaos-middlebox', [
      '--packets',
      '1000',
      '--delay-ms',
      '1',
      '--seed',
      seed,
    ]);
    assert.equal(await example.end(), 0);
    return example.lines.map((line) => {
      const { dropped, duplicated } = JSON.parse(line) as Path;
      return { dropped, duplicated };
    });
  };
  const [first, again, other] = [await fates('1'), await fates('1'), await fates('99')];
  assert.deepEqual(again, first);
  assert.notDeepEqual(other, first);
});
