/**
 * A run of the benchmark. Per underlay every system is up at once, each on a bed of its own, and only one carries traffic:
 * so one step after another can be measured on all systems right after each other (A B C, B C A, ...), which is what makes
 * figures of a noisy machine comparable.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ping } from '../traffic.js';
import { CleanUp } from './clean-up.js';
import { busyProcessors, rssMebibytes } from './machine.js';
import { measures, type Step } from './measures.js';
import { type BenchPlan, roundSeconds, stepSeconds } from './plan.js';
import { addPods, nodeEnds } from './pods.js';
import type { Progress } from './progress.js';
import type { StepFailure, SystemResult, UnderlayResult } from './result.js';
import { type RunningSystem, runStep } from './step.js';
import type { System } from './systems.js';
import { makeBed, type UnderlayKind } from './underlay.js';

/** Systems that are set up at the same time. */
const SETUP_WIDTH = 3;
const WARM_UP_PINGS = 20;
const IDLE_WINDOW_MS = 250;

interface Entry {
  readonly system: System;
  readonly running: RunningSystem | null;
  readonly failure: string | null;
  readonly samples: { [measure: string]: (number | null)[] };
  /** Steps that failed: not tried again. */
  readonly failed: Set<string>;
}

export interface Outcome {
  readonly underlay: UnderlayResult;
  readonly failures: readonly StepFailure[];
}

/** Builds, measures, and removes all that it made, also when it fails or is aborted. */
export async function runUnderlay(
  kind: UnderlayKind,
  plan: BenchPlan,
  progress: Progress,
  signal: AbortSignal,
): Promise<Outcome> {
  const startMs = performance.now();
  const cleanUp = new CleanUp();
  try {
    const directory = await mkdtemp(join(tmpdir(), 'twill-bench-'));
    cleanUp.add(() => rm(directory, { recursive: true, force: true }));
    const entries = await setUpAll(kind, plan, directory, cleanUp, progress, signal);
    const failures: StepFailure[] = [];
    const idle: number[] = [];
    let rounds = 0;
    let longestMs = 0;
    while (rounds < plan.rounds) {
      const roundMs = performance.now();
      const leftMs = plan.limitSeconds === null ? Infinity : plan.limitSeconds * 1000 - (roundMs - startMs);
      if (rounds > 0 && longestMs > leftMs) break;
      progress.tell(`${kind}: how busy the machine is without traffic`);
      idle.push(await busyProcessors(IDLE_WINDOW_MS));
      // The lowest is what the systems themselves do without traffic; what is above is others'.
      const settings = { lengths: plan.lengths, idleProcessors: Math.min(...idle), signal };
      for (const { step, systems } of plan.steps) {
        const taking = entries.filter(({ system }) => systems.includes(system));
        for (const entry of rotated(taking, rounds)) {
          signal.throwIfAborted();
          progress.tell(
            `${kind}, round ${rounds + 1} of ${plan.rounds}: ${step.title}: ${entry.system.title}`,
          );
          const failure = await takeStep(entry, step, settings);
          if (failure !== null)
            failures.push({ underlay: kind, system: entry.system.name, step: step.name, why: failure });
          progress.done(stepSeconds(step, plan.lengths));
        }
      }
      for (const entry of entries) await takeMemory(entry);
      rounds += 1;
      longestMs = Math.max(longestMs, performance.now() - roundMs);
    }
    progress.done(roundSeconds(plan) * (plan.rounds - rounds));
    const idleProcessors = { lowest: Math.min(...idle), highest: Math.max(...idle) };
    return { underlay: { kind, rounds, idleProcessors, systems: entries.map(resultOf) }, failures };
  } finally {
    await cleanUp.run();
  }
}

async function setUpAll(
  kind: UnderlayKind,
  plan: BenchPlan,
  directory: string,
  cleanUp: CleanUp,
  progress: Progress,
  signal: AbortSignal,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let at = 0; at < plan.systems.length; at += SETUP_WIDTH) {
    const group = plan.systems.slice(at, at + SETUP_WIDTH);
    progress.tell(`${kind}: setting up ${group.map(({ title }) => title).join(', ')}`);
    entries.push(
      ...(await Promise.all(
        group.map((system) => setUp(kind, system, plan.options.withPods, directory, cleanUp, signal)),
      )),
    );
    signal.throwIfAborted();
  }
  return entries;
}

/** A system that does not come up is noted and left out; the others are measured. */
async function setUp(
  kind: UnderlayKind,
  system: System,
  withPods: boolean,
  parent: string,
  cleanUp: CleanUp,
  signal: AbortSignal,
): Promise<Entry> {
  const own = new CleanUp();
  cleanUp.add(() => own.run());
  const entry = { system, samples: {}, failed: new Set<string>() };
  try {
    const directory = await mkdtemp(join(parent, `${system.name}-`));
    const bed = await makeBed(kind, own);
    const overlay = await system.start({ bed, directory, cleanUp: own, signal });
    const ends = withPods ? await addPods(bed, overlay, own) : nodeEnds(bed, overlay);
    const { received } = await ping(ends[0].namespace, ends[1].address, { count: WARM_UP_PINGS });
    if (received === 0) throw new Error('no ping comes through');
    return { ...entry, running: { bed, overlay, ends }, failure: null };
  } catch (error) {
    signal.throwIfAborted();
    await own.run();
    return { ...entry, running: null, failure: (error as Error).message };
  }
}

/** Why it failed; null: it did not, or was not tried. */
async function takeStep(
  { running, samples, failed }: Entry,
  step: Step,
  settings: Parameters<typeof runStep>[2],
): Promise<string | null> {
  let values: { readonly [what: string]: number } = {};
  let failure: string | null = null;
  if (running && !failed.has(step.name)) {
    try {
      values = await runStep(running, step, settings);
    } catch (error) {
      settings.signal.throwIfAborted();
      failed.add(step.name);
      failure = (error as Error).message;
    }
  }
  for (const { name } of measures.filter(({ name }) => name.startsWith(`${step.name}.`))) {
    const value = values[name.slice(step.name.length + 1)];
    samples[name] ??= [];
    samples[name].push(value !== undefined && Number.isFinite(value) ? value : null);
  }
  return failure;
}

async function takeMemory({ running, samples }: Entry): Promise<void> {
  if (!running || running.overlay.pids.length === 0) return;
  const all = await Promise.all(running.overlay.pids.map(rssMebibytes));
  const sizes = all.filter((size): size is number => size !== null);
  samples['agent.rss'] ??= [];
  samples['agent.rss'].push(sizes.length > 0 ? Math.max(...sizes) : null);
}

function resultOf({ system, running, failure, samples }: Entry): SystemResult {
  const { name, title } = system;
  return { name, title, mtuBytes: running?.overlay.mtuBytes ?? null, failure, samples };
}

/** No system always comes first. */
export function rotated<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
