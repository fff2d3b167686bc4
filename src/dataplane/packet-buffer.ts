/** One packet in a buffer of the pool. */
import { TwillError, wrongType } from '../errors.js';
import type { IpAddress } from '../net/ip.js';
import type { Prefix } from '../net/prefix.js';
import { addressAt, integerAt, objectAt, requireMade } from './arguments.js';
import { Lot } from './lots.js';
import type { Remote } from './remotes.js';
import { type MakePacket, RECORD_WORDS, type Slots, WORD } from './slots.js';

/** For the pool and its ports alone. */
export let makePacket: MakePacket<PacketBuffer>;
/** Ends the lend of something that is to be given away, or throws; its slot. `headroom`: bytes that must be free in front. */
export let surrender: (where: string, value: unknown, slots: Slots, headroom: number) => number;

/**
 * A packet, in place: `bytes` are those that the packet path reads and writes, not a copy.
 *
 * Ownership is plain. A buffer that was allocated or received is the program's until it is sent or released; from then on
 * every use of it throws ERR_TWILL_POOL, also when the pool has lent the same memory anew. What the library cannot take back
 * is a `bytes` that the program has kept: it shows, from then on, whatever the memory holds next. A buffer that is dropped
 * without being sent or released comes back to the pool when the garbage collector finds it, which may be late:
 * `using packet = ...` does it in time.
 *
 * @example
 * const packet = plane.pool.allocate(1000);
 * if (packet) {
 *   packet.bytes.set(inner);
 *   packet.setLength(inner.length);
 *   if (plane.overlay.send([packet]) === 0) packet.release();
 * }
 */
export class PacketBuffer implements Disposable {
  readonly #lot: Lot<Slots>;
  readonly #slot: number;
  readonly #lend: number;
  /**
   * The subnet of the peer that the packet came from (out of the overlay port) or goes to (out of the underlay port). null:
   * the program made it, the node made it (an ICMP error), or the peer has gone since.
   */
  readonly peer: Prefix | null;

  private constructor(lot: Lot<Slots>, slot: number, lend: number, peer: Prefix | null) {
    requireMade('PacketBuffer', 'its pool', lot instanceof Lot, lot);
    this.#lot = lot;
    this.#slot = slot;
    this.#lend = lend;
    this.peer = peer;
  }

  static {
    makePacket = (slot, lend, lot, peer) => new PacketBuffer(lot, slot, lend, peer);
    surrender = (where, value, slots, headroom) => {
      if (typeof value !== 'object' || value === null || !(#slot in value))
        throw wrongType(where, 'a PacketBuffer', value);
      const slot = value.#slot;
      if (value.#lot.owner !== slots) {
        const why = 'a packet buffer belongs to one dataplane and cannot be used with another';
        throw new TwillError('ERR_TWILL_POOL', `${where}: ${why}`);
      }
      slots.require(slot, value.#lend);
      const free = slots.words[slot * RECORD_WORDS + WORD.offset] as number;
      if (free < headroom) {
        const why = `${free} bytes are free in front of the packet, and its header needs ${headroom}`;
        throw new TwillError('ERR_TWILL_POOL', `${where}: ${why}: prepend less`);
      }
      slots.suspend(slot);
      return slot;
    };
  }

  /** Whether it is still the program's: neither sent nor released. */
  get isHeld(): boolean {
    return this.#lot.owner.isHeld(this.#slot, this.#lend);
  }

  /** The packet itself, not a copy; the same object until length or start change. Throws ERR_TWILL_POOL when no longer held. */
  get bytes(): Buffer {
    return this.#slots().view(this.#slot);
  }

  /** Of the packet, bytes. Throws ERR_TWILL_POOL when no longer held. */
  get length(): number {
    return this.#slots().words[this.#at(WORD.length)] as number;
  }

  /** Bytes free in front of the packet: 64 in a fresh buffer. Throws ERR_TWILL_POOL when no longer held. */
  get headroom(): number {
    return this.#slots().words[this.#at(WORD.offset)] as number;
  }

  /** Bytes free behind the packet. Throws ERR_TWILL_POOL when no longer held. */
  get tailroom(): number {
    return this.#slots().slotBytes - this.headroom - this.length;
  }

  /**
   * Cuts or extends the packet at its end; what is new holds anything. Throws RangeError where the buffer is too small,
   * ERR_TWILL_POOL when no longer held.
   */
  setLength(lengthBytes: number): void {
    const slots = this.#slots();
    const most = slots.slotBytes - this.headroom;
    slots.words[this.#at(WORD.length)] = integerAt('PacketBuffer.setLength: length', lengthBytes, 0, most);
  }

  /**
   * Makes the packet longer by so many bytes in front, out of the headroom: for a header. They hold anything. Throws
   * RangeError where there is less headroom, ERR_TWILL_POOL when no longer held.
   */
  prepend(bytes: number): void {
    const count = integerAt('PacketBuffer.prepend: bytes', bytes, 0, this.headroom);
    this.#move(-count);
  }

  /**
   * Takes so many bytes off the front: a header that was read. They become headroom. Throws RangeError where the packet is
   * shorter, ERR_TWILL_POOL when no longer held.
   */
  trimFront(bytes: number): void {
    const count = integerAt('PacketBuffer.trimFront: bytes', bytes, 0, this.length);
    this.#move(count);
  }

  /**
   * The other end of the datagram that this is, or that it came in; null where there is none. To be set before a packet
   * goes into the underlay port: as if it had come from there. Throws ERR_TWILL_POOL when no longer held.
   */
  get remote(): Remote | null {
    return this.#slots().remotes.read(this.#slot);
  }

  set remote(remote: { readonly address: IpAddress | string; readonly port: number } | null) {
    // First: what reads an object may run anything, a release too.
    const wanted = remoteAt('PacketBuffer.remote', remote);
    this.#slots().remotes.write(this.#slot, wanted);
  }

  /** Outer TOS or traffic class, 0 to 255, with the ECN bits: received, or to be taken as received. */
  get tos(): number {
    return this.#slots().remotes.tos(this.#slot);
  }

  set tos(tos: number) {
    this.#slots().remotes.setTos(this.#slot, integerAt('PacketBuffer.tos', tos, 0, 255));
  }

  /** Back to the pool. A second time, or after it was sent, throws ERR_TWILL_POOL. Works also when the dataplane is closed. */
  release(): void {
    const slots = this.#slots();
    slots.suspend(this.#slot);
    slots.list[0] = this.#slot;
    slots.give(1);
  }

  /** `using packet = ...`: releases it where that is still to be done. */
  [Symbol.dispose](): void {
    if (this.#lot.owner.isHeld(this.#slot, this.#lend)) this.release();
  }

  #slots(): Slots {
    const slots = this.#lot.owner;
    slots.require(this.#slot, this.#lend);
    return slots;
  }

  #at(word: number): number {
    return this.#slot * RECORD_WORDS + word;
  }

  #move(count: number): void {
    const { words } = this.#slots();
    const [offset, length] = [this.#at(WORD.offset), this.#at(WORD.length)];
    words[offset] = (words[offset] as number) + count;
    words[length] = (words[length] as number) - count;
  }
}

/** Throws ArgumentError. */
export function remoteAt(where: string, value: unknown): Remote | null {
  if (value === null) return null;
  const { address, port } = objectAt(where, value, '{ address, port } or null');
  return {
    address: addressAt(`${where}.address`, address),
    port: integerAt(`${where}.port`, port, 0, 65_535),
  };
}
