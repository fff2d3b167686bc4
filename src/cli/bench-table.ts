/** The benchmark's figures as text: the floors first, then every system. */
import type { Judgement, Verdict } from '../lab/bench/floors.js';
import {
  type BenchResult,
  baselines,
  comparedMeasures,
  failureLines,
  foreignLoad,
  type Ratio,
  summaryOf,
  type UnderlayResult,
} from '../lab/bench/result.js';
import type { Summary } from '../lab/bench/statistics.js';
import type { UnderlayKind } from '../lab/bench/underlay.js';
import { table } from './table.js';

const underlayTitle: { readonly [kind in UnderlayKind]: string } = {
  veth: 'plain veth',
  wire: 'redirect wire',
};
const verdictText: { readonly [verdict in Verdict]: string } = {
  met: 'met',
  close: 'within the spread',
  missed: 'MISSED',
  unknown: 'NOT MEASURED',
};
/** Beside this, figures are worth little. */
const FOREIGN_LIMIT = 0.1;

export function benchTables(result: BenchResult): string[] {
  return [
    ...about(result),
    ...result.underlays.flatMap((underlay) => [
      '',
      `== ${underlayTitle[underlay.kind]}, medians of ${underlay.rounds} ${underlay.rounds === 1 ? 'round' : 'rounds'} ==`,
      ...floorTable(result.judgements.filter((judgement) => judgement.underlay === underlay.kind)),
      '',
      ...systemTable(underlay),
      ...(result.settings.isQuick ? [] : ratioTables(underlay, result.ratios)),
    ]),
    ...remarks(result),
  ];
}

function about(result: BenchResult): string[] {
  const { twill, machine, date, settings } = result;
  const commit = twill.commit === null ? '' : ` (${twill.commit})`;
  const lines = [
    `Twill ${twill.version}${commit}, ${date}, ${settings.withPods ? 'pod to pod' : 'node to node'}`,
    `${machine.processors} x ${machine.processor}, Linux ${machine.kernel}, Node ${machine.node}`,
  ];
  const foreign = foreignLoad(result);
  if (foreign > FOREIGN_LIMIT) {
    lines.push(`NOTE: others kept ${foreign.toFixed(2)} processors busy: do not trust these figures`);
  }
  return lines;
}

function floorTable(judgements: readonly Judgement[]): string[] {
  if (judgements.length === 0) return [];
  const rows = judgements.map(({ floor, bound, ratio, verdict }) => [
    floor.title,
    ratio ? ratioText(ratio.median) : '-',
    ratio ? `${ratioText(ratio.low)} - ${ratioText(ratio.high)}` : '-',
    `${floor.isCeiling ? 'at most' : 'at least'} ${ratioText(bound)}`,
    verdictText[verdict],
  ]);
  return table(['ratio of medians', '', 'rounds', 'floor', ''], rows);
}

/** Two decimals, three where they would say little. */
export function ratioText(ratio: number): string {
  return ratio.toFixed(ratio < 0.5 ? 3 : 2);
}

const columns: readonly [title: string, measure: string, text: (value: number) => string][] = [
  ['TCP 1', 'tcp1.rate', (value) => value.toFixed(2)],
  ['TCP 4', 'tcp4.rate', (value) => value.toFixed(2)],
  ['1 back', 'tcp1-reverse.rate', (value) => value.toFixed(2)],
  ['4 back', 'tcp4-reverse.rate', (value) => value.toFixed(2)],
  ['s/Gbit', 'tcp1.cpu', (value) => value.toFixed(3)],
  ['B/packet', 'tcp1.wire', (value) => value.toFixed(0)],
  ['64 B', 'udp64.loss-free', thousands],
  ['over', 'udp64.overload', thousands],
  ['512 B', 'udp512.loss-free', thousands],
  ['over', 'udp512.overload', thousands],
  ['MTU', 'udp-mtu.loss-free', thousands],
  ['over', 'udp-mtu.overload', thousands],
  ['RTT p50', 'rtt-idle.p50', (value) => value.toFixed(0)],
  ['p99', 'rtt-idle.p99', (value) => value.toFixed(0)],
  ['loaded p50', 'rtt-load.p50', (value) => value.toFixed(0)],
  ['p99', 'rtt-load.p99', (value) => value.toFixed(0)],
  ['MiB', 'agent.rss', (value) => value.toFixed(0)],
];

function systemTable(underlay: UnderlayResult): string[] {
  const isMeasured = (measure: string) =>
    underlay.systems.some(({ name }) => summaryOf(underlay, name, measure) !== null);
  const shown = columns.filter(([, measure]) => isMeasured(measure));
  const rows = underlay.systems.map((system) => [
    system.title,
    ...shown.map(([, measure, text]) => {
      const summary = summaryOf(underlay, system.name, measure);
      return summary ? `${text(summary.median)}${senderMark(underlay, system.name, measure)}` : '-';
    }),
  ]);
  const lines = table(['', ...shown.map(([title]) => title)], rows);
  const units =
    'TCP in Gbit/s; s/Gbit: processor seconds of the whole machine; B/packet: mean on the underlay; UDP in';
  return [
    ...lines,
    '',
    `${units} 1000 packets/s, loss-free (*: the sender's limit) and in overload; RTT in us.`,
  ];
}

const shortTitle: { readonly [measure in (typeof comparedMeasures)[number]]: string } = {
  ...{ 'tcp1.rate': 'TCP 1', 'tcp4.rate': 'TCP 4', 'tcp1.cpu': 's/Gbit', 'rtt-idle.p50': 'RTT p50' },
  ...{ 'udp64.loss-free': '64 B loss-free', 'udp64.overload': '64 B overload' },
};

/** One table for each baseline: the ratio, and in brackets how far the rounds lie apart. */
function ratioTables({ kind, systems }: UnderlayResult, ratios: readonly Ratio[]): string[] {
  const title = (name: string) => systems.find((system) => system.name === name)?.title ?? name;
  return baselines.flatMap((of) => {
    const own = ratios.filter((ratio) => ratio.underlay === kind && ratio.of === of);
    const measured = comparedMeasures.filter((measure) => own.some((ratio) => ratio.measure === measure));
    if (measured.length === 0) return [];
    const rows = systems
      .filter(({ name }) => own.some(({ system }) => system === name))
      .map((system) => [
        system.title,
        ...measured.map((measure) => {
          const found = own.find((ratio) => ratio.system === system.name && ratio.measure === measure)?.ratio;
          return found
            ? `${ratioText(found.median)} (${ratioText(found.low)}-${ratioText(found.high)})`
            : '-';
        }),
      ]);
    const header = [`of ${title(of)}`, ...measured.map((measure) => shortTitle[measure])];
    return ['', ...table(header, rows)];
  });
}

/** `*` where most rounds were at the sender's limit. */
function senderMark(underlay: UnderlayResult, system: string, measure: string): string {
  if (!measure.endsWith('.loss-free')) return '';
  const limited: Summary | null = summaryOf(underlay, system, measure.replace('loss-free', 'sender-limited'));
  return limited && limited.median > 0.5 ? '*' : '';
}

function thousands(value: number): string {
  return (value / 1000).toFixed(0);
}

function remarks(result: BenchResult): string[] {
  const lines = [
    ...failureLines(result),
    ...result.absent.map(({ name, why }) => `not measured: ${name}: ${why}`),
  ];
  return lines.length > 0 ? ['', ...lines] : [];
}
