/**
 * A TUN device by itself: the kernel's packets as a stream, and a stream that becomes the kernel's packets. In the shape of the
 * npm package tuntap2, which was withdrawn.
 *
 *    const tun = new Tun({ mtu: 1400, ipv4: '10.9.0.1/24' });
 *    tun.isUp = true;
 *    for await (const packet of tun) ... // each a whole IP packet
 *
 * One chunk is one packet, in both directions. A reader that falls behind leaves packets in the device's queue, where the
 * kernel drops what is too much; nothing piles up here.
 */
import { Duplex, type Readable } from 'node:stream';
import { isDeviceName } from '../config/device-name.js';
import { TwillError, wrongType, wrongValue } from '../errors.js';
import { loadNative, type NativeTun } from '../native/binding.js';
import { guard } from '../native/errors.js';
import { type HostAddress, type Link, netlink } from '../native/netlink.js';
import { IpAddress, type IpFamily } from '../net/ip.js';
import { Prefix } from '../net/prefix.js';
import { bytesAt } from './arguments.js';

/** What a TUN device is made with. */
export interface TunOptions {
  /** 1 to 15 bytes; `%d` in it is a number that the kernel picks. Default `tun%d`. */
  readonly name?: string;
  /** Bytes, 68 to 65535. Default: the kernel's, 1500. */
  readonly mtu?: number;
  /** With its length: `10.9.0.1/24`. Default: none. */
  readonly ipv4?: string;
  /** With its length: `fd00:9::1/64`. Default: none. */
  readonly ipv6?: string;
  /** Default false, as in tuntap2. */
  readonly isUp?: boolean;
  /** Packets that wait in each direction before back-pressure sets in. Default 64. */
  readonly highWaterMark?: number;
}

const READABLE = 1;
const WRITABLE = 2;
const LONGEST_PACKET_BYTES = 65_535;
/** Then others on the event loop have their turn. */
const MOST_AT_ONCE = 64;
const EAGAIN = -11;
const EBADFD = -77;
const SCOPE_LINK = 253;

/**
 * Events beside those of a Duplex: `drop` with a TwillError and the packet, where the kernel refuses one; it harms no other
 * (EIO: the device is down; EINVAL: it is no IP packet). `error` with ERR_TWILL_DEVICE: the device is gone.
 *
 * @example
 * await using tun = new Tun({ mtu: 1400, ipv4: '10.9.0.1/24', isUp: true });
 * for await (const packet of tun) console.log(`${packet.length} bytes from the kernel`);
 */
export class Tun extends Duplex {
  /** As it was opened. */
  readonly name: string;
  /** The interface's index. */
  readonly index: number;
  /** Always: its packets are IP packets. */
  readonly isTun = true;
  /** Never: they have no Ethernet header. */
  readonly isTap = false;
  readonly #native: NativeTun;
  readonly #room = Buffer.allocUnsafeSlow(LONGEST_PACKET_BYTES);
  /** What the event loop is to look for. */
  #watched = 0;
  #unsent: { readonly packet: Uint8Array; readonly done: (error?: Error | null) => void } | null = null;
  #dropped = 0;
  #released: Promise<void> | null = null;
  /** That are piped into it. */
  readonly #sources = new Set<Readable>();

