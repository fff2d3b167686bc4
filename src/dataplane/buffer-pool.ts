/** The fixed memory of a dataplane as its program sees it: packet buffers to take and give back. */
import { TwillError, wrongValue } from '../errors.js';
import { arrayAt, integerAt, requireMade, signalAt } from './arguments.js';
import type { HeldBuffer } from './buffer-tracking.js';
import { makeBatch, type PacketBatch } from './packet-batch.js';
import { makePacket, type PacketBuffer, surrender } from './packet-buffer.js';
import { Slots } from './slots.js';

/** For the dataplane alone. */
export let makePool: (slots: Slots, isClosed: () => boolean) => BufferPool;

/**
 * Buffers of equal size in one memory that the packet path and the program share: what crosses is never copied. The pool
 * does not grow. When it is empty `allocate` gives null and the packet path stops receiving until buffers come back, so a
 * program that is slow, or forgets to release, costs packets and never memory.
 */
export class BufferPool {
  readonly #slots: Slots;
  readonly #isClosed: () => boolean;

  private constructor(slots: Slots, isClosed: () => boolean) {
    requireMade('BufferPool', 'Dataplane.open', slots instanceof Slots, slots);
    this.#slots = slots;
    this.#isClosed = isClosed;
  }

  static {
    makePool = (slots, isClosed) => new BufferPool(slots, isClosed);
  }

  /** Of one buffer, its headroom included, bytes. */
  get slotBytes(): number {
    return this.#slots.slotBytes;
  }

  /** Bytes free in front of a fresh packet: 64. */
  get headroomBytes(): number {
    return this.#slots.headroomBytes;
  }

  /** Longest packet that a fresh buffer takes, bytes. */
  get packetBytes(): number {
    return this.#slots.slotBytes - this.#slots.headroomBytes;
  }

  /** Buffers in all. */
  get size(): number {
    return this.#slots.count;
  }

  /** Buffers that are nobody's now; the others are the program's, in queues, or in the packet path. */
  get free(): number {
    return this.#slots.native.free();
  }

  /** Buffers that the program has: taken and neither sent nor released. */
  get held(): number {
    return this.#slots.held;
  }

  /** Buffers that the program forgot and the garbage collector brought back, since open. */
  get collected(): number {
    return this.#slots.collected;
  }

  /**
   * A fresh buffer that holds a packet of this length, with anything in it; null where the pool is empty. Throws RangeError
   * where `packetBytes` is less, ERR_TWILL_CLOSED after `close`.
   */
  allocate(lengthBytes: number): PacketBuffer | null {
    const slots = this.#slots;
    const length = integerAt('BufferPool.allocate: length', lengthBytes, 0, this.packetBytes);
    this.#requireOpen();
    return slots.take(1, length) === 0 ? null : slots.lend(slots.list[0] as number, null, makePacket);
  }

  /** As many of `count` fresh buffers as there are: quicker than one by one. Errors as `allocate`. */
  allocateBatch(count: number, lengthBytes: number): PacketBuffer[] {
    const slots = this.#slots;
    const wanted = integerAt('BufferPool.allocateBatch: count', count, 0, slots.count);
    const length = integerAt('BufferPool.allocateBatch: length', lengthBytes, 0, this.packetBytes);
    this.#requireOpen();
    const taken = slots.take(wanted, length);
    const packets: PacketBuffer[] = [];
    for (let i = 0; i < taken; i++) packets.push(slots.lend(slots.list[i] as number, null, makePacket));
    return packets;
  }

  /**
   * All bytes of the pool, in place, for `PacketBatch`. What lies there may be anybody's: write only within packets that you
   * hold, and at most `headroomBytes` before them.
   */
  get memory(): Uint8Array {
    return this.#slots.memory;
  }

  /** An empty batch that holds up to `capacity` packets, 1 to `size`; default 64. Throws RangeError. */
  batch(capacity = 64): PacketBatch {
    const slots = this.#slots;
    const most = integerAt('BufferPool.batch: capacity', capacity, 1, slots.count);
    return makeBatch(slots, most, this.#isClosed);
  }

  /**
   * Releases all of them, or none where one is not the program's (ERR_TWILL_POOL): quicker than one by one. Works also
   * when the dataplane is closed.
   */
  release(packets: readonly PacketBuffer[]): void {
    const slots = this.#slots;
    const list = arrayAt('BufferPool.release: packets', packets);
    slots.give(surrenderAll('BufferPool.release: packets', list, slots, 0));
  }

  /**
   * Resolves when `count` buffers (default 1) are free: back-pressure for whoever allocates. First come, first served, but
   * nothing is set aside. Keeps the process alive meanwhile. Rejects with the reason of `signal` where that is aborted, with
   * ERR_TWILL_CLOSED where the dataplane is closed.
   *
   * @example
   * let packet: PacketBuffer | null;
   * while (!(packet = pool.allocate(1400))) await pool.whenFree(64);
   */
  async whenFree(count = 1, options?: { readonly signal?: AbortSignal }): Promise<void> {
    const wanted = integerAt('BufferPool.whenFree: count', count, 1, this.#slots.count);
    const signal = signalAt('BufferPool.whenFree: options', options);
    this.#requireOpen();
    return this.#slots.waiters.wait(wanted, signal);
  }

  /**
   * What the program has taken and neither sent nor released, now. With `trackBuffers` each says where it was taken and how
   * long ago: those that get old are leaks.
   */
  leaks(): HeldBuffer[] {
    return this.#slots.heldBuffers();
  }

  #requireOpen(): void {
    if (this.#isClosed()) throw new TwillError('ERR_TWILL_CLOSED', 'the dataplane of this pool is closed');
  }
}

/** Ends the lends of all of these, or of none where something is wrong with one; how many: the slots stand in the list. */
export function surrenderAll(
  where: string,
  packets: readonly unknown[],
  slots: Slots,
  headroom: number,
): number {
  // A Proxy may say anything, and something else each time.
  const length = Number(packets.length);
  if (length > slots.count) throw wrongValue(`${where}.length`, `at most ${slots.count}`, length);
  const { reading, list } = slots;
  const first = slots.readingCount;
  let count = 0;
  try {
    while (count < length) {
      // What reads an element may run anything: calls that use the list, and this one.
      reading[first + count] = surrender(where, packets[count], slots, headroom);
      slots.readingCount = first + ++count;
    }
  } catch (error) {
    while (count > 0) slots.resume(reading[first + --count] as number);
    slots.readingCount = first;
    throw error;
  }
  for (let i = 0; i < count; i++) list[i] = reading[first + i] as number;
  slots.readingCount = first;
  return count;
}
