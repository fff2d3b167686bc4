/** A side of the dataplane whose other end is the program. */
import { TwillError, wrongType, wrongValue } from '../errors.js';
import { USER_EVENT } from '../native/binding.js';
import { guard } from '../native/errors.js';
import type { Prefix } from '../net/prefix.js';
import { arrayAt, bytesAt, integerAt, requireMade, signalAt } from './arguments.js';
import { surrenderAll } from './buffer-pool.js';
import { type PacketBatch, pullInto, pushFrom } from './packet-batch.js';
import { PacketBatches } from './packet-batches.js';
import { makePacket, type PacketBuffer } from './packet-buffer.js';
import { RECORD_WORDS, Slots, WORD } from './slots.js';
import type { UserEvents } from './user-events.js';
import { Waiters } from './waiters.js';

/** Packets that wait between the program and the workers, in each direction: UserChannel::kCapacity. */
const QUEUE_PACKETS = 1024;
const OVERLAY = 0;
const UNDERLAY = 1;

interface Parts {
  readonly side: 'overlay' | 'underlay';
  readonly slots: Slots;
  readonly events: UserEvents;
  /** By the number that a packet carries; null where that peer has gone. */
  readonly peerOf: (number: number) => Prefix | null;
}

/** For the dataplane alone. `end`: it is closed. */
export let makePort: (parts: Parts) => { readonly port: UserPort; readonly end: () => void };

/**
 * Packets in and out of this program, as buffers of the pool: inner packets at the overlay, payloads of datagrams (each
 * with its `remote`) at the underlay. Up to 1,024 packets wait in each direction; what the packet path has no room for is
 * dropped and counted as `device_busy` or `send_no_buffer`.
 *
 * Iterating gives batches as they come, until the dataplane closes or the loop is left; they are the program's, to be sent
 * or released. One at a time listens to a port: a loop, or the callback of `onReadable`.
 *
 * @example
 * for await (const batch of plane.overlay) {
 *   for (const packet of batch) console.log(packet.peer?.toString(), packet.length);
 *   plane.pool.release(batch);
 * }
 */
export class UserPort implements AsyncIterable<PacketBuffer[]> {
  readonly #parts: Parts;
  readonly #side: number;
  readonly #readable: number;
  readonly #waiters: Waiters;
  #batches: PacketBatches | null = null;
  #hasListener = false;
  #isClosed = false;

