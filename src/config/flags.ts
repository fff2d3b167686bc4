/**
 * Flags as Go programs take them, since flannel's operators have them in their manifests: one or two dashes, `-f=v` or
 * `-f v`, a switch as `--b` or `--b=false`. Each can also come from the environment. What Go lets slip (an unknown
 * flag, or `--b false`, which ends the parsing) is an error here.
 */
import { TwillError } from '../errors.js';

export type FlagKind = 'string' | 'integer' | 'boolean' | 'list' | 'choice';
export type FlagValue = string | number | boolean | readonly string[];

export interface FlagSpec {
  /** Without dashes. */
  readonly name: string;
  readonly kind: FlagKind;
  readonly default: FlagValue;
  readonly choices?: readonly string[];
  /** Bounds of an integer, both allowed. */
  readonly min?: number;
  readonly max?: number;
  readonly help: string;
  /** May come from TWILL_<NAME> or FLANNELD_<NAME>. Default true. */
  readonly env?: boolean;
}

export function textFlag(name: string, byDefault: string, help: string): FlagSpec {
  return { name, kind: 'string', default: byDefault, help };
}

export function switchFlag(name: string, byDefault: boolean, help: string): FlagSpec {
  return { name, kind: 'boolean', default: byDefault, help };
}

export interface ParsedFlags {
  /** A value for each flag. */
  readonly values: { readonly [name: string]: FlagValue };
  /** Names that were given, on the command line or by the environment. */
  readonly given: ReadonlySet<string>;
  readonly positional: readonly string[];
}

/** Throws ERR_TWILL_USAGE in one line that names the flag, the value and what would be right. */
export function parseFlags(
  specs: readonly FlagSpec[],
  argv: readonly string[],
  env: { readonly [name: string]: string | undefined },
): ParsedFlags {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  const values = new Map<string, FlagValue>();
  const positional: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const token = argv[at] ?? '';
    if (token === '--') {
      positional.push(...argv.slice(at + 1));
      break;
    }
    const match = /^--?([^=]+)(?:=([\s\S]*))?$/.exec(token);
    if (!token.startsWith('-') || token === '-' || !match) {
      positional.push(token);
      continue;
    }
    const [, name = '', inline] = match;
    const spec = byName.get(name);
    if (!spec) throw unknownFlag(name, specs);
    const next = argv[at + 1];
    let text = inline;
    if (spec.kind === 'boolean') {
      if (inline === undefined && /^(true|false)$/i.test(next ?? '')) {
        throw usage(`"--${name} ${next}" is not how a switch is set: write --${name}=${next}`);
      }
      text ??= 'true';
    } else if (text === undefined) {
      if (next === undefined) throw usage(`--${name} needs a value: write --${name}=VALUE`);
      text = next;
      at += 1;
    }
    const value = parsedValue(spec, text, `--${name}`);
    const before = values.get(name);
    values.set(name, spec.kind === 'list' && Array.isArray(before) ? [...before, text] : value);
  }
  for (const spec of specs) {
    if (values.has(spec.name) || spec.env === false) continue;
    const found = environmentNames(spec).find((name) => env[name] !== undefined && env[name] !== '');
    if (found !== undefined) values.set(spec.name, parsedValue(spec, env[found] ?? '', found));
  }
  const given = new Set(values.keys());
  for (const spec of specs) if (!values.has(spec.name)) values.set(spec.name, spec.default);
  return { values: Object.fromEntries(values), given, positional };
}

/** Ours first, then flannel's. */
function environmentNames({ name }: FlagSpec): string[] {
  const upper = name.toUpperCase().replaceAll('-', '_');
  return [`TWILL_${upper}`, `FLANNELD_${upper}`];
}

function parsedValue(spec: FlagSpec, text: string, origin: string): FlagValue {
  const wrong = (fix: string) => usage(`${origin}=${JSON.stringify(text.slice(0, 80))} is wrong: ${fix}`);
  switch (spec.kind) {
    case 'boolean':
      // The spellings of Go's strconv.ParseBool.
      if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
      if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
      throw wrong('write true or false');
    case 'integer': {
      const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = spec;
      const value = Number(text);
      if (!/^-?\d{1,15}$/.test(text) || value < min || value > max) {
        throw wrong(`write an integer from ${min} to ${max}`);
      }
      return value;
    }
    case 'choice':
      if (spec.choices?.includes(text)) return text;
      throw wrong(`write one of ${spec.choices?.join(', ')}`);
    case 'list':
      return [text];
    case 'string':
      return text;
  }
}

/** One paragraph for each flag: name with kind, what it does, default. */
export function flagHelp(specs: readonly FlagSpec[]): string {
  const placeholder = { string: '=TEXT', integer: '=NUMBER', boolean: '', list: '=TEXT' } as const;
  return specs
    .map((spec) => {
      const shape = spec.kind === 'choice' ? `=${spec.choices?.join('|')}` : placeholder[spec.kind];
      const isShown = spec.default !== '' && spec.default !== false && !Array.isArray(spec.default);
      return `  --${spec.name}${shape}\n        ${spec.help}${isShown ? ` (default ${spec.default})` : ''}`;
    })
    .join('\n');
}

function unknownFlag(name: string, specs: readonly FlagSpec[]): TwillError {
  const near = specs
    .map((spec) => ({ name: spec.name, distance: editDistance(name, spec.name) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const hint = near && near.distance <= Math.max(2, name.length / 4) ? `: did you mean --${near.name}?` : '';
  return usage(`unknown flag --${name}${hint}`);
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function usage(message: string): TwillError {
  return new TwillError('ERR_TWILL_USAGE', message);
}
