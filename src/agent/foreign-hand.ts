/** What to do where our lease says what we have not written: another hand, which may be that of a flannel on this host. */
import type { Logger } from '../observe/log.js';
import type { StoreRecord } from '../store/store.js';

/** `wait`: look once more. `leave`: until it is renewed. `write`: put it right. */
export type Answer = 'wait' | 'leave' | 'write';

export class ForeignHand {
  readonly #logger: Logger;
  #told: string | null = null;
  /** Since the last renewal: two that are as stubborn make no storm. */
  #isPutRight = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * `isSeenAgain`: it was so a while ago already. A flannel that takes our place writes its MAC, and what is ours ends within
   * that while, without writing over it. A reservation is never renewed, so it is put right whenever it is seen.
   */
  answer(record: StoreRecord, isSeenAgain: boolean): Answer {
    const isReserved = record.expiresAtMs === undefined;
    const canWait = this.#isPutRight && !isReserved;
    this.#tell(record, canWait ? 'put right when renewed' : 'put right');
    if (canWait) return 'leave';
    if (!isSeenAgain && !isReserved) return 'wait';
    this.#isPutRight = true;
    this.#told = null;
    return 'write';
  }

  renewed(): void {
    this.#isPutRight = false;
  }

  #tell({ key, value }: StoreRecord, what: string): void {
    if (value === this.#told) return;
    this.#told = value;
    this.#logger.warn({ key, value }, `lease ${key} was rewritten by another hand: it is ${what}`);
  }
}
