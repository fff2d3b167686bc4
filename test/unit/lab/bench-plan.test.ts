import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OFFLOADS } from '../../../src/config/offload.js';
import { chooseAll } from '../../../src/lab/bench/choose.js';
import { floors, judge, judgeAll } from '../../../src/lab/bench/floors.js';
import { parseIperf } from '../../../src/lab/bench/iperf.js';
import { measureNamed, measures } from '../../../src/lab/bench/measures.js';
import { type BenchOptions, makePlan, roundSeconds, stepOf } from '../../../src/lab/bench/plan.js';
import { Progress, type ProgressState } from '../../../src/lab/bench/progress.js';
import { requireTools } from '../../../src/lab/bench/requirements.js';
import { rotated } from '../../../src/lab/bench/run.js';
import { systems } from '../../../src/lab/bench/systems.js';

const options: BenchOptions = {
  ...{ isQuick: false, underlays: ['veth', 'wire'], systems: null, rounds: null, seconds: null },
  ...{ withPods: false, withPeers: false, withOffloads: false },
};

describe('the plan', () => {
  test('a quick run measures what the floors need, and nothing else', () => {
    const plan = makePlan({ ...options, isQuick: true }, systems);
    const taken = plan.steps.map(({ step, systems: those }) => [step.name, those.map(({ name }) => name)]);
    assert.deepEqual(taken, [
      ['tcp1', ['kernel', 'twill-vxlan', 'twill-to-kernel', 'kernel-to-twill', 'loop']],
      ['tcp4', ['kernel', 'twill-vxlan', 'twill-to-kernel', 'kernel-to-twill']],
      ['udp64', ['kernel', 'twill-vxlan']],
      ['rtt-idle', ['twill-vxlan', 'loop']],
    ]);
    assert.equal(plan.rounds, 3);
    const whole = plan.rounds * roundSeconds(plan) * 2;
    assert.ok(whole < 60, `${whole} s`);
    assert.ok(plan.limitSeconds !== null && plan.limitSeconds * 2 < 60);
  });

  test('a full run measures everything on all, but no reverse of what has one way', () => {
    const plan = makePlan(options, systems);
    assert.equal(plan.rounds, 5);
    assert.equal(plan.systems.length, systems.length);
    const reverse = plan.steps.find(({ step }) => step.name === 'tcp1-reverse');
    assert.ok(reverse?.systems.every(({ name }) => !name.includes('-to-')));
    assert.equal(plan.limitSeconds, null);
  });

  test('chosen systems, rounds and seconds; an unknown system is named with those there are', () => {
    const plan = makePlan(
      { ...options, systems: ['loop', 'raw'], rounds: 2, seconds: 7, isQuick: true },
      systems,
    );
    assert.deepEqual(
      plan.systems.map(({ name }) => name),
      ['raw', 'loop'],
      'in the order of tables',
    );
    assert.deepEqual([plan.rounds, plan.lengths.tcp, plan.limitSeconds], [2, { seconds: 7 }, null]);
    assert.throws(() => makePlan({ ...options, systems: ['kernal'] }, systems), {
      ...{ code: 'ERR_TWILL_USAGE', message: /"kernal": choose from raw, kernel, / },
    });
  });

  test('every system has its turn as the first', () => {
    assert.deepEqual(
      [0, 1, 2, 3].map((round) => rotated(['a', 'b', 'c'], round).join('')),
      ['abc', 'bca', 'cab', 'abc'],
    );
    assert.deepEqual(rotated([], 2), []);
  });
});

