/** What the commands that ask a running agent have in common. */
import { type FlagSpec, type FlagValue, flagHelp, parseFlags } from '../config/flags.js';
import { DEFAULT_CONTROL_SOCKET } from '../config/run-options.js';
import { TwillError } from '../errors.js';
import type { Json } from '../net/json.js';
import { controlRequest } from '../observe/control-socket.js';
import type { CommandIo } from './command.js';

export const controlFlags: FlagSpec[] = [
  {
    name: 'control-socket',
    kind: 'string',
    default: DEFAULT_CONTROL_SOCKET,
    help: 'socket of the agent to ask',
  },
  { name: 'json', kind: 'boolean', default: false, help: 'print one JSON value', env: false },
];

export interface Query {
  readonly socket: string;
  readonly isJson: boolean;
  readonly positional: readonly string[];
  /** Of all flags. */
  readonly values: { readonly [name: string]: FlagValue };
}

/** Throws ERR_TWILL_USAGE unless there are exactly as many positional arguments as names. */
export function parseQuery(
  argv: readonly string[],
  io: CommandIo,
  names: readonly string[],
  specs: readonly FlagSpec[] = controlFlags,
): Query {
  const { values, positional } = parseFlags(specs, [...argv], io.env);
  if (positional.length > names.length) {
    throw new TwillError('ERR_TWILL_USAGE', `unexpected argument: ${positional[names.length]}`);
  }
  const missing = names[positional.length];
  if (missing !== undefined) throw new TwillError('ERR_TWILL_USAGE', `missing argument: ${missing}`);
  return { socket: String(values['control-socket']), isJson: values['json'] === true, positional, values };
}

/** Asks, then prints either the JSON or the lines that `render` makes of it. */
export async function answer(
  query: Query,
  io: CommandIo,
  method: string,
  params: Json,
  render: (result: Json) => readonly string[],
): Promise<void> {
  const result = await controlRequest(query.socket, method, params);
  const lines = query.isJson ? [JSON.stringify(result, null, 2)] : render(result);
  for (const line of lines) io.stdout(line);
}

/** `more`: paragraphs below the flags. */
export function usageText(
  synopsis: string,
  about: readonly string[],
  specs: readonly FlagSpec[],
  ...more: readonly string[]
): string {
  const flags = ['Flags:', flagHelp([...specs]).trimEnd()];
  return [`Usage: ${synopsis}`, '', ...about, '', ...flags, ...more.flatMap((text) => ['', text])].join('\n');
}

/** Reads one field of an answer; an agent of another version may lack it. */
export function field(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let at: Json | undefined = value;
  for (const name of path) {
    if (at === null || typeof at !== 'object' || Array.isArray(at) || !Object.hasOwn(at, name))
      return undefined;
    at = at[name];
  }
  return at;
}

export function items(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}
