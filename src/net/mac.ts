/** A 48-bit MAC address (EUI-48) as an immutable value. */
import { TwillError } from '../errors.js';

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

  static tryParse(text: string): MacAddress | null {
    if (!/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(text)) return null;
    return new MacAddress(Uint8Array.from(text.split(':'), (octet) => Number.parseInt(octet, 16)));
  }

  static fromBytes(bytes: Uint8Array): MacAddress {
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

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  get isMulticast(): boolean {
    return ((this.#bytes[0] ?? 0) & 1) === 1;
  }

  get isZero(): boolean {
    return this.#bytes.every((byte) => byte === 0);
  }

  equals(other: MacAddress): boolean {
    return this.toString() === other.toString();
  }

  toString(): string {
    return Array.from(this.#bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
  }
}
