/** `twill top`: what passes through the agent on this node, live. */
import { randomUUID } from 'node:crypto';
import type { FlagSpec } from '../config/flags.js';
import type { Json } from '../net/json.js';
import { controlRequest } from '../observe/control-socket.js';
import { type Command, type CommandIo, exitCode } from './command.js';
import { controlFlags, parseQuery, usageText } from './control.js';
import { processTerminal, type Terminal } from './terminal.js';
import { renderTop, type TopView } from './top-screen.js';

const ORDERS = ['bytes', 'packets', 'drops', 'subnet'] as const;
type Order = (typeof ORDERS)[number];

const topFlags: FlagSpec[] = [
  ...controlFlags,
  {
    ...{ name: 'once', kind: 'boolean', default: false, env: false },
    help: 'print one look at an interval and end',
  },
  {
    ...{ name: 'interval', kind: 'integer', default: 1, min: 1, max: 60, env: false },
    help: 'seconds between two looks',
  },
  {
    ...{ name: 'sort', kind: 'choice', default: 'bytes', choices: [...ORDERS], env: false },
    help: 'what comes first',
  },
  {
    ...{ name: 'limit', kind: 'integer', default: 20, min: 1, max: 1000, env: false },
    help: 'how many peers at most, with --once and --json',
  },
];

export const topCommand: Command = {
  name: 'top',
  summary: 'show throughput, packet rates and drops, peer by peer, live',
  usage: usageText(
    'twill top [flags]',
    [
      'Asks the running agent each second. q ends it, s sorts by something else, p holds the picture. Without a',
      'terminal, and with --once or --json, one look is printed: what passed within an interval.',
    ],
    topFlags,
  ),
  run: (argv, io) => runTop(argv, io, processTerminal()),
};

interface Wanted {
  readonly socket: string;
  readonly intervalMs: number;
  readonly order: Order;
  readonly limit: number;
}

export async function runTop(
  argv: readonly string[],
  io: CommandIo,
  terminal: Terminal | null,
): Promise<number> {
  const query = parseQuery(argv, io, [], topFlags);
  const wanted: Wanted = {
    socket: query.socket,
    intervalMs: Number(query.values['interval']) * 1000,
    order: query.values['sort'] as Order,
    limit: Number(query.values['limit']),
  };
  const session = randomUUID();
  const look = (order: Order, limit: number) =>
    controlRequest(wanted.socket, 'traffic', { session, order, limit });
  // Where nobody answers, the terminal is left alone.
  const first = await look(wanted.order, wanted.limit);
  if (terminal && !query.isJson && query.values['once'] !== true) {
    await live(terminal, io, wanted, first, look);
    return exitCode.done;
  }
  await pause(wanted.intervalMs, io.signal);
  if (io.signal.aborted) return exitCode.done;
  const traffic = await look(wanted.order, wanted.limit);
  const view = {
    ...{ order: wanted.order, isPaused: false, trouble: null, isLive: false },
    ...{ columns: Number.POSITIVE_INFINITY, rows: null, isColoured: false },
  };
  const lines = query.isJson ? [JSON.stringify(traffic, null, 2)] : renderTop(traffic, view);
  for (const line of lines) io.stdout(line);
  return exitCode.done;
}

async function live(
  terminal: Terminal,
  io: CommandIo,
  wanted: Wanted,
  first: Json,
  look: (order: Order, limit: number) => Promise<Json>,
): Promise<void> {
  const isColoured = (io.env['NO_COLOR'] ?? '') === '';
  const ending = new AbortController();
  const signal = AbortSignal.any([io.signal, ending.signal]);
  let wake = () => {};
  let shown = first;
  let trouble: string | null = null;
  let order = wanted.order;
  let isPaused = false;
  const screen = terminal.open(
    (key) => {
      // Ctrl-C and Ctrl-D come as keys.
      if (key === 'q' || key === 'Q' || key === '\x03' || key === '\x04') ending.abort();
      else if (key === 's' && !isPaused)
        order = ORDERS[(ORDERS.indexOf(order) + 1) % ORDERS.length] ?? 'bytes';
      else if (key === 'p' || key === ' ') isPaused = !isPaused;
      else return;
      wake();
    },
    () => draw(),
  );
  const draw = () => {
    const { columns, rows } = screen.size();
    const view: TopView = { order, isPaused, trouble, isLive: true, isColoured, columns, rows };
    screen.draw(renderTop(shown, view));
  };
  try {
    while (!signal.aborted) {
      draw();
      const woken = new AbortController();
      wake = () => woken.abort();
      await pause(wanted.intervalMs, AbortSignal.any([signal, woken.signal]));
      if (signal.aborted || isPaused) continue;
      try {
        shown = await look(order, Math.min(Math.max(screen.size().rows, 1), 1000));
        trouble = null;
      } catch (error) {
        trouble = (error as Error).message;
      }
    }
  } finally {
    screen.close();
  }
}

function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, durationMs);
    signal.addEventListener('abort', done);
  });
}
