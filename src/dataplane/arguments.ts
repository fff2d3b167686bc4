/**
 * Arguments of the library as they come, to values. A wrong kind throws TypeError, a wrong value RangeError, both with the
 * code ERR_TWILL_ARGUMENT, where, and what it was.
 */
import { types } from 'node:util';
import { TwillError, wrongType, wrongValue } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import { Prefix } from '../net/prefix.js';

/** In the constructor of what only the library makes; JavaScript knows no private ones. */
export function requireMade(what: string, by: string, isMade: boolean, value: unknown): void {
  if (!isMade) throw wrongType(what, `made by ${by}`, value);
}

export function objectAt(where: string, value: unknown, wanted = 'an object'): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw wrongType(where, wanted, value);
  return value as Record<string, unknown>;
}

export function arrayAt(where: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongType(where, 'an array', value);
  return value;
}

/** Each element, told by its place. */
export function eachAt<T>(
  where: string,
  value: unknown,
  element: (where: string, value: unknown) => T,
): readonly T[] {
  return arrayAt(where, value).map((item, i) => element(`${where}[${i}]`, item));
}

export function integerAt(where: string, value: unknown, lowest: number, highest: number): number {
  if (Number.isInteger(value) && (value as number) >= lowest && (value as number) <= highest)
    return value as number;
  const wanted = `an integer from ${lowest} to ${highest}`;
  throw typeof value === 'number' ? wrongValue(where, wanted, value) : wrongType(where, wanted, value);
}

export function booleanAt(where: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongType(where, 'true or false', value);
  return value;
}

export function stringAt(where: string, value: unknown, wanted = 'a string'): string {
  if (typeof value !== 'string') throw wrongType(where, wanted, value);
  return value;
}

export function oneOfAt<T extends string>(where: string, value: unknown, choices: readonly T[]): T {
  const wanted = choices.map((choice) => `"${choice}"`).join(' or ');
  if (typeof value !== 'string') throw wrongType(where, wanted, value);
  const chosen = choices.find((choice) => choice === value);
  if (chosen === undefined) throw wrongValue(where, wanted, value);
  return chosen;
}

export function bytesAt(where: string, value: unknown): Uint8Array {
  // What merely looks like one (a Proxy, a prototype) has no bytes in the addon's eyes.
  if (!types.isUint8Array(value)) throw wrongType(where, 'a Uint8Array or Buffer', value);
  return value;
}

export function signalAt(where: string, options: unknown): AbortSignal | null {
  if (options === undefined) return null;
  const { signal } = objectAt(where, options);
  if (signal === undefined) return null;
  if (!(signal instanceof AbortSignal)) throw wrongType(`${where}.signal`, 'an AbortSignal', signal);
  return signal;
}

export function addressAt(where: string, value: unknown): IpAddress {
  if (value instanceof IpAddress) return value;
  return parsed(where, stringAt(where, value, 'an IP address or its text'), IpAddress.parse);
}

export function prefixAt(where: string, value: unknown): Prefix {
  if (value instanceof Prefix) return value;
  return parsed(where, stringAt(where, value, 'a Prefix or its text'), Prefix.parse);
}

export function macAt(where: string, value: unknown): MacAddress {
  if (value instanceof MacAddress) return value;
  return parsed(where, stringAt(where, value, 'a MAC address or its text'), MacAddress.parse);
}

/** The parser says how it is written. */
function parsed<T>(where: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TwillError)) throw error;
    throw wrongValue(where, error.message.replace(/^.*: write /, 'written like '), text);
  }
}
