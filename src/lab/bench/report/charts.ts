/** The figures of one underlay as charts: data only, drawn by render.ts. Colours of text and lines come from the page. */
import { measureNamed, percentiles, type StepName, steps } from '../measures.js';
import { type SystemResult, samplesOf, summaryOf, type UnderlayResult } from '../result.js';
import type { Summary } from '../statistics.js';
import { barChart, lineChart } from './chart-options.js';
import type { Chart } from './render.js';

interface BarPlan {
  readonly title: string;
  readonly note: string;
  readonly unit: string;
  readonly divisor?: number;
  readonly series: readonly (readonly [label: string, measure: string])[];
}

const spreadNote = 'Bars are medians of the rounds, whiskers go from the lowest to the highest.';

const barPlans: readonly BarPlan[] = [
  {
    ...{ title: 'TCP throughput', unit: 'Gbit/s', note: `${spreadNote} Longer is better.` },
    series: [
      ['1 stream', 'tcp1.rate'],
      ['4 streams', 'tcp4.rate'],
    ],
  },
  {
    ...{ title: 'TCP throughput, reverse', unit: 'Gbit/s', note: `${spreadNote} Longer is better.` },
    series: [
      ['1 stream', 'tcp1-reverse.rate'],
      ['4 streams', 'tcp4-reverse.rate'],
    ],
  },
  {
    ...{ title: 'Packets of 64 bytes', unit: '1000 packets/s', divisor: 1000 },
    note: `${spreadNote} Loss-free: the highest rate at which all arrived. Overload: what arrived when the sender gave all it could. Longer is better.`,
    series: [
      ['loss-free', 'udp64.loss-free'],
      ['overload', 'udp64.overload'],
    ],
  },
  {
    ...{ title: 'Processor time', unit: 'seconds per Gbit' },
    note: `${spreadNote} Of the whole machine, both ends and the traffic's own programs. Shorter is better.`,
    series: [
      ['1 stream', 'tcp1.cpu'],
      ['4 streams', 'tcp4.cpu'],
    ],
  },
];

export function chartsOf(underlay: UnderlayResult): Chart[] {
  const charts = [
    ...barPlans.map((plan) => bars(underlay, plan)),
    overSize(underlay, 'overload', 'what arrived when the sender gave all it could'),
    overSize(underlay, 'loss-free', 'the highest rate at which all arrived'),
    latency(underlay, 'rtt-idle', 'Round-trip times, idle', 'One ping a millisecond and nothing else.'),
    latency(
      underlay,
      'rtt-load',
      'Round-trip times beside TCP',
      'One ping a millisecond beside a TCP stream.',
    ),
  ];
  return charts.filter((chart): chart is Chart => chart !== null);
}

function bars(underlay: UnderlayResult, plan: BarPlan): Chart | null {
  const series = plan.series.filter(([, measure]) => isMeasured(underlay, measure));
  const measured = underlay.systems.filter(({ name }) =>
    series.some(([, measure]) => summaryOf(underlay, name, measure) !== null),
  );
  if (measured.length === 0) return null;
  const scale = (summary: Summary | null) => summary && scaled(summary, plan.divisor ?? 1);
  return {
    ...{ title: plan.title, note: plan.note },
    ...barChart({
      unit: plan.unit,
      categories: measured.map(({ title }) => title),
      series: series.map(([name, measure]) => ({
        name,
        values: measured.map((system) => scale(summaryOf(underlay, system.name, measure))),
      })),
    }),
  };
}

function scaled({ median, low, high, count }: Summary, divisor: number): Summary {
  return { median: median / divisor, low: low / divisor, high: high / divisor, count };
}

function isMeasured(underlay: UnderlayResult, measure: string): boolean {
  return underlay.systems.some(({ name }) => summaryOf(underlay, name, measure) !== null);
}

/** UDP payload, by packet size. */
function overSize(underlay: UnderlayResult, what: 'overload' | 'loss-free', meaning: string): Chart | null {
  const sizes = steps.flatMap((step) => (step.kind === 'udp' ? [step] : []));
  const points = sizes.filter(({ name }) => isMeasured(underlay, `${name}.${what}`));
  if (points.length < 2) return null;
  const gigabits = (system: SystemResult, step: (typeof sizes)[number]) => {
    const summary = summaryOf(underlay, system.name, `${step.name}.${what}`);
    const bytes = step.payloadBytes ?? (system.mtuBytes ?? 0) - 28;
    return summary && (summary.median * bytes * 8) / 1e9;
  };
  return {
    title: `UDP payload by packet size, ${what}`,
    note: `Medians: ${meaning}. Higher is better.`,
    ...lineChart({
      ...{ unit: 'Gbit/s', xName: 'payload' },
      x: points.map(({ payloadBytes }) => (payloadBytes === null ? 'MTU' : `${payloadBytes} B`)),
      series: underlay.systems
        .filter(({ name }) => points.some((step) => samplesOf(underlay, name, `${step.name}.${what}`)))
        .map((system) => ({
          ...{ system: system.name, name: system.title },
          values: points.map((step) => gigabits(system, step)),
        })),
    }),
  };
}

function latency(underlay: UnderlayResult, step: StepName, title: string, note: string): Chart | null {
  const measured = underlay.systems.filter(({ name }) => summaryOf(underlay, name, `${step}.p50`) !== null);
  if (measured.length === 0) return null;
  const unit = measureNamed(`${step}.p50`).unit === 'us' ? 'microseconds' : '';
  return {
    ...{ title, note: `${note} Medians of the rounds, logarithmic. Lower is better.` },
    ...lineChart({
      ...{ unit, xName: 'percentile', isLogarithmic: true },
      x: percentiles.map((percent) => `p${percent}`),
      series: measured.map(({ name, title: label }) => ({
        ...{ system: name, name: label },
        values: percentiles.map(
          (percent) => summaryOf(underlay, name, `${step}.p${percent}`)?.median ?? null,
        ),
      })),
    }),
  };
}