  private constructor(parts: Parts) {
    requireMade('UserPort', 'Dataplane.open', parts?.slots instanceof Slots, parts);
    const { side, slots, events } = parts;
    const isOverlay = side === 'overlay';
    this.#parts = parts;
    this.#side = isOverlay ? OVERLAY : UNDERLAY;
    this.#readable = isOverlay ? USER_EVENT.overlayReadable : USER_EVENT.underlayReadable;
    const room = isOverlay ? USER_EVENT.overlayRoom : USER_EVENT.underlayRoom;
    this.#waiters = new Waiters(
      QUEUE_PACKETS,
      (count) => slots.native.awaitRoom(this.#side, count),
      (isWaiting) => events.on(room, isWaiting ? () => this.#waiters.wake() : null),
    );
  }

  static {
    makePort = (parts) => {
      const port = new UserPort(parts);
      return { port, end: () => port.#end() };
    };
  }

  /** `overlay` or `underlay`. */
  get side(): 'overlay' | 'underlay' {
    return this.#parts.side;
  }

  /**
   * Hands packets over, in order; how many were taken: the first so many are no longer the program's. The others still are,
   * because the queue is full: send them again later (`whenWritable`) or release them. Throws ERR_TWILL_POOL, and takes
   * nothing, where one of them is not the program's, is there twice, or leaves less than 22 bytes of headroom at the overlay;
   * ERR_TWILL_CLOSED after `close`.
   */
  send(packets: readonly PacketBuffer[]): number {
    const where = 'UserPort.send: packets';
    const list = arrayAt(where, packets);
    this.#requireOpen();
    const { slots } = this.#parts;
    const headroom = this.#side === OVERLAY ? slots.headerBytes : 0;
    const count = surrenderAll(where, list, slots, headroom);
    let taken = 0;
    try {
      taken = slots.push(this.#side, count);
    } finally {
      for (let i = 0; i < taken; i++) slots.returned(slots.list[i] as number);
      for (let i = taken; i < count; i++) slots.resume(slots.list[i] as number);
    }
    return taken;
  }

  /**
   * Hands over what the batch holds, in order; how many were taken. Those are gone from the batch, and the others, which
   * found no room, stand at its front. Throws TypeError, or ERR_TWILL_POOL and takes nothing where the batch belongs to
   * another dataplane or a packet leaves less than 22 bytes of headroom at the overlay; ERR_TWILL_CLOSED after `close`.
   */
  sendBatch(batch: PacketBatch): number {
    this.#requireOpen();
    return pushFrom(batch, this.#parts.slots, this.#side);
  }

  /**
   * Sends a copy of these bytes; false where no buffer or no room was left, and nothing was sent. Throws RangeError where
   * they do not fit a buffer, ERR_TWILL_CLOSED after `close`.
   */
  write(bytes: Uint8Array): boolean {
    const { length } = bytesAt('UserPort.write: bytes', bytes);
    const { slots } = this.#parts;
    const most = slots.slotBytes - slots.headroomBytes;
    if (length > most) throw wrongValue('UserPort.write: bytes.length', `at most ${most}`, length);
    this.#requireOpen();
    return guard(() => slots.native.write(this.#side, bytes));
  }

  /**
   * Packets that have come, the program's from now on. Never waits. Without `most` all of them, which is never more than
   * 1,024. Throws ERR_TWILL_CLOSED after `close`: what nobody had received by then is gone.
   */
  receive(most: number = Number.POSITIVE_INFINITY): PacketBuffer[] {
    const { slots, peerOf } = this.#parts;
    const wanted =
      most === Number.POSITIVE_INFINITY
        ? slots.count
        : integerAt('UserPort.receive: most', most, 1, Number.MAX_SAFE_INTEGER);
    this.#requireOpen();
    const count = slots.pull(this.#side, Math.min(wanted, slots.count));
    const packets: PacketBuffer[] = [];
    for (let i = 0; i < count; i++) {
      const slot = slots.list[i] as number;
      const number = slots.words[slot * RECORD_WORDS + WORD.peer] as number;
      packets.push(slots.lend(slot, number === 0 ? null : peerOf(number), makePacket));
    }
    return packets;
  }

  /**
   * Puts packets that have come behind what the batch holds, as many as find room in it; how many. Never waits. Errors as
   * `receive`, TypeError, and ERR_TWILL_POOL where the batch belongs to another dataplane.
   */
  receiveInto(batch: PacketBatch): number {
    this.#requireOpen();
    const { slots, peerOf } = this.#parts;
    return pullInto(batch, slots, this.#side, peerOf);
  }

  /**
   * Calls back when packets have come, once for any number of them: `receive()` takes them all; after `receive(most)` ask
   * again until fewer come. Keeps the process alive; null ends that. What the listener throws is an uncaught exception, and
   * the next packets call it again. Throws ERR_TWILL_BUSY while a loop iterates, ERR_TWILL_CLOSED after `close`.
   */
  onReadable(listener: (() => void) | null): void {
    if (listener !== null && typeof listener !== 'function')
      throw wrongType('UserPort.onReadable: listener', 'a function or null', listener);
    if (listener === null && !this.#hasListener) return;
    this.#requireOpen();
    this.#requireAlone(this.#batches !== null);
    this.#hasListener = listener !== null;
    this.#parts.events.on(this.#readable, listener && (() => listener()));
  }

  /**
   * Resolves when `count` packets (default 1, at most 1,024) find room in the queue: back-pressure for whoever sends. Keeps
   * the process alive meanwhile. Rejects with the reason of `signal` where that is aborted, with ERR_TWILL_CLOSED where the
   * dataplane is closed.
   *
   * @example
   * for (let rest = packets; rest.length > 0; rest = rest.slice(port.send(rest))) await port.whenWritable();
   */
  async whenWritable(count = 1, options?: { readonly signal?: AbortSignal }): Promise<void> {
    const wanted = integerAt('UserPort.whenWritable: count', count, 1, QUEUE_PACKETS);
    const signal = signalAt('UserPort.whenWritable: options', options);
    this.#requireOpen();
    return this.#waiters.wait(wanted, signal);
  }

  /**
   * Batches as they come; ends when the dataplane closes. Keeps the process alive until then. Throws ERR_TWILL_BUSY where
   * somebody listens already. A loop that is never idle lets the event loop turn every few batches.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<PacketBuffer[]> {
    this.#requireAlone(this.#batches !== null || this.#hasListener);
    const { events } = this.#parts;
    const batches = new PacketBatches(
      (most) => this.receive(most),
      () => {
        this.#batches = null;
        if (!this.#isClosed) events.on(this.#readable, null);
      },
    );
    if (this.#isClosed) {
      batches.end();
      return batches;
    }
    this.#batches = batches;
    events.on(this.#readable, () => batches.wake());
    return batches;
  }

  #requireOpen(): void {
    if (!this.#isClosed) return;
    throw new TwillError('ERR_TWILL_CLOSED', `the dataplane of this ${this.side} port is closed`);
  }

  #requireAlone(isTaken: boolean): void {
    if (!isTaken) return;
    const fix = 'leave its loop, or end its callback with onReadable(null), first';
    throw new TwillError('ERR_TWILL_BUSY', `somebody listens to this ${this.side} port already: ${fix}`);
  }

  #end(): void {
    this.#isClosed = true;
    this.#hasListener = false;
    this.#batches?.end();
    this.#waiters.end();
  }
}
