/** What a loop over a port gets: batches as they come. */
import type { PacketBuffer } from './packet-buffer.js';

const BATCH_PACKETS = 256;
/** Batches that may follow each other before the event loop gets a turn: timers and sockets must not starve. */
const BATCHES_A_TURN = 8;

export class PacketBatches implements AsyncIterableIterator<PacketBuffer[]> {
  readonly #receive: (most: number) => PacketBuffer[];
  readonly #onEnd: () => void;
  #isEnded = false;
  #inARow = 0;
  #wake: (() => void) | null = null;
  /** Calls of `next` before this one. */
  #before: Promise<unknown> = Promise.resolve();

  constructor(receive: (most: number) => PacketBuffer[], onEnd: () => void) {
    this.#receive = receive;
    this.#onEnd = onEnd;
  }

  next(): Promise<IteratorResult<PacketBuffer[], undefined>> {
    const result = this.#before.then(() => this.#next());
    this.#before = result.catch(() => {});
    return result;
  }

  async return(): Promise<IteratorResult<PacketBuffer[], undefined>> {
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Packets have come. */
  wake(): void {
    this.#wake?.();
    this.#wake = null;
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onEnd();
    this.wake();
  }

  async #next(): Promise<IteratorResult<PacketBuffer[], undefined>> {
    while (!this.#isEnded) {
      if (this.#inARow === BATCHES_A_TURN) {
        this.#inARow = 0;
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      const value = this.#receive(BATCH_PACKETS);
      if (value.length > 0) {
        this.#inARow++;
        return { done: false, value };
      }
      this.#inARow = 0;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return { done: true, value: undefined };
  }
}
