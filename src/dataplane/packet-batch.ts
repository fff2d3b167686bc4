/** Many packets without an object for each. */
import { TwillError, wrongType, wrongValue } from '../errors.js';
import type { IpAddress } from '../net/ip.js';
import type { Prefix } from '../net/prefix.js';
import { integerAt, requireMade } from './arguments.js';
import { remoteAt } from './packet-buffer.js';
import type { Remote } from './remotes.js';
import { RECORD_WORDS, Slots, WORD } from './slots.js';

/** By the number that a packet carries; null where that peer has gone. */
type PeerOf = (number: number) => Prefix | null;

/** For the pool and its ports alone. */
export let makeBatch: (slots: Slots, capacity: number, isClosed: () => boolean) => PacketBatch;
/** Behind what the batch holds; how many came. */
export let pullInto: (batch: unknown, slots: Slots, side: number, peerOf: PeerOf) => number;
/** How many the engine took. */
export let pushFrom: (batch: unknown, slots: Slots, side: number) => number;

/** What a batch holds: outlives it where the program forgets it. */
class Content {
  readonly slots: Slots;
  readonly list: Uint32Array;
  count = 0;

  constructor(slots: Slots, capacity: number) {
    this.slots = slots;
    this.list = new Uint32Array(capacity);
  }
}

const forgotten = new FinalizationRegistry<Content>(({ slots, list, count }) => {
  if (count > 0) slots.bringBack([...list.subarray(0, count)]);
});

/**
 * Packets of a pool for programs that count every microsecond: made once, filled and emptied again and again, nothing is
 * allocated for a packet. Packets are told by their place, from 0; their bytes lie in `pool.memory`, from `start(i)` on, for
 * `length(i)` bytes. Each method that takes a place throws RangeError where no packet stands there.
 *
 * What it holds is the program's until it is sent or released; a batch that is dropped with packets in it gives them back
 * when the garbage collector finds it.
 *
 * @example
 * const { overlay, pool } = plane;
 * const batch = pool.batch();
 * overlay.onReadable(() => {
 *   while (overlay.receiveInto(batch) > 0) {
 *     for (let i = 0; i < batch.count; i++) turnRound(pool.memory, batch.start(i), batch.length(i));
 *     overlay.sendBatch(batch);
 *     batch.release(); // what found no room
 *   }
 * });
 */
export class PacketBatch implements Disposable {
  readonly #content: Content;
  readonly #isClosed: () => boolean;
  #peerOf: PeerOf = () => null;

