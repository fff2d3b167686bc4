/** IP addresses as immutable values: strict text, network-order bytes, arithmetic. */
import { TwillError, wrongType, wrongValue } from '../errors.js';
import { requireBytes } from './bytes.js';

/** Version of IP. */
export type IpFamily = 4 | 6;

const BITS = { 4: 32, 6: 128 } as const;

export function addressBits(family: IpFamily): number {
  return BITS[family];
}

/**
 * An IPv4 or IPv6 address without a zone. Values are compared with `equals`, not with `===`. Arguments of a wrong type throw
 * TypeError (ArgumentError), here and in each of its methods.
 *
 * @example
 * const address = IpAddress.parse('2001:DB8:0::1');
 * console.log(`${address}`, address.family); // 2001:db8::1 6
 */
export class IpAddress {
  /** Version of IP. */
  readonly family: IpFamily;
  /** As an unsigned number of 32 or 128 bits. */
  readonly value: bigint;

  private constructor(family: IpFamily, value: bigint) {
    this.family = family;
    this.value = value;
    Object.freeze(this);
  }

  /** The address with this number; bits above the family's 32 or 128 are dropped. Throws RangeError for another family. */
  static of(family: IpFamily, value: bigint): IpAddress {
    if (typeof value !== 'bigint') throw wrongType('IpAddress.of: value', 'a bigint', value);
    if (family !== 4 && family !== 6) throw wrongValue('IpAddress.of: family', '4 or 6', family);
    return new IpAddress(family, BigInt.asUintN(BITS[family], value));
  }

  /** Four decimal octets without leading zeros, or any IPv6 form of RFC 4291; no zone. Throws ERR_TWILL_ADDRESS. */
  static parse(text: string): IpAddress {
    const address = IpAddress.tryParse(text);
    if (address) return address;
    throw new TwillError(
      'ERR_TWILL_ADDRESS',
      `"${text.slice(0, 80)}" is not an IP address: write 192.0.2.1 or 2001:db8::1`,
    );
  }

  /** As `parse`; null where the text is no address. */
  static tryParse(text: string): IpAddress | null {
    if (typeof text !== 'string') throw wrongType('IpAddress.parse: text', 'a string', text);
    const v4 = parseV4(text);
    if (v4 !== null) return new IpAddress(4, v4);
    const v6 = parseV6(text);
    return v6 === null ? null : new IpAddress(6, v6);
  }

  /** From 4 or 16 bytes in network order. Throws ERR_TWILL_ADDRESS for another number. */
  static fromBytes(bytes: Uint8Array): IpAddress {
    requireBytes('IpAddress.fromBytes: bytes', bytes);
    if (bytes.length !== 4 && bytes.length !== 16) {
      throw new TwillError('ERR_TWILL_ADDRESS', `an IP address has 4 or 16 bytes, not ${bytes.length}`);
    }
    let value = 0n;
    for (const byte of bytes) value = (value << 8n) | BigInt(byte);
    return new IpAddress(bytes.length === 4 ? 4 : 6, value);
  }

  /** 4 or 16 bytes in network order, the caller's own. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(BITS[this.family] / 8);
    let rest = this.value;
    for (let i = bytes.length - 1; i >= 0; i--) {
      bytes[i] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    return bytes;
  }

  /** Same family and same number: 192.0.2.1 and ::ffff:192.0.2.1 are two. */
  equals(other: IpAddress): boolean {
    requireAddress('IpAddress.equals: other', other);
    return this.family === other.family && this.value === other.value;
  }

  /** IPv4 before IPv6, then by value. */
  compare(other: IpAddress): number {
    requireAddress('IpAddress.compare: other', other);
    if (this.family !== other.family) return this.family - other.family;
    return this.value < other.value ? -1 : this.value > other.value ? 1 : 0;
  }

  /** Wraps at the end of the family's range. Throws RangeError for a number that is no integer. */
  add(offset: bigint | number): IpAddress {
    if (typeof offset !== 'bigint' && typeof offset !== 'number')
      throw wrongType('IpAddress.add: offset', 'a bigint or a number', offset);
    if (typeof offset === 'number' && !Number.isInteger(offset))
      throw wrongValue('IpAddress.add: offset', 'an integer', offset);
    return IpAddress.of(this.family, this.value + BigInt(offset));
  }

  /** Whether it is 0.0.0.0 or ::. */
  get isUnspecified(): boolean {
    return this.value === 0n;
  }

  /** 127.0.0.0/8 (RFC 1122) or ::1 (RFC 4291). */
  get isLoopback(): boolean {
    return this.family === 4 ? this.value >> 24n === 127n : this.value === 1n;
  }

  /** 224.0.0.0/4 (RFC 5771) or ff00::/8 (RFC 4291). */
  get isMulticast(): boolean {
    return this.family === 4 ? this.value >> 28n === 0xen : this.value >> 120n === 0xffn;
  }

  /** 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291). */
  get isLinkLocal(): boolean {
    return this.family === 4 ? this.value >> 16n === 0xa9fen : this.value >> 118n === 0x3fan;
  }

  /** Dotted quad, or the form of RFC 5952. */
  toString(): string {
    return this.family === 4 ? formatV4(this.value) : formatV6(this.value);
  }
}

export function requireAddress(where: string, value: unknown): void {
  if (!(value instanceof IpAddress)) throw wrongType(where, 'an IpAddress', value);
}

function parseV4(text: string): bigint | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (!match) return null;
  let value = 0n;
  for (const octet of match.slice(1)) {
    if (Number(octet) > 255 || (octet.length > 1 && octet.startsWith('0'))) return null;
    value = (value << 8n) | BigInt(octet);
  }
  return value;
}

function parseV6(text: string): bigint | null {
  if (text.length > 45) return null;
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = groups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1] ?? '', true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  let value = 0n;
  for (const group of [...head, ...Array<number>(Math.max(missing, 0)).fill(0), ...tail]) {
    value = (value << 16n) | BigInt(group);
  }
  return value;
}

/** Colon-separated groups; the last may be a dotted quad where `quadAllowed`. */
function groups(text: string, quadAllowed: boolean): number[] | null {
  if (text === '') return [];
  const out: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    const quad = quadAllowed && i === parts.length - 1 ? parseV4(part) : null;
    if (quad !== null) {
      out.push(Number(quad >> 16n), Number(quad & 0xffffn));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      out.push(Number.parseInt(part, 16));
    }
  }
  return out;
}

function formatV4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join('.');
}

function formatV6(value: bigint): string {
  if (value >> 32n === 0xffffn) return `::ffff:${formatV4(value & 0xffffffffn)}`;
  const words = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  // The longest run of two or more zero words, the first of equals.
  let best = { start: 8, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && words[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = words.map((word) => word.toString(16));
  if (best.start === 8) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}
