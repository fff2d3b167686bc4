/** What a run of the benchmark found: the JSON that it writes. */
import type { Judgement } from './floors.js';
import type { Machine } from './machine.js';
import { type Samples, type Summary, summarize } from './statistics.js';
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
  /** Processors at work while all systems were up and none carried anything. */
  readonly idleProcessors: number;
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
}

/** Null where the system or the measure took no part. */
export function samplesOf(underlay: UnderlayResult, system: string, measure: string): Samples | null {
  return underlay.systems.find(({ name }) => name === system)?.samples[measure] ?? null;
}

export function summaryOf(underlay: UnderlayResult, system: string, measure: string): Summary | null {
  return summarize(samplesOf(underlay, system, measure) ?? []);
}
