/**
 * Records of others that carry the address which we have moved to. Whoever had it before us either moves himself and says
 * so in a moment, or is gone; then his record would keep ours from being believed until it ends, a day perhaps.
 */
import type { Logger } from '../observe/log.js';
import type { Store } from '../store/store.js';
import type { Clock } from './clock.js';
import { type NodeIdentity, ownRecords } from './lease-claims.js';

export interface NamesakesParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long a record may go on carrying our address: nodes that change places need a store that serves, and no more. */
const GRACE_MS = 10_000;

export class Namesakes {
  readonly #parts: NamesakesParts;
  #dueAtMs = Number.POSITIVE_INFINITY;

  constructor(parts: NamesakesParts) {
    this.#parts = parts;
  }

  /** We have moved. */
  expect(): void {
    this.#dueAtMs = this.#parts.clock.nowMs() + GRACE_MS;
  }
  get dueAtMs(): number {
    return this.#dueAtMs;
  }
  get isDue(): boolean {
    return this.#parts.clock.nowMs() >= this.#dueAtMs;
  }

  /** Removes what still carries our address and is not ours. One that is written while we look stays. */
  async settle(ownKey: string, identity: NodeIdentity, signal: AbortSignal): Promise<void> {
    const { store, logger } = this.#parts;
    const snapshot = await store.list(signal);
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    for (const { record } of ownRecords(snapshot, identity)) {
      if (record.key === ownKey) continue;
      const why = 'it carries our address, and who had that before us has not moved away';
      if (await store.remove(record.key, record.revision))
        logger.warn({ key: record.key, value: record.value }, `lease ${record.key} is removed: ${why}`);
    }
  }
}
