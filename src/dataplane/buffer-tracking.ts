/** Where packet buffers were taken and given away: for programs that look for a leak or a late use. */
import { dirname } from 'node:path';

/** A packet buffer that the program has taken and neither sent nor released. */
export interface HeldBuffer {
  /** Of the packet in it, bytes. */
  readonly lengthBytes: number;
  /** The stack where it was taken, one frame a line; null without `trackBuffers`. */
  readonly takenAt: string | null;
  /** Since then, milliseconds; null without `trackBuffers`. */
  readonly heldMs: number | null;
}

interface Taken {
  readonly stack: string;
  readonly atMs: number;
}

const ownFolder = dirname(import.meta.url);

export class BufferTracking {
  readonly #taken = new Map<number, Taken>();
  readonly #gone = new Map<number, string>();

  taken(slot: number): void {
    this.#taken.set(slot, { stack: callers(), atMs: performance.now() });
  }

  gone(slot: number): void {
    this.#taken.delete(slot);
    this.#gone.set(slot, callers().split('\n')[0] ?? '');
  }

  /** For a message: where the last lend of this slot ended. */
  ended(slot: number): string {
    const where = this.#gone.get(slot);
    return where ? `, ${where}` : '';
  }

  of(slot: number): { readonly takenAt: string; readonly heldMs: number } | null {
    const taken = this.#taken.get(slot);
    return taken ? { takenAt: taken.stack, heldMs: performance.now() - taken.atMs } : null;
  }

  /** They were found by the garbage collector. */
  warn(slots: readonly number[]): void {
    const stacks = new Map<string, number>();
    for (const slot of slots) {
      const { stack = '' } = this.#taken.get(slot) ?? {};
      stacks.set(stack, (stacks.get(stack) ?? 0) + 1);
    }
    for (const [stack, count] of stacks) {
      process.emitWarning(`${count} packet buffers were neither sent nor released, taken\n${stack}`, {
        type: 'TwillWarning',
        code: 'TWILL_BUFFER_LEAK',
      });
    }
  }
}

/** The stack without what is the library's own. */
function callers(): string {
  const { stackTraceLimit, prepareStackTrace } = Error;
  // A program's own gives what it likes, and may do anything.
  Object.assign(Error, { stackTraceLimit: 20, prepareStackTrace: undefined });
  const { stack = '' } = new Error('');
  Object.assign(Error, { stackTraceLimit, prepareStackTrace });
  const frames = stack.split('\n').slice(1);
  return frames
    .filter((frame) => !frame.includes(ownFolder))
    .map((frame) => frame.trim())
    .join('\n');
}
