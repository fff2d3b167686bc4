/** Figures of several rounds: the median, and how far the rounds lie apart. */

export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** Rounds that gave a value. */
  readonly count: number;
}

/** One value a round; null where a round gave none. */
export type Samples = readonly (number | null)[];

/** Of sorted values, between neighbours in proportion; NaN of none. */
export function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** Median, lowest and highest; null where no round gave a value. */
export function summarize(samples: Samples): Summary | null {
  const sorted = samples.filter((value): value is number => value !== null).sort((a, b) => a - b);
  const [low] = sorted;
  if (low === undefined) return null;
  return { median: quantile(sorted, 0.5), low, high: sorted.at(-1) ?? low, count: sorted.length };
}

/**
 * The ratio of the medians; its spread is that of the ratios within each round, where both were measured next to each
 * other and a slow spell of the machine met both.
 */
export function ratioOf(of: Samples, to: Samples): Summary | null {
  const paired = of.map((value, round) => {
    const base = to[round] ?? null;
    return value === null || base === null || base === 0 ? null : value / base;
  });
  const spread = summarize(paired);
  const [a, b] = [summarize(of), summarize(to)];
  if (!spread || !a || !b || b.median === 0) return null;
  const median = a.median / b.median;
  // Medians may come from different rounds: the spread must still hold the ratio.
  return {
    median,
    low: Math.min(spread.low, median),
    high: Math.max(spread.high, median),
    count: spread.count,
  };
}
