/** What a run of the benchmark found: the JSON that it writes. */
import type { Judgement } from './floors.js';
import type { Machine } from './machine.js';
import { ratioOf, type Samples, type Summary, summarize } from './statistics.js';
import type { UnderlayKind } from './underlay.js';

export interface SystemResult {
  readonly name: string;
  readonly title: string;
  readonly mtuBytes: number | null;
  /** Why it never ran. */
  readonly failure: string | null;
  /** By measure, one value a round. */
  readonly samples: { readonly [measure: string]: Samples };
}

export interface UnderlayResult {
  readonly kind: UnderlayKind;
  readonly rounds: number;
  /** Processors at work while all systems were up and none carried anything, before each round. */
  readonly idleProcessors: { readonly lowest: number; readonly highest: number };
  readonly systems: readonly SystemResult[];
}

export interface StepFailure {
  readonly underlay: UnderlayKind;
  readonly system: string;
  readonly step: string;
  readonly why: string;
}

export interface BenchResult {
  readonly twill: { readonly version: string; readonly commit: string | null };
  readonly date: string;
  readonly command: string;
  readonly machine: Machine;
  readonly settings: {
    readonly isQuick: boolean;
    readonly rounds: number;
    readonly tcpSeconds: number;
    readonly withPods: boolean;
  };
  /** Processors that others kept at work before the run: what is above about a tenth spoils figures. */
  readonly foreignProcessors: number;
  readonly underlays: readonly UnderlayResult[];
  readonly failures: readonly StepFailure[];
  /** Systems that were asked for and are not on this machine, with what would bring them. */
  readonly absent: readonly { readonly name: string; readonly why: string }[];
  readonly judgements: readonly Judgement[];
  readonly ratios: readonly Ratio[];
}

/** One system's figure as a part of another's, in the same run. */
export interface Ratio {
  readonly underlay: UnderlayKind;
  readonly measure: string;
  readonly system: string;
  readonly of: string;
  readonly ratio: Summary;
}

/** What others are compared with. */
export const baselines = ['kernel', 'loop'] as const;
/** What is compared. */
export const comparedMeasures = [
  'tcp1.rate',
  'tcp4.rate',
  'tcp1.cpu',
  'udp64.loss-free',
  'udp64.overload',
  'rtt-idle.p50',
] as const;

/** Null where the system or the measure took no part. */
export function samplesOf(underlay: UnderlayResult, system: string, measure: string): Samples | null {
  return underlay.systems.find(({ name }) => name === system)?.samples[measure] ?? null;
}

export function summaryOf(underlay: UnderlayResult, system: string, measure: string): Summary | null {
  return summarize(samplesOf(underlay, system, measure) ?? []);
}

export function ratiosOf(underlay: UnderlayResult): Ratio[] {
  return baselines.flatMap((of) =>
    comparedMeasures.flatMap((measure) =>
      underlay.systems.flatMap(({ name: system }) => {
        if (system === of) return [];
        const [value, base] = [samplesOf(underlay, system, measure), samplesOf(underlay, of, measure)];
        const ratio = value && base && ratioOf(value, base);
        return ratio ? [{ underlay: underlay.kind, measure, system, of, ratio }] : [];
      }),
    ),
  );
}

/** Processors that others kept at work, before the run or between its parts. */
export function foreignLoad({ foreignProcessors, underlays }: BenchResult): number {
  return Math.max(foreignProcessors, ...underlays.map(({ idleProcessors }) => idleProcessors.highest));
}

/** What could not be measured although it was there, a line each. */
export function failureLines({ underlays, failures }: BenchResult): string[] {
  return [
    ...underlays.flatMap(({ kind, systems }) =>
      systems.flatMap(({ title, failure }) =>
        failure === null ? [] : [`${kind}: ${title} did not start: ${failure}`],
      ),
    ),
    ...failures.map(({ underlay, system, step, why }) => `${underlay}: ${system}: ${step} failed: ${why}`),
  ];
}
