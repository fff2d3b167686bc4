/** A side of the dataplane whose other end is the program: packets in and out as buffers of the pool. */
import { TwillError } from '../errors.js';
import type { NativeEngine } from '../native/binding.js';
import { guard } from '../native/errors.js';
import { type BufferPool, MOST_RECORDS, PacketBuffer, RECORD_BYTES } from './buffer-pool.js';

export class UserPort {
  readonly #native: NativeEngine;
  readonly #pool: BufferPool;
  readonly #side: 'overlay' | 'underlay';
  readonly #records = new Uint8Array(MOST_RECORDS * RECORD_BYTES);
  readonly #view = new DataView(this.#records.buffer);

  constructor(native: NativeEngine, pool: BufferPool, side: 'overlay' | 'underlay') {
    this.#native = native;
    this.#pool = pool;
    this.#side = side;
  }

  /**
   * Hands packets over, in order; how many were taken. Those are no longer the program's; the others still are, because
   * the queue of 1,024 packets is full: try again later or release them. Throws ERR_TWILL_POOL for a buffer that is not ours.
   */
  send(packets: readonly PacketBuffer[]): number {
    for (let at = 0; at < packets.length; at += MOST_RECORDS) {
      const group = packets.slice(at, at + MOST_RECORDS);
      for (const [i, packet] of group.entries()) packet.writeRecord(this.#view, i * RECORD_BYTES, this.#pool);
      const taken = guard(() =>
        this.#native.push(this.#side, this.#records.subarray(0, group.length * RECORD_BYTES)),
      );
      for (const packet of group.slice(0, taken)) packet.handedOver();
      if (taken < group.length) return at + taken;
    }
    return packets.length;
  }

  /** Sends a copy of these bytes; false where no buffer or no room was left, and nothing was sent. */
  write(bytes: Uint8Array): boolean {
    const packet = this.#pool.allocate(bytes.length);
    if (!packet) return false;
    packet.bytes.set(bytes);
    if (this.send([packet]) === 1) return true;
    packet.release();
    return false;
  }

  /**
   * Packets that have come, the program's from now on: send or release each. Never waits. Without `most` all of them,
   * which is never more than the pool has buffers.
   */
  receive(most: number = Number.POSITIVE_INFINITY): PacketBuffer[] {
    if (!(most === Number.POSITIVE_INFINITY || Number.isInteger(most)) || most < 1)
      throw new TwillError('ERR_TWILL_ARGUMENT', `receive takes a positive number, not ${most}`);
    const packets: PacketBuffer[] = [];
    while (packets.length < most) {
      const room = Math.min(most - packets.length, MOST_RECORDS);
      const count = guard(() =>
        this.#native.pull(this.#side, this.#records.subarray(0, room * RECORD_BYTES)),
      );
      for (let i = 0; i < count; i++)
        packets.push(PacketBuffer.fromRecord(this.#pool, this.#view, i * RECORD_BYTES));
      if (count < room) break;
    }
    return packets;
  }

  /**
   * Calls back when packets have come, once for any number of them: `receive()` takes them all; after `receive(most)` ask
   * again until fewer come. Keeps the process alive; null ends that.
   */
  onReadable(listener: (() => void) | null): void {
    guard(() => this.#native.listen(this.#side, listener));
  }
}
