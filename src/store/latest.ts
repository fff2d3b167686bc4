/** From calls to an async iterable that hands out the latest value alone: several changes may be one. */

const BURST_MS = 10;
/** A consumer that takes long is given as much time again for other things. */
const LONGEST_PAUSE_MS = 500;

export interface Latest<T> {
  readonly changed: (value: T) => void;
  /** Ends when the signal aborts. */
  readonly values: AsyncIterable<T>;
}

export function latest<T>(signal: AbortSignal): Latest<T> {
  let waiting: { readonly value: T } | null = null;
  let wake = () => {};
  const pause = (durationMs: number | null) =>
    new Promise<void>((resolve) => {
      const timer = durationMs === null ? undefined : setTimeout(resolve, durationMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (signal.aborted) wake();
    });

  async function* values(): AsyncIterable<T> {
    const onAbort = () => wake();
    signal.addEventListener('abort', onAbort);
    let pauseMs = 0;
    try {
      while (!signal.aborted) {
        if (!waiting) {
          await pause(null);
          continue;
        }
        const endMs = performance.now() + pauseMs;
        while (!signal.aborted && performance.now() < endMs) await pause(endMs - performance.now());
        if (signal.aborted) return;
        const { value } = waiting;
        waiting = null;
        const beganMs = performance.now();
        yield value;
        pauseMs = Math.min(BURST_MS + (performance.now() - beganMs), LONGEST_PAUSE_MS);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  return {
    changed(value) {
      waiting = { value };
      wake();
    },
    values: values(),
  };
}
