/** Of what is tried until the store takes it: how long to wait after each failure, and what is said of them. */
import type { Logger } from '../observe/log.js';
import { retryDelayMs } from './clock.js';

export interface PerseveranceParts {
  readonly logger: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class Perseverance {
  readonly #parts: PerseveranceParts;
  #failures = 0;

  constructor(parts: PerseveranceParts) {
    this.#parts = parts;
  }

  /** `what` was not kept; the wait until the next attempt, milliseconds. Said once: it may go on for hours. */
  failed(what: string, error: unknown): number {
    const { logger, random } = this.#parts;
    this.#failures += 1;
    const retryInMs = Math.round(retryDelayMs(this.#failures, random));
    const level = this.#failures === 1 ? 'warn' : 'debug';
    logger[level]({ err: error, retryInMs }, `cannot keep ${what}: ${(error as Error).message}`);
    return retryInMs;
  }

  succeeded(what: string): void {
    if (this.#failures > 0) this.#parts.logger.info({ failures: this.#failures }, `${what} is kept again`);
    this.#failures = 0;
  }
}
