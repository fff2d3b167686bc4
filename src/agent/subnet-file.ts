/** subnet.env over the life of an agent: read at the start, written once all of it is true, and kept. */
import type { Logger } from '../observe/log.js';
import { type Clock, retryDelayMs } from './clock.js';
import {
  formatSubnetEnv,
  readSubnetEnv,
  readSubnetText,
  type SubnetEnv,
  type SubnetEnvRead,
  writeSubnetEnv,
} from './subnet-env.js';

const LOOK_EVERY_MS = 5000;

export interface SubnetFileParts {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class SubnetFile {
  readonly path: string;
  readonly #parts: SubnetFileParts;
  #missing: string | null = 'it has not been written yet';
  #env: SubnetEnv | null = null;
  /** What we wrote last: whatever else stands there is not ours. */
  #written: string | null = null;
  #isNews = false;
  #wake: () => void = () => {};

  constructor(path: string, parts: SubnetFileParts) {
    this.path = path;
    this.#parts = parts;
  }

  /** Why the file does not tell of this run; null: it does. */
  get missing(): string | null {
    return this.#missing;
  }

  /** What an earlier run wrote. A file that cannot be read is none. */
  async previous(): Promise<SubnetEnvRead | null> {
    const { logger } = this.#parts;
    try {
      const read = await readSubnetEnv(this.path);
      if (read && read.skipped.length > 0)
        logger.warn({ skipped: read.skipped }, `subnet file ${this.path} is partly unreadable`);
      return read;
    } catch (error) {
      logger.warn({ err: error }, (error as Error).message);
      return null;
    }
  }

  /**
   * Writes it and sees to it that it stays, until `signal` aborts. One that was removed is written again; one that
   * somebody else has written is left to him, and we are not ready. `attempted` after the first attempt, whatever came of it.
   */
  async keep(env: SubnetEnv, signal: AbortSignal, attempted: () => void): Promise<void> {
    this.#env ??= env;
    await this.#write(signal, attempted);
    while (!signal.aborted) {
      if (!this.#isNews) await this.#sleep(LOOK_EVERY_MS, signal);
      if (signal.aborted) return;
      this.#isNews = false;
      const found = await readSubnetText(this.path).catch((error: Error) => error);
      const isOurs = found === null || found === this.#written;
      if (isOurs && found !== formatSubnetEnv(this.#env)) await this.#write(signal, () => {});
      else this.#note(isOurs ? null : 'somebody else has written it: it does not tell of this node');
    }
  }

  /** This is so from now on: the file is replaced at once. */
  update(env: SubnetEnv): void {
    this.#env = env;
    this.#isNews = true;
    this.#wake();
  }

  #sleep(durationMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    return this.#parts.clock.sleep(durationMs, AbortSignal.any([signal, woken.signal]));
  }

  async #write(signal: AbortSignal, attempted: () => void): Promise<void> {
    const { logger, clock, random } = this.#parts;
    for (let failures = 0; !signal.aborted; ) {
      const env = this.#env;
      if (!env) return;
      try {
        await writeSubnetEnv(this.path, env);
        this.#written = formatSubnetEnv(env);
        this.#missing = null;
        logger.info(`Wrote subnet file to ${this.path}`);
        attempted();
        return;
      } catch (error) {
        failures += 1;
        const retryInMs = Math.round(retryDelayMs(failures, random));
        this.#missing = (error as Error).message;
        logger.warn({ err: error, retryInMs }, (error as Error).message);
        attempted();
        await clock.sleep(retryInMs, signal);
      }
    }
  }

  #note(missing: string | null): void {
    if (missing !== null && missing !== this.#missing)
      this.#parts.logger.warn(`subnet file ${this.path}: ${missing}`);
    this.#missing = missing;
  }
}
