/** The benchmark: all underlays of a plan, judged. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Judgement, judgeAll } from './floors.js';
import { busyProcessors, describeMachine } from './machine.js';
import { type BenchPlan, roundSeconds } from './plan.js';
import { Progress, type ProgressState } from './progress.js';
import { requireTools } from './requirements.js';
import { type BenchResult, ratiosOf, type StepFailure, samplesOf, type UnderlayResult } from './result.js';
import { runUnderlay } from './run.js';

/** What a system's set-up takes, about. */
const SETUP_SECONDS = 1;

export interface BenchRun {
  /** Of Twill. */
  readonly version: string;
  readonly plan: BenchPlan;
  /** As it was typed, for the report. */
  readonly command: string;
  readonly absent: BenchResult['absent'];
  readonly signal: AbortSignal;
  readonly show: (state: ProgressState) => void;
}

export async function runBench({
  version,
  plan,
  command,
  absent,
  signal,
  show,
}: BenchRun): Promise<BenchResult> {
  await requireTools(['ip', 'bridge', 'tc', 'ethtool', 'iperf3', 'nsenter', 'unshare']);
  const kinds = plan.options.underlays;
  const progress = new Progress(
    kinds.length * (plan.rounds * roundSeconds(plan) + plan.systems.length * SETUP_SECONDS),
    show,
  );
  progress.tell('how busy others keep the machine');
  const foreignProcessors = await busyProcessors();
  const underlays: UnderlayResult[] = [];
  const failures: StepFailure[] = [];
  for (const kind of kinds) {
    const outcome = await runUnderlay(kind, plan, progress, signal);
    underlays.push(outcome.underlay);
    failures.push(...outcome.failures);
    progress.done(plan.systems.length * SETUP_SECONDS);
  }
  const tcp = plan.lengths.tcp;
  return {
    twill: { version, commit: await commit() },
    date: new Date().toISOString(),
    command,
    machine: await describeMachine(),
    settings: {
      isQuick: plan.options.isQuick,
      rounds: plan.rounds,
      tcpSeconds: 'seconds' in tcp ? tcp.seconds : tcp.aboutSeconds,
      withPods: plan.options.withPods,
    },
    foreignProcessors,
    ...{ underlays, failures, absent },
    judgements: judgements(underlays),
    ratios: underlays.flatMap(ratiosOf),
  };
}

export function judgements(underlays: readonly UnderlayResult[]): Judgement[] {
  return underlays.flatMap((underlay) =>
    judgeAll(underlay.kind, (system, measure) => samplesOf(underlay, system, measure)),
  );
}

/** Of the checkout that runs; null in an installed package. */
async function commit(): Promise<string | null> {
  const root = join(dirname(fileURLToPath(import.meta.url)), '../../../..');
  if (!existsSync(join(root, '.git'))) return null;
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', ['-C', root, ...args])).stdout.trim();
  try {
    const isChanged = (await git('status', '--porcelain', '--untracked-files=no')) !== '';
    return `${await git('rev-parse', '--short=12', 'HEAD')}${isChanged ? ' with changes' : ''}`;
  } catch {
    return null;
  }
}
