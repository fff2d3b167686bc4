/** Time as the agent sees it, so that tests decide what time it is. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Wall clock, milliseconds since the epoch: leases end at wall-clock times. */
  nowMs(): number;
  /** Waits; returns early, without an error, when `signal` aborts. */
  sleep(durationMs: number, signal: AbortSignal): Promise<void>;
}

/** Longest delay that a timer takes (beyond it, Node fires at once). */
const longestDelayMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  async sleep(durationMs, signal) {
    try {
      await delay(Math.min(Math.max(durationMs, 0), longestDelayMs), undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  },
};

/** 1 s, then twice as long each time, at most 60 s; a tenth of it is random so that nodes do not march in step. */
export function retryDelayMs(failures: number, random: () => number): number {
  return Math.min(1000 * 2 ** Math.max(failures - 1, 0), 60_000) * (0.9 + 0.1 * random());
}

/** As Go writes a duration, to the second: `22h59m59s`, `5m0s`, `7s`. */
export function goDuration(durationMs: number): string {
  const seconds = Math.max(Math.round(durationMs / 1000), 0);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const parts = [...(hours > 0 ? [`${hours}h`] : []), ...(seconds >= 60 ? [`${minutes}m`] : [])];
  return `${parts.join('')}${seconds % 60}s`;
}
