/** The highest rate at which nothing is lost, found in a few trials. */

export interface Trial {
  readonly offeredPerSecond: number;
  readonly receivedPerSecond: number;
  readonly lost: number;
}

export interface LossFreeRate {
  /** 0: something was lost in every trial. */
  readonly packetsPerSecond: number;
  /** The sender could not give more: the system under test might carry more. */
  readonly isSenderLimited: boolean;
  readonly trials: number;
}

/** A sender that gives less than this part of what was asked is at its limit. */
const KEPT_PACE = 0.95;
/** Bounds closer than this need no further trial. */
const RESOLUTION = 0.04;
/** Where to look first, as a part of what came through in overload. */
const FIRST_GUESS = 0.9;

/** `overload` is the trial without a limit. Halves what is left each time. */
export async function findLossFreeRate(
  overload: Trial,
  run: (packetsPerSecond: number) => Promise<Trial>,
  maxTrials: number,
): Promise<LossFreeRate> {
  if (overload.lost === 0) {
    return { packetsPerSecond: overload.offeredPerSecond, isSenderLimited: true, trials: 0 };
  }
  let low = 0;
  let high = overload.offeredPerSecond;
  let next = Math.min(overload.receivedPerSecond * FIRST_GUESS, high / 2 + overload.receivedPerSecond / 2);
  let trials = 0;
  while (trials < maxTrials && next > 0) {
    trials += 1;
    const { lost, offeredPerSecond } = await run(next);
    if (lost > 0) {
      high = Math.min(high, next);
    } else {
      low = Math.max(low, offeredPerSecond);
      if (offeredPerSecond < next * KEPT_PACE)
        return { packetsPerSecond: low, isSenderLimited: true, trials };
    }
    if (high <= low * (1 + RESOLUTION)) break;
    next = (low + high) / 2;
  }
  return { packetsPerSecond: low, isSenderLimited: false, trials };
}