describe('floors', () => {
  test('speak of systems, measures and steps that exist', () => {
    for (const floor of floors) {
      assert.doesNotThrow(() => measureNamed(floor.measure), floor.title);
      for (const name of [floor.system, floor.of])
        assert.ok(
          systems.some((system) => system.name === name),
          name,
        );
      assert.ok(measures.some(({ name }) => stepOf(name) === stepOf(floor.measure)));
    }
  });

  const ratio = (median: number, low: number, high: number) => ({ median, low, high, count: 3 });
  const [least] = floors;
  const most = floors.find(({ isCeiling }) => isCeiling);
  if (!least || !most) throw new Error('there are floors of both kinds');

  test('are missed only by more than the rounds lie apart', () => {
    const verdict = (median: number, low: number, high: number) =>
      judge(least, 'veth', ratio(median, low, high)).verdict;
    assert.equal(verdict(0.75, 0.5, 0.8), 'met');
    assert.equal(verdict(0.74, 0.5, 0.75), 'close');
    assert.equal(verdict(0.7, 0.5, 0.74), 'missed');
    assert.equal(judge(least, 'wire', ratio(0.75, 0.5, 0.8)).verdict, 'missed', 'each underlay has its own');
    assert.equal(judge(least, 'veth', null).verdict, 'unknown');
    const ceiling = (median: number, low: number, high: number) =>
      judge(most, 'veth', ratio(median, low, high)).verdict;
    assert.equal(ceiling(0.16, 0.1, 0.3), 'met');
    assert.equal(ceiling(0.2, 0.16, 0.3), 'close');
    assert.equal(ceiling(0.2, 0.17, 0.3), 'missed');
  });

  test('only those whose systems took part are judged', () => {
    const figures: { [key: string]: number[] } = { 'twill-vxlan tcp1.rate': [8], 'kernel tcp1.rate': [10] };
    const judged = judgeAll('veth', (system, measure) => figures[`${system} ${measure}`] ?? null);
    assert.deepEqual(
      judged.map(({ floor, verdict }) => [floor.title, verdict]),
      [['TCP 1 stream, of kernel vxlan', 'met']],
    );
  });
});

test('progress: the time left follows from the time taken', () => {
  const states: ProgressState[] = [];
  let nowMs = 0;
  const progress = new Progress(
    100,
    (state) => states.push(state),
    () => nowMs,
  );
  progress.tell('first');
  nowMs = 50_000;
  progress.done(25);
  progress.tell('second');
  progress.done(1000);
  progress.tell('more was done than planned');
  assert.deepEqual(states, [
    { what: 'first', fraction: 0, leftSeconds: null },
    { what: 'second', fraction: 0.25, leftSeconds: 150 },
    { what: 'more was done than planned', fraction: 1, leftSeconds: 0 },
  ]);
});

test("iperf3's report, or its own words", () => {
  const sum_received = { bytes: 1_250_000_000, bits_per_second: 5e9 };
  const text = JSON.stringify({ end: { sum_sent: { retransmits: 3 }, sum_received } });
  assert.deepEqual(parseIperf(text), { gigabits: 10, gigabitsPerSecond: 5, retransmits: 3 });
  assert.throws(
    () => parseIperf('{"error": "unable to connect to server"}'),
    /iperf3: unable to connect to server/,
  );
  assert.throws(() => parseIperf('{"end": {}}'), /iperf3: no result/);
});

test('a missing program is named with its Debian package', async () => {
  await assert.rejects(requireTools(['iperf3', 'tc', 'ip'], '/nonexistent'), {
    message: /needs iperf3, tc, ip, .*"apt-get install iperf3 iproute2"/,
  });
  await requireTools(['nsenter']);
});

test('peers that are not installed are named with what would bring them', async () => {
  const { systems: found, absent } = await chooseAll({ ...options, withPeers: true }, '/nonexistent');
  assert.deepEqual(found, systems);
  assert.deepEqual(
    absent.map(({ name }) => name),
    ['wireguard-go', 'fastd', 'tinc', 'nebula', 'n2n', 'openvswitch'],
  );
  assert.match(absent.at(-1)?.why ?? '', /"apt-get install openvswitch-switch"/);
  assert.deepEqual(await chooseAll(options), { systems, absent: [] });
  const { systems: withOffloads } = await chooseAll({ ...options, withOffloads: true });
  assert.deepEqual(
    withOffloads.slice(systems.length).map(({ name }) => name),
    OFFLOADS.map((name) => `twill-vxlan-no-${name}`),
  );
});
