/** A 48-bit MAC address (EUI-48) as an immutable value. */
import { TwillError, wrongType } from '../errors.js';
import { requireBytes } from './bytes.js';

/**
 * A 48-bit MAC address. Values are compared with `equals`, not with `===`. Arguments of a wrong type throw TypeError
 * (ArgumentError), here and in each of its methods.
 *
 * @example
 * console.log(`${MacAddress.parse('02:00:5E:10:00:01')}`); // 02:00:5e:10:00:01
 */
export class MacAddress {
  readonly #bytes: Uint8Array;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Six hexadecimal octets with colons, either case. Throws ERR_TWILL_ADDRESS. */
  static parse(text: string): MacAddress {
    const mac = MacAddress.tryParse(text);
    if (mac) return mac;
    throw new TwillError(
      'ERR_TWILL_ADDRESS',
      `"${text.slice(0, 80)}" is not a MAC address: write aa:bb:cc:dd:ee:ff`,
    );
  }

  /** As `parse`; null where the text is no MAC address. */
  static tryParse(text: string): MacAddress | null {
    if (typeof text !== 'string') throw wrongType('MacAddress.parse: text', 'a string', text);
    if (!/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(text)) return null;
    return new MacAddress(Uint8Array.from(text.split(':'), (octet) => Number.parseInt(octet, 16)));
  }

  /** From 6 bytes, which are copied. Throws ERR_TWILL_ADDRESS. */
  static fromBytes(bytes: Uint8Array): MacAddress {
    requireBytes('MacAddress.fromBytes: bytes', bytes);
    if (bytes.length !== 6) {
      throw new TwillError('ERR_TWILL_ADDRESS', `a MAC address has 6 bytes, not ${bytes.length}`);
    }
    return new MacAddress(Uint8Array.from(bytes));
  }

  /** A locally administered unicast address from six random bytes, as flannel makes its VTEP's. */
  static local(random: Uint8Array): MacAddress {
    const mac = MacAddress.fromBytes(random);
    mac.#bytes[0] = ((mac.#bytes[0] ?? 0) & 0xfe) | 0x02;
    return mac;
  }

  /** Its 6 bytes, the caller's own. */
  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  /** Whether it is a group's: the lowest bit of the first byte. */
  get isMulticast(): boolean {
    return ((this.#bytes[0] ?? 0) & 1) === 1;
  }

  /** Whether it is 00:00:00:00:00:00, which no station has. */
  get isZero(): boolean {
    return this.#bytes.every((byte) => byte === 0);
  }

  /** Same six bytes. */
  equals(other: MacAddress): boolean {
    if (!(other instanceof MacAddress)) throw wrongType('MacAddress.equals: other', 'a MacAddress', other);
    return this.toString() === other.toString();
  }

  /** Lower case with colons: `aa:bb:cc:dd:ee:ff`. */
  toString(): string {
    return Array.from(this.#bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
  }
}
