/**
 * The pool's buffers as the program sees them: views of one native slab, no byte copied between the program and the
 * packet path.
 *
 * Ownership is plain: a buffer that was allocated or received is the program's until it is sent or released; then it is
 * somebody else's, and every use of it throws. A buffer never given back is missing from the pool until the dataplane
 * is gone.
 */
import { TwillError } from '../errors.js';
import type { NativeEngine } from '../native/binding.js';
import { guard } from '../native/errors.js';
import { IpAddress } from '../net/ip.js';

/** Where a datagram came from or goes to: underlay user ports only. */
export interface Remote {
  readonly address: IpAddress;
  readonly port: number;
}

export const RECORD_BYTES = 32;
/** Packets that cross in one call. */
export const MOST_RECORDS = 64;

export class BufferPool {
  readonly #native: NativeEngine;
  readonly #slab: ArrayBuffer;
  readonly #one = new Uint32Array(1);
  /** Of one buffer, its headroom included. */
  readonly slotBytes: number;
  /** Free bytes in front of a fresh packet, for the headers that encapsulation adds. */
  readonly headroomBytes: number;

  constructor(native: NativeEngine) {
    const { slab, slotBytes, headroomBytes } = native.buffers;
    this.#native = native;
    this.#slab = slab;
    this.slotBytes = slotBytes;
    this.headroomBytes = headroomBytes;
  }

  /** Longest packet that a fresh buffer takes. */
  get packetBytes(): number {
    return this.slotBytes - this.headroomBytes;
  }

  /** Buffers that are nobody's, out of all. */
  get free(): { readonly buffers: number; readonly of: number } {
    const { poolFree, poolSlots } = this.#native.stats();
    return { buffers: poolFree, of: poolSlots };
  }

  /** A fresh buffer that holds a packet of this length; null where the pool is empty. Throws ERR_TWILL_POOL where it is too long. */
  allocate(lengthBytes: number): PacketBuffer | null {
    if (!Number.isInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > this.packetBytes) {
      throw new TwillError(
        'ERR_TWILL_POOL',
        `a packet of ${lengthBytes} bytes does not fit: a buffer holds 0 to ${this.packetBytes}`,
      );
    }
    if (this.#native.take(this.#one) === 0) return null;
    return new PacketBuffer(this, this.#one[0] ?? 0, this.headroomBytes, lengthBytes);
  }

  /** For PacketBuffer. */
  view(slot: number, offset: number, lengthBytes: number): Buffer {
    return Buffer.from(this.#slab, slot * this.slotBytes + offset, lengthBytes);
  }

  /** For PacketBuffer. */
  release(slot: number): void {
    this.#one[0] = slot;
    guard(() => this.#native.give(this.#one));
  }
}

export class PacketBuffer {
  readonly #pool: BufferPool;
  readonly #slot: number;
  readonly #offset: number;
  #lengthBytes: number;
  #held = true;
  /** Underlay: the other end. */
  remote: Remote | null = null;
  /** Underlay: outer TOS or traffic class. */
  tos = 0;

  /** Only the pool and its ports make these. */
  constructor(pool: BufferPool, slot: number, offset: number, lengthBytes: number) {
    this.#pool = pool;
    this.#slot = slot;
    this.#offset = offset;
    this.#lengthBytes = lengthBytes;
  }

  get length(): number {
    return this.#lengthBytes;
  }

  /** The packet itself, not a copy. Not to be used after the buffer was sent or released. */
  get bytes(): Buffer {
    this.#require();
    return this.#pool.view(this.#slot, this.#offset, this.#lengthBytes);
  }

  /** Cuts or extends the packet at its end. Throws ERR_TWILL_POOL where the buffer is too small. */
  setLength(lengthBytes: number): void {
    this.#require();
    const mostBytes = this.#pool.slotBytes - this.#offset;
    if (!Number.isInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > mostBytes) {
      throw new TwillError(
        'ERR_TWILL_POOL',
        `a length of ${lengthBytes} bytes does not fit: this buffer holds 0 to ${mostBytes}`,
      );
    }
    this.#lengthBytes = lengthBytes;
  }

  /** Back to the pool. A second time throws ERR_TWILL_POOL. */
  release(): void {
    this.#require();
    this.#held = false;
    this.#pool.release(this.#slot);
  }

  [Symbol.dispose](): void {
    if (this.#held) this.release();
  }

  /** For user ports: writes the record. The buffer stays the program's until `handedOver`. */
  writeRecord(view: DataView, at: number, pool: BufferPool): void {
    this.#require();
    if (pool !== this.#pool) {
      throw new TwillError(
        'ERR_TWILL_POOL',
        'a packet buffer belongs to one dataplane and cannot be sent through another',
      );
    }
    const { address, port } = this.remote ?? { address: null, port: 0 };
    view.setUint32(at, this.#slot, littleEndian);
    view.setUint32(at + 4, this.#offset, littleEndian);
    view.setUint32(at + 8, this.#lengthBytes, littleEndian);
    view.setUint16(at + 12, port, littleEndian);
    view.setUint8(at + 14, address?.family ?? 0);
    view.setUint8(at + 15, this.tos);
    const bytes = address?.bytes() ?? new Uint8Array();
    for (const [i, byte] of bytes.entries()) view.setUint8(at + 16 + i, byte);
  }

  /** For user ports: from here on it is the engine's. */
  handedOver(): void {
    this.#held = false;
  }

  /** For user ports: a packet that the engine handed to the program. */
  static fromRecord(pool: BufferPool, view: DataView, at: number): PacketBuffer {
    const [slot, offset, length] = [0, 4, 8].map((field) => view.getUint32(at + field, littleEndian)) as [
      number,
      number,
      number,
    ];
    const packet = new PacketBuffer(pool, slot, offset, length);
    packet.tos = view.getUint8(at + 15);
    const family = view.getUint8(at + 14);
    if (family !== 0) {
      const bytes = new Uint8Array(view.buffer, view.byteOffset + at + 16, family === 4 ? 4 : 16);
      packet.remote = { address: IpAddress.fromBytes(bytes), port: view.getUint16(at + 12, littleEndian) };
    }
    return packet;
  }

  #require(): void {
    if (!this.#held) throw new TwillError('ERR_TWILL_POOL', 'this packet buffer was sent or released before');
  }
}

/** Records are in the machine's own order. */
const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
