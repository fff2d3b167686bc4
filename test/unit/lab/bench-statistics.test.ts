import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseBusySeconds } from '../../../src/lab/bench/machine.js';
import { findLossFreeRate, type Trial } from '../../../src/lab/bench/rate-search.js';
import { quantile, ratioOf, summarize } from '../../../src/lab/bench/statistics.js';

describe('statistics', () => {
  test('median and extremes; rounds without a value are left out', () => {
    assert.deepEqual(summarize([3, null, 1, 2]), { median: 2, low: 1, high: 3, count: 3 });
    assert.deepEqual(summarize([4, 1]), { median: 2.5, low: 1, high: 4, count: 2 });
    assert.equal(summarize([null, null]), null);
    assert.equal(summarize([]), null);
  });

  test('quantiles lie between neighbours', () => {
    assert.equal(quantile([10, 20, 30], 0.5), 20);
    assert.equal(quantile([10, 20], 0.75), 17.5);
    assert.equal(quantile([7], 0.999), 7);
    assert.ok(Number.isNaN(quantile([], 0.5)));
  });

  test('a ratio is that of the medians, its spread that of the rounds', () => {
    // The machine was half as fast in round 2: the ratio does not notice.
    assert.deepEqual(ratioOf([8, 4, 9], [10, 5, 10]), { median: 0.8, low: 0.8, high: 0.9, count: 3 });
    assert.deepEqual(ratioOf([8, null, 9], [10, 5, null]), {
      median: 8.5 / 7.5,
      low: 0.8,
      high: 8.5 / 7.5,
      count: 1,
    });
    assert.equal(ratioOf([1, null], [null, 1]), null, 'no round has both');
    assert.equal(ratioOf([1, 1], [0, 0]), null, 'nothing to compare with');
    assert.equal(ratioOf([], [1]), null);
  });

  test('processor time: work, not waiting', () => {
    assert.equal(parseBusySeconds('cpu  100 20 300 9999 888 40 50 7 0 0\ncpu0 1 1 1 1\n'), 5.1);
  });
});

describe('the loss-free rate', () => {
  /** Carries up to `capacity`; a sender that can give `senderMax`. */
  function system(capacity: number, senderMax: number) {
    const rates: number[] = [];
    const trial = (packetsPerSecond: number): Trial => {
      const offeredPerSecond = Math.min(packetsPerSecond, senderMax);
      const receivedPerSecond = Math.min(offeredPerSecond, capacity);
      return { offeredPerSecond, receivedPerSecond, lost: offeredPerSecond - receivedPerSecond };
    };
    const run = async (packetsPerSecond: number) => {
      rates.push(packetsPerSecond);
      return trial(packetsPerSecond);
    };
    return { rates, run, overload: trial(Number.POSITIVE_INFINITY) };
  }

  for (const capacity of [1000, 90_000, 240_000, 399_000]) {
    test(`is found from below: ${capacity}`, async () => {
      const { run, overload, rates } = system(capacity, 400_000);
      const found = await findLossFreeRate(overload, run, 7);
      assert.ok(found.packetsPerSecond <= capacity);
      assert.ok(found.packetsPerSecond > capacity * 0.89, `${found.packetsPerSecond} of ${capacity}`);
      assert.equal(found.isSenderLimited, false);
      assert.equal(found.trials, rates.length);
      assert.ok(rates.length <= 7);
    });
  }

  test("at the sender's maximum is the sender's limit", async () => {
    const { run, overload, rates } = system(500_000, 400_000);
    const found = await findLossFreeRate(overload, run, 7);
    assert.deepEqual(found, { packetsPerSecond: 400_000, isSenderLimited: true, trials: 0 });
    assert.deepEqual(rates, []);
  });

  test('a paced sender that cannot keep its pace is the limit too', async () => {
    const overload = { offeredPerSecond: 400_000, receivedPerSecond: 300_000, lost: 1 };
    const run = async () => ({ offeredPerSecond: 200_000, receivedPerSecond: 200_000, lost: 0 });
    const found = await findLossFreeRate(overload, run, 7);
    assert.deepEqual(found, { packetsPerSecond: 200_000, isSenderLimited: true, trials: 1 });
  });

  test('something lost in every trial: none, in no more trials than allowed', async () => {
    const { run, overload } = system(0, 400_000);
    const lossy = async (rate: number) => ({ ...(await run(rate)), lost: 1 });
    const started = { ...overload, receivedPerSecond: 1000 };
    assert.deepEqual(await findLossFreeRate(started, lossy, 7), {
      ...{ packetsPerSecond: 0, isSenderLimited: false, trials: 7 },
    });
  });
});
