/** subnet.env over the life of an agent: read at the start, written once all of it is true, tried again until it is there. */
import type { LeaseSubnets } from '../lease/lease.js';
import type { Logger } from '../observe/log.js';
import { type Clock, retryDelayMs } from './clock.js';
import { readSubnetEnv, type SubnetEnv, writeSubnetEnv } from './subnet-env.js';

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

  constructor(path: string, parts: SubnetFileParts) {
    this.path = path;
    this.#parts = parts;
  }

  /** Why the file does not tell of this run; null: it does. */
  get missing(): string | null {
    return this.#missing;
  }

  /** The subnets of an earlier run. A file that cannot be read is none. */
  async previousSubnets(): Promise<LeaseSubnets | null> {
    const { logger } = this.#parts;
    try {
      const read = await readSubnetEnv(this.path);
      if (read && read.skipped.length > 0)
        logger.warn({ skipped: read.skipped }, `subnet file ${this.path} is partly unreadable`);
      return read && (read.subnets.v4 || read.subnets.v6) ? read.subnets : null;
    } catch (error) {
      logger.warn({ err: error }, (error as Error).message);
      return null;
    }
  }

  /** Until it is written or `signal` aborts. `attempted` after the first attempt, whatever came of it. */
  async publish(env: SubnetEnv, signal: AbortSignal, attempted: () => void): Promise<void> {
    const { logger, clock, random } = this.#parts;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await writeSubnetEnv(this.path, env);
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
}
