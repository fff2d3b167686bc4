import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goDuration } from '../../../src/agent/clock.js';

test('durations as Go writes them', () => {
  const written = [0, 7400, 60_000, 305_000, 3_600_000, 82_799_000, 86_400_000].map(goDuration);
  assert.deepEqual(written, ['0s', '7s', '1m0s', '5m5s', '1h0m0s', '22h59m59s', '24h0m0s']);
  assert.equal(goDuration(-5), '0s');
});
