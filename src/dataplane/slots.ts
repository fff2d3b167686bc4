/**
 * The slots of an engine's pool as JavaScript has them: the memory, the tables beside it (native/binding/user_ports.h),
 * and who holds what. A slot that the program has is lent; each lend has a number of its own, so that whoever still holds
 * an earlier lend of the same slot is found out: an odd number is a lend, an even one the time between two.
 */
import { TwillError } from '../errors.js';
import { type NativeEngine, USER_EVENT } from '../native/binding.js';
import { guard, translated } from '../native/errors.js';
import type { Prefix } from '../net/prefix.js';
import { BufferTracking, type HeldBuffer } from './buffer-tracking.js';
import { type Lot, Lots } from './lots.js';
import { Remotes } from './remotes.js';
import type { UserEvents } from './user-events.js';
import { Waiters } from './waiters.js';

/** Of a record, in 32-bit words. `remote`: port, family and TOS. */
export const RECORD_WORDS = 8;
export const WORD = { offset: 0, length: 1, peer: 2, remote: 3 } as const;

/** Makes the object that the program gets for a lend. */
export type MakePacket<T> = (slot: number, lend: number, lot: Lot<Slots>, peer: Prefix | null) => T;

export class Slots {
  readonly native: NativeEngine;
  readonly count: number;
  readonly slotBytes: number;
  readonly headroomBytes: number;
  /** What encapsulation puts in front of an inner packet, at most. */
  readonly headerBytes: number;
  /** The records. */
  readonly words: Uint32Array;
  readonly remotes: Remotes;
  /** What a call is about, see NativeEngine. */
  readonly list: Uint32Array;
  readonly tracking: BufferTracking | null;
  readonly waiters: Waiters;
  /**
   * Slots whose lends are suspended by calls that still read their arguments. That may run code of the program, which may
   * make such calls itself: theirs stand behind those of the call around them. None is here twice.
   */
  readonly reading: Uint32Array;
  readingCount = 0;
  /** Lent now; and those that the garbage collector brought back. */
  held = 0;
  collected = 0;
  /** Of all slots, one behind the other. */
  readonly memory: Uint8Array;
  readonly #slab: ArrayBuffer;
  readonly #lends: Uint32Array;
  readonly #views: (Buffer | undefined)[];
  readonly #lots: Lots<Slots>;

  constructor(native: NativeEngine, events: UserEvents, isTracking: boolean) {
    const { slab, records, list, slotBytes, headroomBytes, headerBytes } = native.buffers();
    this.native = native;
    this.slotBytes = slotBytes;
    this.headroomBytes = headroomBytes;
    this.headerBytes = headerBytes;
    this.words = new Uint32Array(records);
    this.remotes = new Remotes(records);
    this.list = new Uint32Array(list);
    this.count = this.list.length;
    this.reading = new Uint32Array(this.count);
    this.tracking = isTracking ? new BufferTracking() : null;
    this.waiters = new Waiters(
      this.count,
      (count) => native.awaitFree(count),
      (isWaiting) => events.on(USER_EVENT.poolFree, isWaiting ? () => this.waiters.wake() : null),
    );
    this.memory = new Uint8Array(slab);
    this.#slab = slab;
    this.#lends = new Uint32Array(this.count);
    this.#views = new Array(this.count);
    this.#lots = new Lots<Slots>(this, this.count, (slots) => this.bringBack(slots));
  }

  /** Puts at most `count` fresh slots into the list, each with a record of a packet of this length; how many. */
  take(count: number, lengthBytes: number): number {
    const taken = this.native.take(count);
    const { words, list } = this;
    for (let i = 0; i < taken; i++) {
      const at = (list[i] as number) * RECORD_WORDS;
      words[at + WORD.offset] = this.headroomBytes;
      words[at + WORD.length] = lengthBytes;
      words[at + WORD.peer] = 0;
      words[at + WORD.remote] = 0;
    }
    // What is out may have been forgotten; all of it is to be found.
    if (taken < count) this.#lots.seal();
    return taken;
  }