  /**
   * Needs CAP_NET_ADMIN; without addresses, MTU and `isUp` a device suffices that was made for this user (`ip tuntap add`).
   * Throws TypeError or RangeError, ERR_TWILL_PRIVILEGE, _DEVICE (the name is taken; there is no /dev/net/tun) or _NETLINK;
   * nothing is left behind then.
   */
  constructor(options: TunOptions = {}) {
    const { name, ipv4, ipv6, mtu, isUp, highWaterMark } = checked(options);
    super({ objectMode: true, emitClose: true, allowHalfOpen: true, highWaterMark });
    this.on('pipe', (source) => this.#sources.add(source));
    this.on('unpipe', (source) => this.#sources.delete(source));
    this.#native = guard(() => loadNative().openTun(name));
    this.name = this.#native.name;
    this.index = this.#native.index;
    try {
      if (mtu !== undefined) this.mtu = mtu;
      if (ipv4 !== undefined) this.ipv4 = ipv4;
      if (ipv6 !== undefined) this.ipv6 = ipv6;
      if (isUp) this.isUp = true;
    } catch (error) {
      this.#native.close();
      throw error;
    }
  }

  /** Longest packet, bytes. Setting it throws TypeError, RangeError, ERR_TWILL_PRIVILEGE or _NETLINK. */
  get mtu(): number {
    return this.#link().mtu;
  }
  set mtu(bytes: number) {
    requireMtu(bytes);
    this.#set(() => netlink.linkSet(this.index, { mtu: bytes }));
  }

  /** Whether packets pass. */
  get isUp(): boolean {
    return this.#link().up;
  }
  set isUp(up: boolean) {
    if (typeof up !== 'boolean') throw wrongType('Tun: isUp', 'true or false', up);
    this.#set(() => netlink.linkSet(this.index, { up }));
  }

  /** The first of its family with its length, `10.9.0.1/24`; null: none. Setting one replaces all of the family. */
  get ipv4(): string | null {
    return this.#first(4);
  }
  set ipv4(address: string | null) {
    this.#replace(4, address);
  }

  /** As `ipv4`; the kernel's link-local one does not count, and stays. */
  get ipv6(): string | null {
    return this.#first(6);
  }
  set ipv6(address: string | null) {
    this.#replace(6, address);
  }

  /** All of them with their lengths, link-local ones too. */
  get addresses(): readonly string[] {
    return this.#addresses().map(text);
  }

  /** Packets that the kernel refused. */
  get dropped(): number {
    return this.#dropped;
  }

  /** A packet to the kernel. Throws TypeError where it is no bytes, ERR_TWILL_CLOSED after `release`, which it does not disturb. */
  override write(packet: unknown, ...rest: unknown[]): boolean {
    this.#requireWritable('Tun.write: packet', packet);
    return (super.write as (...all: unknown[]) => boolean).call(this, packet, ...rest);
  }

  /** Of a Writable; with a last packet it throws as `write`. */
  override end(packet?: unknown, ...rest: unknown[]): this {
    if (packet !== undefined && packet !== null && typeof packet !== 'function')
      this.#requireWritable('Tun.end: packet', packet);
    return (super.end as (...all: unknown[]) => this).call(this, packet, ...rest);
  }

  /** An open device that is read keeps the process alive, unless told not to. */
  ref(): this {
    this.#native.keepAlive(true);
    return this;
  }
  /** Lets the process end although the device is open and read. */
  unref(): this {
    this.#native.keepAlive(false);
    return this;
  }

  /**
   * Writes what is still to be written, then the device goes (a persistent one stays, but not ours). Packets that were read
   * before can still be had, then the stream ends. Resolves when the device is closed; a second call is the same.
   * `destroy()` is the way that waits for nothing.
   */
  release(done?: (error?: Error | null) => void): Promise<void> {
    if (done !== undefined && typeof done !== 'function')
      throw wrongType('Tun.release: done', 'a function', done);
    this.#released ??= new Promise((resolve) => {
      // What still flows would throw where it comes from.
      for (const source of this.#sources) source.unpipe(this);
      const close = () => {
        this.#close();
        if (!this.destroyed) this.push(null);
        resolve();
      };
      if (this.writableFinished || this.destroyed) close();
      else {
        this.once('close', close);
        this.end(close);
      }
    });
    if (done) this.#released.then(() => done(null));
    return this.#released;
  }

  override [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** @internal */
  override _read(): void {
    this.#watch(this.#watched | READABLE);
  }

  /** @internal */
  override _write(packet: Uint8Array, _: unknown, done: (error?: Error | null) => void): void {
    this.#send(packet, done);
  }

  /** @internal */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#close();
    done(error);
  }

  #onEvent(status: number, events: number): void {
    if ((events & WRITABLE) !== 0 && this.#unsent) {
      const { packet, done } = this.#unsent;
      this.#unsent = null;
      this.#watch(this.#watched & ~WRITABLE);
      this.#send(packet, done);
    }
    // Where the device is gone the call says so.
    if (status < 0 || (events & READABLE) !== 0) this.#receive();
  }

  #receive(): void {
    for (let count = 0; count < MOST_AT_ONCE && !this.#isClosed; count++) {
      const length = this.#native.read(this.#room);
      if (length === EAGAIN) return;
      if (length < 0) return void this.destroy(failure(this.name, 'read', length));
      if (this.push(Buffer.from(this.#room.subarray(0, length)))) continue;
      // The reader is full; it asks again.
      if (!this.#isClosed) this.#watch(this.#watched & ~READABLE);
      return;
    }
  }

  #send(packet: Uint8Array, done: (error?: Error | null) => void): void {
    const refusal = this.#native.write(packet);
    if (refusal === 0) {
      done();
      return;
    }
    if (refusal === EAGAIN) {
      this.#unsent = { packet, done };
      this.#watch(this.#watched | WRITABLE);
      return;
    }
    const error = failure(this.name, 'write', refusal);
    if (refusal === EBADFD) {
      done(error);
      return;
    }
    this.#dropped += 1;
    this.emit('drop', error, packet);
    done();
  }

  get #isClosed(): boolean {
    return this.#watched < 0;
  }

  #watch(events: number): void {
    if (this.#isClosed || events === this.#watched) return;
    this.#watched = events;
    this.#native.watch(events, (status, seen) => this.#onEvent(status, seen));
  }

  #close(): void {
    this.#watched = -1;
    this.#unsent = null;
    this.#native.close();
  }

  #requireWritable(where: string, packet: unknown): void {
    bytesAt(where, packet);
    if (this.#released) throw this.#closedError();
    this.#requireOpen();
  }