  private constructor(slots: Slots, capacity: number, isClosed: () => boolean) {
    requireMade('PacketBatch', 'its pool', slots instanceof Slots, slots);
    this.#content = new Content(slots, capacity);
    this.#isClosed = isClosed;
    forgotten.register(this, this.#content);
  }

  static {
    makeBatch = (slots, capacity, isClosed) => new PacketBatch(slots, capacity, isClosed);
    const batchAt = (where: string, value: unknown, slots: Slots): PacketBatch => {
      if (typeof value !== 'object' || value === null || !(#content in value))
        throw wrongType(where, 'a PacketBatch', value);
      if (value.#content.slots === slots) return value;
      const why = 'a batch belongs to one dataplane and cannot be used with another';
      throw new TwillError('ERR_TWILL_POOL', `${where}: ${why}`);
    };
    pullInto = (value, slots, side, peerOf) => {
      const batch = batchAt('UserPort.receiveInto: batch', value, slots);
      batch.#peerOf = peerOf;
      return batch.#append(slots.pull(side, batch.capacity - batch.count));
    };
    pushFrom = (value, slots, side) => {
      const batch = batchAt('UserPort.sendBatch: batch', value, slots);
      batch.#show();
      const taken = batch.count === 0 ? 0 : slots.push(side, batch.count);
      slots.givenAway(taken);
      batch.#drop(taken);
      return taken;
    };
  }

  /** Most packets that it holds. */
  get capacity(): number {
    return this.#content.list.length;
  }

  /** Packets that it holds. */
  get count(): number {
    return this.#content.count;
  }

  /** Where a packet begins in `pool.memory`. */
  start(i: number): number {
    const { slots } = this.#content;
    const slot = this.#slotAt(i);
    return slot * slots.slotBytes + (slots.words[slot * RECORD_WORDS + WORD.offset] as number);
  }

  /** Of a packet, bytes. */
  length(i: number): number {
    return this.#content.slots.words[this.#slotAt(i) * RECORD_WORDS + WORD.length] as number;
  }

  /** Cuts or extends a packet at its end. Throws RangeError where its buffer is too small. */
  setLength(i: number, lengthBytes: number): void {
    const { slots } = this.#content;
    const at = this.#slotAt(i) * RECORD_WORDS;
    const most = slots.slotBytes - (slots.words[at + WORD.offset] as number);
    slots.words[at + WORD.length] = integerAt('PacketBatch.setLength: length', lengthBytes, 0, most);
  }

  /** A packet's bytes as an object, in place: for the few that need one. */
  bytes(i: number): Buffer {
    return this.#content.slots.view(this.#slotAt(i));
  }

  /** As `PacketBuffer.peer`. */
  peer(i: number): Prefix | null {
    const number = this.#content.slots.words[this.#slotAt(i) * RECORD_WORDS + WORD.peer] as number;
    return number === 0 ? null : this.#peerOf(number);
  }

  /** As `PacketBuffer.remote`. */
  remote(i: number): Remote | null {
    return this.#content.slots.remotes.read(this.#slotAt(i));
  }

  /** As `PacketBuffer.remote`, set. Throws ArgumentError. */
  setRemote(i: number, remote: { readonly address: IpAddress | string; readonly port: number } | null): void {
    // First: what reads an object may run anything, a release too.
    const wanted = remoteAt('PacketBatch.setRemote: remote', remote);
    this.#content.slots.remotes.write(this.#slotAt(i), wanted);
  }

  /**
   * Fresh buffers behind what it holds, each with a packet of this length with anything in it; how many there were: fewer
   * where the pool is empty or the batch is full. Throws RangeError where a buffer is shorter, ERR_TWILL_CLOSED after `close`.
   */
  allocate(count: number, lengthBytes: number): number {
    const { slots } = this.#content;
    const most = slots.slotBytes - slots.headroomBytes;
    const wanted = integerAt('PacketBatch.allocate: count', count, 0, Number.MAX_SAFE_INTEGER);
    const length = integerAt('PacketBatch.allocate: length', lengthBytes, 0, most);
    if (this.#isClosed()) throw new TwillError('ERR_TWILL_CLOSED', 'the dataplane of this batch is closed');
    return this.#append(slots.take(Math.min(wanted, this.capacity - this.count), length));
  }

  /** All that it holds, back to the pool. Works also when the dataplane is closed. */
  release(): void {
    const { slots, count } = this.#content;
    if (count === 0) return;
    this.#show();
    for (let i = 0; i < count; i++) slots.suspend(slots.list[i] as number);
    this.#drop(count);
    slots.give(count);
  }

  /** `using batch = ...` */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Those that the shared list tells. */
  #append(count: number): number {
    const content = this.#content;
    const { slots, list } = content;
    slots.lendMany(count);
    for (let i = 0; i < count; i++) list[content.count + i] = slots.list[i] as number;
    content.count += count;
    return count;
  }

  /** What it holds, for a call into the addon. */
  #show(): void {
    const { slots, list, count } = this.#content;
    for (let i = 0; i < count; i++) slots.list[i] = list[i] as number;
  }

  #drop(count: number): void {
    const content = this.#content;
    if (count < content.count) content.list.copyWithin(0, count, content.count);
    content.count -= count;
  }

  #slotAt(i: number): number {
    const { list, count } = this.#content;
    if (i >= 0 && i < count && Number.isInteger(i)) return list[i] as number;
    if (typeof i !== 'number') throw wrongType('PacketBatch: place', 'a number', i);
    const places = count === 0 ? 'that of a packet, and there is none' : `an integer from 0 to ${count - 1}`;
    throw wrongValue('PacketBatch: place', places, i);
  }
}
