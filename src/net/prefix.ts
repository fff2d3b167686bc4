/** A CIDR prefix as an immutable value. Host bits are always zero. */
import { TwillError, wrongType } from '../errors.js';
import { addressBits, IpAddress, type IpFamily, requireAddress } from './ip.js';

/**
 * A range of addresses that share their first bits: `10.244.1.0/24`. Values are compared with `equals`. Arguments of a wrong
 * type throw TypeError (ArgumentError), here and in each of its methods.
 *
 * @example
 * const subnet = Prefix.parse('10.244.1.0/24');
 * console.log(subnet.contains(IpAddress.parse('10.244.1.7'))); // true
 */
export class Prefix {
  /** Its lowest address: host bits are zero. */
  readonly address: IpAddress;
  /** Bits that the addresses share, 0 to 32 or 128. */
  readonly length: number;

  private constructor(address: IpAddress, length: number) {
    this.address = address;
    this.length = length;
    Object.freeze(this);
  }

  /** Masks off the host bits. Throws ERR_TWILL_ADDRESS where the length is out of range. */
  static of(address: IpAddress, length: number): Prefix {
    requireAddress('Prefix.of: address', address);
    if (typeof length !== 'number') throw wrongType('Prefix.of: length', 'a number', length);
    const bits = addressBits(address.family);
    if (!Number.isInteger(length) || length < 0 || length > bits) {
      throw new TwillError(
        'ERR_TWILL_ADDRESS',
        `prefix length ${length} of ${address}: it must be 0 to ${bits}`,
      );
    }
    const host = BigInt(bits - length);
    return new Prefix(IpAddress.of(address.family, (address.value >> host) << host), length);
  }

  /** `10.0.0.1/16` is read as 10.0.0.0/16. Throws ERR_TWILL_ADDRESS. */
  static parse(text: string): Prefix {
    const prefix = Prefix.tryParse(text);
    if (prefix) return prefix;
    throw new TwillError(
      'ERR_TWILL_ADDRESS',
      `"${text.slice(0, 80)}" is not a prefix: write ADDRESS/LENGTH, for example 10.244.0.0/16`,
    );
  }

  /** As `parse`; null where the text is no prefix. */
  static tryParse(text: string): Prefix | null {
    if (typeof text !== 'string') throw wrongType('Prefix.parse: text', 'a string', text);
    const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
    const address = IpAddress.tryParse(match?.[1] ?? '');
    const length = Number(match?.[2]);
    if (!match || !address || length > addressBits(address.family)) return null;
    return Prefix.of(address, length);
  }

  /** Version of IP. */
  get family(): IpFamily {
    return this.address.family;
  }

  /** The lowest address, which is `address`. */
  get first(): IpAddress {
    return this.address;
  }

  /** The highest address; of an IPv4 subnet that for broadcasts. */
  get last(): IpAddress {
    const host = BigInt(addressBits(this.family) - this.length);
    return IpAddress.of(this.family, this.address.value | ((1n << host) - 1n));
  }

  /** Whether all of `other` lies inside; never where the families differ. */
  contains(other: IpAddress | Prefix): boolean {
    if (!(other instanceof IpAddress || other instanceof Prefix))
      throw wrongType('Prefix.contains: other', 'an IpAddress or a Prefix', other);
    if (other.family !== this.family) return false;
    if (other instanceof Prefix) return other.length >= this.length && this.contains(other.address);
    const host = BigInt(addressBits(this.family) - this.length);
    return other.value >> host === this.address.value >> host;
  }

  /** Whether one contains the other: two prefixes share all of the smaller or nothing. */
  overlaps(other: Prefix): boolean {
    requirePrefix('Prefix.overlaps: other', other);
    return this.contains(other) || other.contains(this);
  }

  /** Same address and same length. */
  equals(other: Prefix): boolean {
    requirePrefix('Prefix.equals: other', other);
    return this.length === other.length && this.address.equals(other.address);
  }

  /** Order by family, then by address, then the wider one first: negative, 0 or positive, for sorting. */
  compare(other: Prefix): number {
    requirePrefix('Prefix.compare: other', other);
    return this.address.compare(other.address) || this.length - other.length;
  }

  /** ADDRESS/LENGTH, as `parse` reads it. */
  toString(): string {
    return `${this.address}/${this.length}`;
  }
}

function requirePrefix(where: string, value: unknown): void {
  if (!(value instanceof Prefix)) throw wrongType(where, 'a Prefix', value);
}
