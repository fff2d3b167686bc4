/**
 * What the engine tells the event loop about user ports and pool, handed to whoever asked. While anybody asks, the process
 * stays alive. What a program's own listener throws reaches 'uncaughtException', and nobody else.
 */
import type { NativeEngine } from '../native/binding.js';

export class UserEvents {
  #native: NativeEngine | null = null;
  readonly #handlers = new Map<number, () => void>();

  /** From here on. */
  attach(native: NativeEngine): void {
    this.#native = native;
  }

  /** Who is told of this event (a bit of USER_EVENT); null: nobody. */
  on(event: number, handler: (() => void) | null): void {
    const had = this.#handlers.has(event);
    if (handler) this.#handlers.set(event, handler);
    else this.#handlers.delete(event);
    if (had !== (handler !== null)) this.#listen();
  }

  /** Called by the engine; never throws. */
  readonly dispatch = (events: number): void => {
    for (const [event, handler] of [...this.#handlers]) {
      // One of them may have closed the dataplane.
      if ((events & event) === 0 || this.#handlers.get(event) !== handler) continue;
      try {
        handler();
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  };

  /** Nobody is told any more. */
  close(): void {
    this.#handlers.clear();
    this.#native = null;
  }

  #listen(): void {
    let bits = 0;
    for (const event of this.#handlers.keys()) bits |= event;
    this.#native?.listen(bits);
  }
}