  /** The slot is the program's from now on. */
  lend<T>(slot: number, peer: Prefix | null, make: MakePacket<T>): T {
    const lend = ((this.#lends[slot] as number) + 1) >>> 0;
    this.#lends[slot] = lend;
    this.held++;
    this.tracking?.taken(slot);
    return make(slot, lend, this.#lots.enter(slot), peer);
  }

  /** The first `count` of the list are the program's from now on, in a batch. */
  lendMany(count: number): void {
    for (let i = 0; i < count; i++) {
      const slot = this.list[i] as number;
      this.#lends[slot] = (this.#lends[slot] as number) + 1;
      this.tracking?.taken(slot);
    }
    this.held += count;
  }

  /** The first `count` of the list went out of a batch to the engine. */
  givenAway(count: number): void {
    for (let i = 0; i < count; i++) {
      const slot = this.list[i] as number;
      this.suspend(slot);
      this.tracking?.gone(slot);
    }
    this.held -= count;
  }

  isHeld(slot: number, lend: number): boolean {
    return this.#lends[slot] === lend;
  }

  require(slot: number, lend: number): void {
    if (this.#lends[slot] !== lend) throw this.late(slot);
  }

  late(slot: number): TwillError {
    const where = this.tracking?.ended(slot) ?? '';
    return new TwillError('ERR_TWILL_POOL', `this packet buffer was sent or released before${where}`);
  }

  /** A lend ends for now: `resume` undoes it, `returned` makes it final. */
  suspend(slot: number): void {
    this.#lends[slot] = (this.#lends[slot] as number) + 1;
  }

  resume(slot: number): void {
    this.#lends[slot] = (this.#lends[slot] as number) - 1;
  }

  returned(slot: number): void {
    this.held--;
    this.#lots.leave(slot);
    this.tracking?.gone(slot);
  }

  /** Gives the first `count` of the list back to the pool; their lends are suspended. */
  give(count: number): void {
    const { list } = this;
    const isOverwritten = this.tracking !== null && this.#slab.byteLength > 0;
    for (let i = 0; i < count; i++) {
      if (isOverwritten) this.view(list[i] as number).fill(0xdb);
      this.returned(list[i] as number);
    }
    try {
      this.native.give(count);
    } catch (error) {
      throw translated(error);
    }
  }

  /** Puts at most `count` packets that have come into the list; how many. `side`: as NativeEngine has them. */
  pull(side: number, count: number): number {
    try {
      return this.native.pull(side, count);
    } catch (error) {
      throw translated(error);
    }
  }

  /** Hands over the first `count` of the list; how many the engine took. */
  push(side: number, count: number): number {
    try {
      return this.native.push(side, count);
    } catch (error) {
      throw translated(error);
    }
  }

  /** The bytes of the packet in this slot. The same object as before where they are the same bytes. */
  view(slot: number): Buffer {
    const at = slot * RECORD_WORDS;
    const start = slot * this.slotBytes + (this.words[at + WORD.offset] as number);
    const length = this.words[at + WORD.length] as number;
    const before = this.#views[slot];
    if (before !== undefined && before.length === length && before.byteOffset === start) return before;
    if (this.#slab.byteLength === 0)
      throw new TwillError('ERR_TWILL_POOL', 'the memory of this pool was transferred to somebody else');
    const view = Buffer.from(this.#slab, start, length);
    this.#views[slot] = view;
    return view;
  }

  heldBuffers(): HeldBuffer[] {
    const held: HeldBuffer[] = [];
    for (const [slot, lend] of this.#lends.entries()) {
      if (lend % 2 === 0) continue;
      const lengthBytes = this.words[slot * RECORD_WORDS + WORD.length] as number;
      held.push({ lengthBytes, ...(this.tracking?.of(slot) ?? { takenAt: null, heldMs: null }) });
    }
    return held;
  }

  /** They were forgotten, and the garbage collector has found them. */
  bringBack(slots: readonly number[]): void {
    this.tracking?.warn(slots);
    this.collected += slots.length;
    for (const [i, slot] of slots.entries()) {
      this.suspend(slot);
      this.held--;
      this.tracking?.gone(slot);
      this.list[i] = slot;
    }
    guard(() => this.native.give(slots.length));
  }
}
