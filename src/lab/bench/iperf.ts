/** TCP by iperf3, with cubic at both ends whatever the machine's default is. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { TwillError } from '../../errors.js';
import type { Namespace } from '../namespace.js';
import type { End } from './pods.js';

export interface TcpPlan {
  readonly streams: number;
  readonly isReverse: boolean;
  /** How long, in whole seconds as iperf3 has them; or how much. */
  readonly amount: { readonly seconds: number } | { readonly bytes: number };
}

export interface TcpRun {
  readonly gigabits: number;
  readonly gigabitsPerSecond: number;
  readonly retransmits: number;
}

const LIMIT_MS = 60_000;

/** One client run against a server of its own. */
export async function runIperf(from: End, to: End, plan: TcpPlan, signal: AbortSignal): Promise<TcpRun> {
  const server = to.namespace.spawn('iperf3', ['-s', '-1', '-B', to.address, '--forceflush'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    if (server.stdout === null) throw new TwillError('ERR_TWILL_INTERNAL', 'iperf3 has no output');
    for await (const line of createInterface({ input: server.stdout })) {
      if (line.includes('listening')) break;
    }
    server.stdout.resume();
    const { amount } = plan;
    const length =
      'seconds' in amount ? ['-t', String(amount.seconds)] : ['-n', String(Math.round(amount.bytes))];
    const extra = [...(plan.isReverse ? ['-R'] : []), ...length];
    const argv = ['-c', to.address, '-J', '-C', 'cubic', '-P', String(plan.streams), ...extra];
    const limitMs = LIMIT_MS + ('seconds' in amount ? amount.seconds * 1000 : 0);
    return parseIperf(await output(from.namespace, 'iperf3', argv, limitMs, signal));
  } finally {
    server.kill('SIGKILL');
  }
}

/** Throws with iperf3's own words where it failed. */
export function parseIperf(text: string): TcpRun {
  const { error, end } = JSON.parse(text) as {
    error?: string;
    end?: {
      sum_sent?: { retransmits?: number };
      sum_received?: { bytes: number; bits_per_second: number };
    };
  };
  const received = end?.sum_received;
  if (error !== undefined || !received)
    throw new TwillError('ERR_TWILL_INTERNAL', `iperf3: ${error ?? 'no result'}`);
  return {
    gigabits: (received.bytes * 8) / 1e9,
    gigabitsPerSecond: received.bits_per_second / 1e9,
    retransmits: end?.sum_sent?.retransmits ?? 0,
  };
}

/** What a command prints, whatever its exit code; it is killed when its time is over or `signal` aborts. */
async function output(
  inside: Namespace,
  command: string,
  argv: readonly string[],
  limitMs: number,
  signal: AbortSignal,
): Promise<string> {
  const child = inside.spawn(command, argv, { stdio: ['ignore', 'pipe', 'ignore'] });
  const kill = () => child.kill('SIGKILL');
  const timer = setTimeout(kill, limitMs);
  signal.addEventListener('abort', kill, { once: true });
  try {
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    await once(child, 'close');
    signal.throwIfAborted();
    if (text === '')
      throw new TwillError('ERR_TWILL_INTERNAL', `${command} gave nothing in ${limitMs / 1000} s`);
    return text;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
  }
}
