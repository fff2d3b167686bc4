/**
 * JSON as Go's encoding/json reads and writes it, since that is what wrote most records we read: field names match in
 * any case, `null` leaves a default, and `<`, `>`, `&` leave as escapes. Text from a store is hostile until proven
 * otherwise: length and depth are bounded before anything is built from it.
 */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** Far beyond any record or configuration; a larger text is a mistake or an attack. */
export const LONGEST_JSON_CHARS = 256 * 1024;
const DEEPEST_NESTING = 32;

/** The object that the text is. Throws Error with the reason in one line. */
export function parseJsonObject(text: string): JsonObject {
  if (text.length > LONGEST_JSON_CHARS) throw new Error(`longer than ${LONGEST_JSON_CHARS} characters`);
  if (text.trim() === '') throw new Error('it is empty');
  if (nesting(text) > DEEPEST_NESTING) throw new Error(`nested deeper than ${DEEPEST_NESTING} levels`);
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    throw new Error(`not JSON: ${(cause as Error).message.replace(/\s+/g, ' ')}`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new Error(`not a JSON object but ${jsonKind(value)}`);
  }
  return value;
}

/** The value of a field in any case, as Go finds it: the last one wins; undefined where it is absent. */
export function field(object: JsonObject, name: string): Json | undefined {
  const wanted = name.toLowerCase();
  let found: Json | undefined;
  for (const [key, value] of Object.entries(object)) if (key.toLowerCase() === wanted) found = value;
  return found;
}

/** Compact, with the escapes of Go's json.Marshal. */
export function goJson(value: Json | undefined): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** `a string`, `null`, ...: for messages. */
export function jsonKind(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Deepest nesting of brackets outside strings; a linear scan that builds nothing. */
function nesting(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === '\\') at += 1;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') deepest = Math.max(deepest, ++depth);
    else if (char === '}' || char === ']') depth -= 1;
  }
  return deepest;
}
