/** Real traffic between two namespaces, and what became of it. */
import { fileURLToPath } from 'node:url';
import type { PingReport, TcpReport, UdpReceiveReport, UdpSendReport } from '../native/binding.js';
import { LineProcess } from './line-process.js';
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
  return start(from, 'ping', { address, ...options }).next() as Promise<PingReport>;
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
  const port = await portOf(receiver);
  const sender = start(from, 'tcpSend', { ...plan, ...common, port });
  const [sent, received] = (await Promise.all([sender.next(), receiver.next()])) as [TcpReport, TcpReport];
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

/** Numbered datagrams at a rate; `packetsPerSecond` 0: as fast as the system takes them. `begun`: the receiver listens. */
export async function udpFlow(
  from: Namespace,
  to: Namespace,
  address: string,
  plan: { readonly durationMs: number; readonly packetsPerSecond: number; readonly payloadBytes: number },
  begun: () => void = () => {},
): Promise<UdpFlow> {
  const receiver = start(to, 'udpReceive', {
    address,
    port: 0,
    // Only where the sender's word that it has ended is lost.
    quietMs: 10_000,
    timeoutMs: plan.durationMs + 30_000,
  });
  const port = await portOf(receiver);
  begun();
  const sender = start(from, 'udpSend', { address, port, ...plan });
  const [sent, received] = (await Promise.all([sender.next(), receiver.next()])) as [
    UdpSendReport,
    UdpReceiveReport,
  ];
  return { sent, received, lost: sent.sent - sent.refused - received.received };
}

function start(inside: Namespace, name: string, options: object): LineProcess {
  return new LineProcess(inside, tool, [name, JSON.stringify(options)]);
}

/** Of a receiver, once it listens. */
async function portOf(receiver: LineProcess): Promise<number> {
  return ((await receiver.next()) as { port: number }).port;
}