  #requireOpen(): void {
    if (this.#isClosed) throw this.#closedError();
  }

  #closedError(): TwillError {
    return new TwillError('ERR_TWILL_CLOSED', `TUN ${this.name} is released`);
  }

  #link(): Link {
    this.#requireOpen();
    const link = netlink.links().find(({ index }) => index === this.index);
    if (link) return link;
    throw new TwillError('ERR_TWILL_DEVICE', `TUN ${this.name} is gone: somebody has deleted it`);
  }

  #addresses(): HostAddress[] {
    this.#requireOpen();
    return netlink.addresses().filter(({ index }) => index === this.index);
  }

  #ofFamily(family: IpFamily): HostAddress[] {
    return this.#addresses().filter(({ address, scope }) => {
      return address.family === family && (family === 4 || scope !== SCOPE_LINK);
    });
  }

  #first(family: IpFamily): string | null {
    const [first] = this.#ofFamily(family);
    return first ? text(first) : null;
  }

  #replace(family: IpFamily, given: string | null): void {
    const wanted = given === null ? null : parseAddress(`Tun: ipv${family}`, given, family);
    const isWanted = (held: HostAddress) =>
      wanted !== null && held.length === wanted.length && held.address.equals(wanted.address);
    this.#set(() => {
      const held = this.#ofFamily(family);
      for (const stale of held.filter((one) => !isWanted(one))) netlink.addressDelete(this.index, stale);
      if (wanted && !held.some(isWanted)) netlink.addressAdd(this.index, wanted);
    });
  }

  /** Errors name the device. */
  #set(change: () => void): void {
    this.#requireOpen();
    try {
      change();
    } catch (error) {
      if (!(error instanceof TwillError)) throw error;
      throw renamed(error, `TUN ${this.name}: ${error.message}`);
    }
  }
}

function checked(
  options: TunOptions,
): TunOptions & { readonly name: string; readonly highWaterMark: number } {
  if (typeof options !== 'object' || options === null) throw wrongType('Tun: options', 'an object', options);
  const { name = 'tun%d', highWaterMark = 64, mtu, ipv4, ipv6, isUp } = options;
  if (typeof name !== 'string') throw wrongType('Tun: name', 'a string', name);
  if (!isDeviceName(name)) throw wrongValue('Tun: name', '1 to 15 bytes without space, "/" or ":"', name);
  if (typeof highWaterMark !== 'number') throw wrongType('Tun: highWaterMark', 'a number', highWaterMark);
  if (!Number.isInteger(highWaterMark) || highWaterMark < 1)
    throw wrongValue('Tun: highWaterMark', 'a whole number of packets, 1 or more', highWaterMark);
  if (mtu !== undefined) requireMtu(mtu);
  if (ipv4 !== undefined) parseAddress('Tun: ipv4', ipv4, 4);
  if (ipv6 !== undefined) parseAddress('Tun: ipv6', ipv6, 6);
  if (isUp !== undefined && typeof isUp !== 'boolean') throw wrongType('Tun: isUp', 'true or false', isUp);
  return { ...options, name, highWaterMark };
}

function requireMtu(bytes: number): void {
  if (typeof bytes !== 'number') throw wrongType('Tun: mtu', 'a number', bytes);
  if (!Number.isInteger(bytes) || bytes < 68 || bytes > 65_535)
    throw wrongValue('Tun: mtu', '68 to 65535 bytes', bytes);
}

/** `10.9.0.1/24`: unlike a prefix it keeps its host bits. */
function parseAddress(
  what: string,
  given: string,
  family: IpFamily,
): { readonly address: IpAddress; readonly length: number } {
  if (typeof given !== 'string') throw wrongType(what, 'a string', given);
  const address = IpAddress.tryParse(given.split('/')[0] ?? '');
  const prefix = Prefix.tryParse(given);
  if (!address || !prefix || address.family !== family)
    throw wrongValue(what, family === 4 ? 'like 10.9.0.1/24' : 'like fd00:9::1/64', given);
  return { address, length: prefix.length };
}

function text({ address, length }: HostAddress): string {
  return `${address}/${length}`;
}

const WHY: { readonly [errno: number]: string } = {
  5: 'it is down: set isUp',
  22: 'the kernel takes it for no IP packet',
  77: 'the device is gone: somebody has deleted it',
};

function failure(name: string, syscall: string, negativeErrno: number): TwillError {
  const errno = -negativeErrno;
  const why = WHY[errno] ?? `the system says error ${errno}`;
  return new TwillError('ERR_TWILL_DEVICE', `TUN ${name}: cannot ${syscall} a packet: ${why}`, {
    errno,
    syscall,
  });
}

function renamed(error: TwillError, message: string): TwillError {
  const { code, errno, syscall } = error;
  return new TwillError(code, message, {
    ...(errno !== undefined && { errno }),
    ...(syscall !== undefined && { syscall }),
    cause: error,
  });
}
