/** Real traffic between two namespaces, and what became of it. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { TwillError } from '../errors.js';
import type { PingReport, TcpReport, UdpReceiveReport, UdpSendReport } from '../native/binding.js';
import type { Namespace } from './namespace.js';

const tool = fileURLToPath(new URL('traffic-tool.js', import.meta.url));

export interface PingPlan {
  readonly count: number;
  readonly intervalMicros?: number;
  readonly payloadBytes?: number;
}

/** Echo requests from a namespace to an address. */
export function ping(from: Namespace, address: string, plan: PingPlan): Promise<PingReport> {
  const options = { intervalMicros: 1000, payloadBytes: 56, timeoutMs: 10_000, ...plan };
  return start(from, 'ping', { address, ...options }).report() as Promise<PingReport>;
}

export interface Bulk {
  readonly sent: TcpReport;
  readonly received: TcpReport;
  /** Every byte arrived, unchanged and in order. */
  readonly intact: boolean;
  readonly gigabitsPerSecond: number;
}

/** TCP from one namespace to an address of another, for a time or a number of bytes of each stream. */
export async function tcpBulk(
  from: Namespace,
  to: Namespace,
  address: string,
  plan: { readonly durationMs?: number; readonly bytes?: number; readonly streams?: number },
): Promise<Bulk> {
  const common = { address, streams: plan.streams ?? 1, timeoutMs: (plan.durationMs ?? 0) + 30_000 };
  const receiver = start(to, 'tcpReceive', { ...common, port: 0 });
  const port = await receiver.port();
  const sender = start(from, 'tcpSend', { ...plan, ...common, port });
  const [sent, received] = (await Promise.all([sender.report(), receiver.report()])) as [
    TcpReport,
    TcpReport,
  ];
  const intact =
    sent.streams.length === received.streams.length &&
    sent.streams.every((stream, i) => stream.complete && stream.hash === received.streams[i]?.hash);
  return { sent, received, intact, gigabitsPerSecond: (received.bytes * 8) / received.seconds / 1e9 };
}

export interface UdpFlow {
  readonly sent: UdpSendReport;
  readonly received: UdpReceiveReport;
  /** Datagrams that were on the way and did not arrive. */
  readonly lost: number;
}

/** Numbered datagrams at a rate; `packetsPerSecond` 0: as fast as the system takes them. */
export async function udpFlow(
  from: Namespace,
  to: Namespace,
  address: string,
  plan: { readonly durationMs: number; readonly packetsPerSecond: number; readonly payloadBytes: number },
): Promise<UdpFlow> {
  const receiver = start(to, 'udpReceive', {
    address,
    port: 0,
    // Only where the sender's word that it has ended is lost.
    quietMs: 10_000,
    timeoutMs: plan.durationMs + 30_000,
  });
  const port = await receiver.port();
  const sender = start(from, 'udpSend', { address, port, ...plan });
  const [sent, received] = (await Promise.all([sender.report(), receiver.report()])) as [
    UdpSendReport,
    UdpReceiveReport,
  ];
  return { sent, received, lost: sent.sent - sent.refused - received.received };
}

interface Tool {
  /** Of a receiver, once it listens. */
  port(): Promise<number>;
  report(): Promise<unknown>;
}

function start(inside: Namespace, name: string, options: object): Tool {
  const child = inside.spawn(process.execPath, [tool, name, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines = readLines(child);
  const next = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (!done) return JSON.parse(value);
    const why = await failure(child);
    throw new TwillError('ERR_TWILL_INTERNAL', `${name} in namespace ${inside.label}: ${why}`);
  };
  return { report: next, port: async () => ((await next()) as { port: number }).port };
}

const stderrOf = new WeakMap<ChildProcess, { text: string }>();

async function* readLines(child: ChildProcess): AsyncGenerator<string, void> {
  const errors = { text: '' };
  stderrOf.set(child, errors);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors.text += text;
  });
  if (child.stdout) yield* createInterface({ input: child.stdout });
}

async function failure(child: ChildProcess): Promise<string> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  return stderrOf.get(child)?.text.trim() || `ended by ${child.signalCode ?? child.exitCode}`;
}
