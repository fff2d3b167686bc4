/** The parts of a table of misuse: what a class offers at run time, and what a call has to end with. */
import assert from 'node:assert/strict';

/** An error that is expected. */
export class Refusal {
  readonly name: string;
  readonly code: string | undefined;
  readonly message: RegExp;

  constructor(name: string, code: string | undefined, message: RegExp) {
    this.name = name;
    this.code = code;
    this.message = message;
  }
}

export const refused = (code: string, message: RegExp) => new Refusal('TwillError', code, message);
export const wrongKind = (message: RegExp) => new Refusal('TypeError', 'ERR_TWILL_ARGUMENT', message);
export const wrongRange = (message: RegExp) => new Refusal('RangeError', 'ERR_TWILL_ARGUMENT', message);
/** Of the language, for what no library can word. */
export const typeError = new Refusal('TypeError', undefined, /./);

/** Deliberately of the wrong type. */
// biome-ignore lint/suspicious/noExplicitAny: that is what misuse is.
export const wrong = (value: unknown): any => value;

/** Runs it at once; what it gives, or what it resolves to, is `expected`: a value, or the error of a Refusal. */
export async function ends(where: string, expected: unknown, act: () => unknown): Promise<void> {
  let found: unknown;
  try {
    found = await act();
  } catch (error) {
    assert.ok(error instanceof Error, where);
    if (!(expected instanceof Refusal)) throw new Error(`${where}: ${error.message}`, { cause: error });
    const { name, message } = error;
    const { code } = error as { code?: string };
    assert.equal(name, expected.name, `${where}: ${message}`);
    if (expected.code !== undefined) assert.equal(code, expected.code, `${where}: ${message}`);
    assert.match(message, expected.message, where);
    return;
  }
  if (expected instanceof Refusal) assert.fail(`${where}: it gave ${String(found)}`);
  assert.deepEqual(found, expected, where);
}

/** A value, or a Refusal: see `ends`. */
type Outcome = unknown;

/** One member of a public class, and what it ends with in each situation. */
export interface Row<On> {
  /** The member, used as it should be. */
  readonly call: (on: On) => unknown;
  /** While its object is in use. */
  readonly open: Outcome;
  /** Once more. Absent: the same. */
  readonly again?: Outcome;
  /** When the object's end was asked for and is still under way, in a listener of it, and afterwards. Absent: as open. */
  readonly closed?: Outcome;
  /** When what it stands on was taken away by others. Absent: as open. */
  readonly gone?: Outcome;
  /** Wrong arguments; nothing happens then. Null: it takes none. */
  readonly wrong: readonly (readonly [act: (on: On) => unknown, outcome: Refusal])[] | null;
}

type Type = { readonly name: string; readonly prototype: object };

/** Names of what a class offers: methods and accessors, and `static open`. */
export function membersOf(type: Type): string[] {
  const own = Reflect.ownKeys(type.prototype).filter((key) => key !== 'constructor');
  const statics = Reflect.ownKeys(type).filter(
    (key) => !['length', 'name', 'prototype'].includes(String(key)),
  );
  return [...own.map(nameOf), ...statics.map((key) => `static ${nameOf(key)}`)];
}

/** The data that an object shows, without what its base class (an EventEmitter) keeps there. */
export function fieldsOf(object: object): string[] {
  return Object.keys(object).filter((key) => !key.startsWith('_') && key !== 'domain');
}

/** `toString`, or `[Symbol.iterator]`. */
function nameOf(key: string | symbol): string {
  // Node's own stand-in, where the engine has no such symbol yet.
  return typeof key === 'string' ? key : `[${key.description?.replace(/^nodejs\./, 'Symbol.')}]`;
}

/** Each method and accessor of a class on an object that is none of its kind, and each read-only one written to. */
export function strayUses(type: Type): { readonly name: string; readonly use: () => unknown }[] {
  const { prototype } = type;
  return Reflect.ownKeys(prototype).flatMap((key) => {
    if (key === 'constructor') return [];
    const { value, get, set } = Object.getOwnPropertyDescriptor(prototype, key) ?? {};
    const name = `${type.name}.${nameOf(key)}`;
    if (value) return [{ name: `${name} without its object`, use: () => value.call({}) }];
    const read = { name: `${name} without its object`, use: () => get?.call({}) };
    if (set) return [read, { name: `${name} = without its object`, use: () => set.call({}, null) }];
    const write = () => {
      (Object.create(prototype) as { [key: string | symbol]: unknown })[key] = null;
    };
    return [read, { name: `${name} = of what can only be read`, use: write }];
  });
}
