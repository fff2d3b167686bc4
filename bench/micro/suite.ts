/** One operation under `benchmark`, a thousand times a call so that the call itself does not count. */
import Benchmark from 'benchmark';

export const OPERATIONS_PER_CALL = 1000;
const MAX_SECONDS = 0.5;

export interface Speed {
  readonly name: string;
  readonly perSecond: number;
  /** Relative margin of error, as `benchmark` finds it. */
  readonly errorPercent: number;
}

/**
 * `operation` gets a number that grows, so that not always the same is asked. Fewer operations a call are for those that
 * take much longer than a call.
 */
export function measure(
  name: string,
  operation: (i: number) => unknown,
  operationsPerCall = OPERATIONS_PER_CALL,
): Speed {
  let kept: unknown;
  const benchmark = new Benchmark(
    name,
    () => {
      for (let i = 0; i < operationsPerCall; i++) kept = operation(i);
    },
    { maxTime: MAX_SECONDS },
  );
  benchmark.run();
  const failure = (benchmark as { error?: unknown }).error;
  if (failure !== undefined) throw failure;
  // Read, so that the work cannot be left out.
  if (kept === benchmark) throw new Error('unreachable');
  return { name, perSecond: benchmark.hz * operationsPerCall, errorPercent: benchmark.stats.rme };
}
