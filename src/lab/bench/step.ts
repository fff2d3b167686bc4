/** One step of one system: runs the traffic and returns a value for each of its measures. */
import { ping } from '../traffic.js';
import { runIperf, type TcpPlan } from './iperf.js';
import { busySeconds } from './machine.js';
import { percentiles, type RttStep, type Step, type TcpStep, type UdpStep } from './measures.js';
import type { Lengths } from './plan.js';
import type { End } from './pods.js';
import { quantile } from './statistics.js';
import type { Overlay } from './systems.js';
import { measureUdpRate } from './udp-rate.js';
import { type Bed, crossed } from './underlay.js';

export interface RunningSystem {
  readonly bed: Bed;
  readonly overlay: Overlay;
  readonly ends: readonly [End, End];
}

export interface StepSettings {
  readonly lengths: Lengths;
  /** To be taken off what the machine did. */
  readonly idleProcessors: number;
  readonly signal: AbortSignal;
}

type Values = { readonly [what: string]: number };

const IP_AND_UDP_BYTES = 28;
const PING_INTERVAL_MICROS = 1000;
/** What a run by amount carries first, to learn the speed. */
const FIRST_BYTES = 16_000_000;

export async function runStep(running: RunningSystem, step: Step, settings: StepSettings): Promise<Values> {
  switch (step.kind) {
    case 'tcp':
      return tcp(running, step, settings);
    case 'udp':
      return udp(running, step, settings);
    case 'rtt':
      return rtt(running, step, settings);
  }
}

/** Gbit/s of earlier runs by amount, to know how much the next may take. */
const speeds = new WeakMap<RunningSystem, Map<string, number>>();

async function amountOf(
  running: RunningSystem,
  step: TcpStep,
  { lengths, signal }: StepSettings,
): Promise<TcpPlan['amount']> {
  if ('seconds' in lengths.tcp) return { seconds: lengths.tcp.seconds };
  const known = speeds.get(running) ?? new Map<string, number>();
  speeds.set(running, known);
  const first = async () => runIperf(...running.ends, { ...step, amount: { bytes: FIRST_BYTES } }, signal);
  const speed = known.get(speedKey(step)) ?? (await first()).gigabitsPerSecond;
  return { bytes: Math.max((speed * 1e9 * lengths.tcp.aboutSeconds) / 8, 1e6) };
}

function speedKey({ streams, isReverse }: TcpStep): string {
  return `${streams} ${isReverse}`;
}

async function tcp(running: RunningSystem, step: TcpStep, settings: StepSettings): Promise<Values> {
  const receiver = running.bed.nodes[step.isReverse ? 0 : 1];
  const amount = await amountOf(running, step, settings);
  const before = await crossed(receiver);
  const [busy, startMs] = [await busySeconds(), performance.now()];
  const run = await runIperf(...running.ends, { ...step, amount }, settings.signal);
  const elapsedSeconds = (performance.now() - startMs) / 1000;
  const worked = (await busySeconds()) - busy - settings.idleProcessors * elapsedSeconds;
  const after = await crossed(receiver);
  speeds.get(running)?.set(speedKey(step), run.gigabitsPerSecond);
  return {
    rate: run.gigabitsPerSecond,
    // Others that went to sleep since make it negative: then it says nothing.
    cpu: worked > 0 ? worked / run.gigabits : Number.NaN,
    wire: (after.bytes - before.bytes) / (after.packets - before.packets),
  };
}

async function udp(
  running: RunningSystem,
  step: UdpStep,
  { lengths, signal }: StepSettings,
): Promise<Values> {
  const payloadBytes = step.payloadBytes ?? running.overlay.mtuBytes - IP_AND_UDP_BYTES;
  const plan = { payloadBytes, ...lengths };
  const { overload, lossFree } = await measureUdpRate(...running.ends, plan, signal);
  return {
    'loss-free': lossFree.packetsPerSecond,
    overload: overload.receivedPerSecond,
    offered: overload.offeredPerSecond,
    'sender-limited': lossFree.isSenderLimited ? 1 : 0,
  };
}

async function rtt(running: RunningSystem, step: RttStep, settings: StepSettings): Promise<Values> {
  const [from, to] = running.ends;
  const { pings, tcp: length } = settings.lengths;
  const pingFor = (count: number) =>
    ping(from.namespace, to.address, { count, intervalMicros: PING_INTERVAL_MICROS });
  if (!step.isLoaded) return percentileValues((await pingFor(pings)).rttMicros);
  const seconds = 'seconds' in length ? length.seconds : 1;
  const load = runIperf(from, to, { streams: 1, isReverse: false, amount: { seconds } }, settings.signal);
  // Pings end before the load does: the tool takes a moment to start.
  const [report] = await Promise.all([pingFor(Math.round(seconds * 600)), load]);
  return percentileValues(report.rttMicros);
}

function percentileValues(rttMicros: readonly number[]): Values {
  const sorted = [...rttMicros].sort((a, b) => a - b);
  return Object.fromEntries(percentiles.map((percent) => [`p${percent}`, quantile(sorted, percent / 100)]));
}
