/** What a run of the benchmark will do: which systems, which steps, how long. Pure. */
import { TwillError } from '../../errors.js';
import { floors } from './floors.js';
import { type Step, type StepName, steps } from './measures.js';
import type { System } from './systems.js';
import type { UnderlayKind } from './underlay.js';

export interface BenchOptions {
  readonly isQuick: boolean;
  readonly underlays: readonly UnderlayKind[];
  /** Names; null: what the run is for. */
  readonly systems: readonly string[] | null;
  /** null: what the kind of run has. */
  readonly rounds: number | null;
  /** Of one TCP run. null: what the kind of run has. */
  readonly seconds: number | null;
  readonly withPods: boolean;
  readonly withPeers: boolean;
  /** Twill's vxlan without each offload in turn. */
  readonly withOffloads: boolean;
}

export interface Lengths {
  readonly tcp: { readonly seconds: number } | { readonly aboutSeconds: number };
  readonly overloadMs: number;
  readonly trialMs: number;
  readonly maxTrials: number;
  readonly pings: number;
}

/** One step with the systems that take it, in every round. */
export interface PlannedStep {
  readonly step: Step;
  readonly systems: readonly System[];
}

export interface BenchPlan {
  readonly options: BenchOptions;
  readonly rounds: number;
  readonly lengths: Lengths;
  readonly systems: readonly System[];
  readonly steps: readonly PlannedStep[];
  /** Of one underlay: no further round begins that would pass it. null: no limit. */
  readonly limitSeconds: number | null;
}

const QUICK_ROUNDS = 3;
const FULL_ROUNDS = 5;
const FULL_SECONDS = 2;
/** Both underlays, set-up included, stay below a minute. */
const QUICK_LIMIT_SECONDS = 26;
const PINGS_PER_SECOND = 500;

export function makePlan(options: BenchOptions, all: readonly System[]): BenchPlan {
  const chosen = chooseSystems(options, all);
  const planned = steps.map((step) => ({
    step,
    systems: chosen.filter((system) => takes(system, step, options)),
  }));
  const taken = planned.filter(({ systems }) => systems.length > 0);
  return {
    options,
    rounds: options.rounds ?? (options.isQuick ? QUICK_ROUNDS : FULL_ROUNDS),
    lengths: lengthsOf(options),
    systems: chosen.filter((system) => taken.some(({ systems }) => systems.includes(system))),
    steps: taken,
    limitSeconds:
      options.isQuick && options.rounds === null && options.seconds === null
        ? QUICK_LIMIT_SECONDS * (2 / options.underlays.length)
        : null,
  };
}

function chooseSystems({ systems, isQuick }: BenchOptions, all: readonly System[]): readonly System[] {
  if (systems === null) {
    return isQuick
      ? all.filter(({ name }) => floors.some((floor) => [floor.system, floor.of].includes(name)))
      : all;
  }
  const known = all.map(({ name }) => name);
  const unknown = systems.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const message = `no system is called ${JSON.stringify(unknown.slice(0, 40))}: choose from ${known.join(', ')}`;
    throw new TwillError('ERR_TWILL_USAGE', message);
  }
  return all.filter(({ name }) => systems.includes(name));
}

function takes(system: System, step: Step, { isQuick, systems }: BenchOptions): boolean {
  if (step.kind === 'tcp' && step.isReverse && system.isOneWay) return false;
  if (!isQuick) return true;
  const uses = floors.filter(({ measure }) => stepOf(measure) === step.name);
  if (systems !== null) return uses.length > 0;
  return uses.some((floor) => [floor.system, floor.of].includes(system.name));
}

export function stepOf(measure: string): StepName {
  return measure.replace(/\..*$/, '') as StepName;
}

function lengthsOf({ isQuick, seconds }: BenchOptions): Lengths {
  if (isQuick && seconds === null) {
    return { tcp: { aboutSeconds: 0.4 }, overloadMs: 200, trialMs: 120, maxTrials: 5, pings: 150 };
  }
  const length = seconds ?? FULL_SECONDS;
  return {
    tcp: { seconds: length },
    overloadMs: 500 * length,
    trialMs: 250 * length,
    maxTrials: 7,
    pings: Math.min(PINGS_PER_SECOND * length, 50_000),
  };
}

/** Seconds that a step takes of one system, about. */
export function stepSeconds(step: Step, lengths: Lengths): number {
  const startSeconds = 0.2;
  const tcpSeconds = 'seconds' in lengths.tcp ? lengths.tcp.seconds : lengths.tcp.aboutSeconds;
  switch (step.kind) {
    case 'tcp':
      return startSeconds + tcpSeconds;
    case 'udp':
      return startSeconds + (lengths.overloadMs + (lengths.trialMs + 100) * lengths.maxTrials) / 1000;
    case 'rtt':
      return startSeconds + (step.isLoaded ? tcpSeconds : lengths.pings / 1000);
  }
}

/** Seconds that one underlay takes without its set-up, about. */
export function roundSeconds({ steps: planned, lengths }: BenchPlan): number {
  return planned.reduce((sum, { step, systems }) => sum + systems.length * stepSeconds(step, lengths), 0);
}
