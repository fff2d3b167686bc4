/**
 * Integers in network order, and what a decoder or encoder may be handed. Bytes are read by index, not through a DataView,
 * which would be an object for each packet; an index outside reads as zero, so no length, however wrong, leads out.
 */
import { wrongType, wrongValue } from '../errors.js';
import { requireBytes } from '../net/bytes.js';

export { requireBytes };

export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

export function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 0x10000 + u16(bytes, at + 2);
}

export function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function setU32(bytes: Uint8Array, at: number, value: number): void {
  setU16(bytes, at, value >>> 16);
  setU16(bytes, at + 2, value & 0xffff);
}

/** Throws TypeError, or RangeError where `into` ends before `at + length`. */
export function requireRoom(what: string, into: Uint8Array, at: number, length: number): void {
  // Nearly always; no text is put together for it.
  if (into instanceof Uint8Array && Number.isInteger(at) && at >= 0 && at + length <= into.length) return;
  requireBytes(`${what}: into`, into);
  requireUnsigned(`${what}: at`, at, Number.MAX_SAFE_INTEGER);
  if (at + length <= into.length) return;
  throw wrongValue(`${what}: into`, `at least ${at + length} bytes long`, into.length);
}

/** Throws TypeError where it is no number, RangeError where it is no integer from 0 to `most`. */
export function requireUnsigned(what: string, value: number, most: number): void {
  if (typeof value !== 'number') throw wrongType(what, 'a number', value);
  if (Number.isInteger(value) && value >= 0 && value <= most) return;
  throw wrongValue(what, `an integer from 0 to ${most}`, value);
}
