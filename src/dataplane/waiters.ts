/** Those who wait until something is there in the amount that they need: first come, first served. */
import { TwillError } from '../errors.js';

interface Waiter {
  readonly count: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class Waiters {
  readonly #most: number;
  readonly #isThere: (count: number) => boolean;
  readonly #listen: (isWaiting: boolean) => void;
  readonly #queue: Waiter[] = [];

  /**
   * `isThere`: whether so many are there now; if not, somebody calls `wake` when they are. `most`: more there never are.
   * `listen`: whether anybody waits.
   */
  constructor(most: number, isThere: (count: number) => boolean, listen: (isWaiting: boolean) => void) {
    this.#most = most;
    this.#isThere = isThere;
    this.#listen = listen;
  }

  wait(count: number, signal: AbortSignal | null): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#queue.length === 0) {
        // Whoever says "there" must have been listening before.
        this.#listen(true);
        if (this.#isThere(count)) {
          this.#listen(false);
          return resolve();
        }
      }
      const onAbort = () => {
        this.#queue.splice(this.#queue.indexOf(waiter), 1);
        reject(signal?.reason);
        this.wake();
      };
      const settled = () => signal?.removeEventListener('abort', onAbort);
      const waiter: Waiter = {
        count,
        resolve: () => {
          settled();
          resolve();
        },
        reject: (reason) => {
          settled();
          reject(reason);
        },
      };
      signal?.addEventListener('abort', onAbort);
      this.#queue.push(waiter);
    });
  }

  /** Something has come. */
  wake(): void {
    let granted = 0;
    for (;;) {
      const next = this.#queue[0];
      if (!next) break;
      if (!this.#isThere(Math.min(granted + next.count, this.#most))) return;
      granted += next.count;
      this.#queue.shift();
      next.resolve();
    }
    this.#listen(false);
  }

  /** The dataplane is closed. */
  end(): void {
    for (const { reject } of this.#queue.splice(0))
      reject(new TwillError('ERR_TWILL_CLOSED', 'the dataplane was closed meanwhile'));
  }
}
