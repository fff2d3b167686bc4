import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { longestPassing } from '../../../src/probe/path-mtu.js';
import { times } from '../../support/properties.js';

/** A path whose narrowest link takes so much; `says` is what its router claims. */
async function search(
  least: number,
  most: number,
  narrowest: number,
  says: number | null,
  hint: number | null = says,
) {
  let attempts = 0;
  const found = await longestPassing(least, most, hint, async (size) => {
    attempts += 1;
    assert.ok(size > least && size < most, `${size} is known already`);
    return size <= narrowest ? { passed: true } : { passed: false, mtuBytes: says };
  });
  return { found, attempts };
}

test('path MTU: found whatever routers say, truth, nothing or lies, in few attempts', async () => {
  const bounds = fc
    .tuple(fc.integer({ min: 60, max: 9000 }), fc.integer({ min: 1, max: 9000 }))
    .map(([least, more]) => [least, least + more] as const);
  await fc.assert(
    fc.asyncProperty(
      bounds.chain(([least, most]) =>
        fc.record({
          least: fc.constant(least),
          most: fc.constant(most),
          narrowest: fc.integer({ min: least, max: most - 1 }),
          says: fc.option(fc.nat(70_000), { nil: null }),
        }),
      ),
      async ({ least, most, narrowest, says }) => {
        const { found, attempts } = await search(least, most, narrowest, says);
        assert.equal(found, narrowest);
        assert.ok(attempts <= 2 * Math.ceil(Math.log2(most - least + 1)) + 3, `${attempts} attempts`);
      },
    ),
    times(1000),
  );
});

test('path MTU: a truthful router ends it at once', async () => {
  assert.deepEqual(await search(100, 9000, 1400, 1400), { found: 1400, attempts: 2 });
  assert.deepEqual(await search(100, 101, 100, null), { found: 100, attempts: 0 });
});
