/** A result of the benchmark with every measure of every system, made up but of realistic shape. */
import { judgements } from '../../src/lab/bench/bench.js';
import { measures } from '../../src/lab/bench/measures.js';
import { type BenchResult, ratiosOf, type UnderlayResult } from '../../src/lab/bench/result.js';
import { systems } from '../../src/lab/bench/systems.js';
import { type UnderlayKind, underlayKinds } from '../../src/lab/bench/underlay.js';

const typical: { readonly [what: string]: number } = {
  ...{
    rate: 8,
    cpu: 0.2,
    wire: 1500,
    'loss-free': 250e3,
    overload: 280e3,
    offered: 400e3,
    'sender-limited': 0,
  },
  ...{ p50: 20, p90: 60, p99: 180, 'p99.9': 900, rss: 58 },
};
const spread = [0.9, 1.1, 1, 0.97, 1.04];

function underlay(kind: UnderlayKind): UnderlayResult {
  return {
    ...{ kind, rounds: spread.length, idleProcessors: { lowest: 0.01, highest: 0.03 } },
    systems: systems.map(({ name, title }, at) => {
      const isLoop = name === 'loop';
      const samples = measures.map(({ name: measure, better }): [string, number[]] => {
        const usual = typical[measure.replace(/^[^.]*\./, '')] ?? 0;
        const factor = isLoop ? (better === 'lower' ? 6 : 0.12) : 1 - 0.04 * at;
        return [measure, spread.map((part) => usual * factor * part)];
      });
      return { name, title, mtuBytes: 1450, failure: null, samples: Object.fromEntries(samples) };
    }),
  };
}

export function wholeResult(): BenchResult {
  const underlays = underlayKinds.map(underlay);
  return {
    twill: { version: '0.1.0', commit: '0123456789ab' },
    ...{ date: '2030-01-02T03:04:05.000Z', command: 'twill bench --html=<report>.html' },
    machine: {
      processor: 'Some & Other',
      processors: 2,
      memoryGibibytes: 24,
      kernel: '6.18.0',
      node: 'v20.20.2',
    },
    settings: { isQuick: false, rounds: spread.length, tcpSeconds: 2, withPods: false },
    ...{
      foreignProcessors: 0.02,
      underlays,
      judgements: judgements(underlays),
      ratios: underlays.flatMap(ratiosOf),
    },
    failures: [{ underlay: 'wire', system: 'loop', step: 'tcp4', why: 'iperf3: <unable> to connect' }],
    absent: [{ name: 'nebula', why: 'apt-get install nebula' }],
  };
}
