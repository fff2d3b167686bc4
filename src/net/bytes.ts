/** What may be handed over as bytes. */
import { wrongType } from '../errors.js';

/** Throws TypeError. A Uint8Array of another realm is one too: test runners and iframes have theirs. */
export function requireBytes(what: string, value: unknown): asserts value is Uint8Array {
  if (value instanceof Uint8Array) return;
  if (Object.prototype.toString.call(value) === '[object Uint8Array]') return;
  throw wrongType(what, 'a Uint8Array', value);
}
