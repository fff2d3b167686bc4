/**
 * Protocol buffers, as far as etcd's messages need them: a message is a table of its fields (messages.ts), from which
 * come its type, its encoder and its decoder. 64-bit integers are bigints and exact. As the format has it, a field that
 * is missing has its zero, and one that is unknown is passed over.
 */

/** How one field goes onto the wire and comes from it. */
interface Field<T> {
  readonly number: number;
  /** Wire type: 0 a varint, 2 bytes with their length in front. */
  readonly wireType: 0 | 2;
  readonly zero: () => T;
  /** Nothing is written for a zero. */
  readonly write: (value: Draft<T>, out: Uint8Array[]) => void;
  readonly read: (reader: Reader, before: T) => T;
}

type Fields<T> = { readonly [Name in keyof T]: Field<T[Name]> };
export type MessageOf<C> = C extends Codec<infer T> ? T : never;

/** A message in the making: what is left out has its zero. */
export type Draft<T> = T extends bigint | number | string | boolean | Uint8Array | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Draft<Item>[]
    : { readonly [Name in keyof T]?: Draft<T[Name]> };

export interface Codec<T> {
  encode(message: Draft<T>): Buffer;
  /** Throws where the bytes are no such message. */
  decode(bytes: Uint8Array): T;
}

export function int64(number: number): Field<bigint> {
  return {
    number,
    wireType: 0,
    zero: () => 0n,
    write(value, out) {
      if (value !== 0n) out.push(varint(BigInt(number << 3)), varint(BigInt.asUintN(64, value)));
    },
    read: (reader) => BigInt.asIntN(64, reader.varint()),
  };
}

/** Small integers and enumerations. */
export function int32(number: number): Field<number> {
  const wide = int64(number);
  return {
    ...wide,
    zero: () => 0,
    write: (value, out) => wide.write(BigInt(value), out),
    read: (reader) => Number(BigInt.asIntN(32, reader.varint())),
  };
}

export function bool(number: number): Field<boolean> {
  const wide = int64(number);
  return {
    ...wide,
    zero: () => false,
    write: (value, out) => wide.write(value ? 1n : 0n, out),
    read: (reader) => reader.varint() !== 0n,
  };
}

export function bytes(number: number): Field<Uint8Array> {
  return {
    number,
    wireType: 2,
    zero: () => new Uint8Array(),
    write(value, out) {
      if (value.length > 0) delimited(number, value, out);
    },
    read: (reader) => reader.delimited(),
  };
}

export function text(number: number): Field<string> {
  const raw = bytes(number);
  return {
    ...raw,
    zero: () => '',
    write: (value, out) => raw.write(Buffer.from(value), out),
    read: (reader) => Buffer.from(reader.delimited()).toString('utf8'),
  };
}

export function nested<T>(number: number, codec: Codec<T>): Field<T | undefined> {
  return {
    number,
    wireType: 2,
    zero: () => undefined,
    write(value, out) {
      if (value !== undefined) delimited(number, codec.encode(value as Draft<T>), out);
    },
    read: (reader) => codec.decode(reader.delimited()),
  };
}

export function repeated<T>(number: number, codec: Codec<T>): Field<readonly T[]> {
  return {
    number,
    wireType: 2,
    zero: () => [],
    write(values, out) {
      for (const value of values as readonly Draft<T>[]) delimited(number, codec.encode(value), out);
    },
    read(reader, before) {
      (before as T[]).push(codec.decode(reader.delimited()));
      return before;
    },
  };
}

export function message<T>(fields: Fields<T>): Codec<T> {
  const entries = Object.entries(fields) as [keyof T & string, Field<unknown>][];
  const byNumber = new Map(entries.map(([name, field]) => [field.number, { name, field }]));
  return {
    encode(draft) {
      const out: Uint8Array[] = [];
      for (const [name, field] of entries) {
        const value = (draft as { readonly [name: string]: unknown })[name];
        if (value !== undefined) field.write(value as Draft<unknown>, out);
      }
      return Buffer.concat(out);
    },
    decode(from) {
      const result: { [name: string]: unknown } = {};
      for (const [name, field] of entries) result[name] = field.zero();
      const reader = new Reader(from);
      while (!reader.isAtEnd) {
        const tag = Number(reader.varint());
        const wireType = tag & 7;
        const known = byNumber.get(tag >>> 3);
        if (known?.field.wireType === wireType) {
          result[known.name] = known.field.read(reader, result[known.name]);
        } else {
          reader.skip(wireType);
        }
      }
      return result as T;
    },
  };
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(from: Uint8Array) {
    this.#bytes = from;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Unsigned, up to 64 bits. Those of 31 bits, nearly all, are put together without bigints. */
  varint(): bigint {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new Error('a varint of more than ten bytes');
  }

  /** A view, no copy. */
  delimited(): Uint8Array {
    return this.#take(Number(this.varint()));
  }

  skip(wireType: number): void {
    if (wireType === 0) this.varint();
    else if (wireType === 1) this.#take(8);
    else if (wireType === 2) this.delimited();
    else if (wireType === 5) this.#take(4);
    else throw new Error(`wire type ${wireType}`);
  }

  #take(lengthBytes: number): Uint8Array {
    const end = this.#at + lengthBytes;
    if (end > this.#bytes.length) throw new Error('a message that ends too early');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Error('a message that ends too early');
    return byte;
  }
}

function delimited(number: number, value: Uint8Array, out: Uint8Array[]): void {
  out.push(varint(BigInt((number << 3) | 2)), varint(BigInt(value.length)), value);
}

function varint(value: bigint): Uint8Array {
  const out: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Uint8Array.from(out);
}
