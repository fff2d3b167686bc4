/**
 * One run of the demo: two namespaces joined by a veth pair, an overlay between them, real traffic over it.
 *
 *   vxlan, udp   an agent in each, on one directory store
 *   mixed        an agent facing the kernel's vxlan device; each knows the other from a lease
 *   kernel       the kernel's vxlan device in each: what the others are compared with
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TwillError } from '../errors.js';
import { CleanUp } from './bench/clean-up.js';
import { type End, nodeEnds } from './bench/pods.js';
import { quantile } from './bench/statistics.js';
import { systemNamed } from './bench/systems.js';
import { makeBed } from './bench/underlay.js';
import { ping, tcpBulk, udpFlow } from './traffic.js';

export type DemoEncap = 'vxlan' | 'udp' | 'mixed' | 'kernel';

export interface DemoFigures {
  readonly encap: DemoEncap;
  /** Of all pings and of a UDP flow at `PACED_PACKETS_PER_SECOND`, both ways. */
  readonly lossPercent: number;
  readonly rttMicros: { readonly p50: number; readonly p99: number };
  /** One stream, the mean of both ways. */
  readonly tcpGbps: number;
  /** Datagrams of 64 bytes that arrive when one sender sends as fast as it can. */
  readonly packetsPerSecond: number;
  /** `received = delivered + drops` on every agent; null where there is none. */
  readonly identity: boolean | null;
}

export interface DemoPlan {
  readonly encap: DemoEncap;
  readonly secondsPerMeasurement: number;
  readonly signal: AbortSignal;
  readonly progress: (what: string) => void;
}

export const PACED_PACKETS_PER_SECOND = 2000;

const systemOf: { readonly [encap in DemoEncap]: string } = {
  ...{ vxlan: 'twill-vxlan', udp: 'twill-udp', mixed: 'twill-to-kernel', kernel: 'kernel' },
};

/** Builds, measures, and removes all that it made, also when it fails or is aborted. */
export async function demoRun(plan: DemoPlan): Promise<DemoFigures> {
  const cleanUp = new CleanUp();
  try {
    const directory = await mkdtemp(join(tmpdir(), 'twill-demo-'));
    cleanUp.add(() => rm(directory, { recursive: true, force: true }));
    plan.signal.throwIfAborted();
    const bed = await makeBed('veth', cleanUp);
    const overlay = await systemNamed(systemOf[plan.encap]).start({
      bed,
      directory,
      cleanUp,
      signal: plan.signal,
    });
    const [left, right] = nodeEnds(bed, overlay);
    plan.progress(`${left.address} <-> ${right.address}`);
    const figures = await measure(plan, left, right);
    const statuses = await Promise.all((overlay.agents ?? []).map((agent) => agent.status()));
    const identity =
      statuses.length === 0
        ? null
        : statuses.every((status) => status.identity.encap && status.identity.decap);
    return { encap: plan.encap, ...figures, identity };
  } catch (error) {
    plan.signal.throwIfAborted();
    throw error;
  } finally {
    await cleanUp.run();
  }
}

async function measure(
  { secondsPerMeasurement, signal, progress, encap }: DemoPlan,
  left: End,
  right: End,
): Promise<Omit<DemoFigures, 'encap' | 'identity'>> {
  const ways = [
    { from: left, to: right },
    { from: right, to: left },
  ];
  const durationMs = Math.max(Math.round(secondsPerMeasurement * 1000), 100);
  let sent = 0;
  let lost = 0;
  const rtts: number[] = [];
  // The first packet of a pair pays for neighbour entries and caches.
  for (const { from, to } of ways) await ping(from.namespace, to.address, { count: 20 });
  for (const { from, to } of ways) {
    signal.throwIfAborted();
    progress('ping');
    const report = await ping(from.namespace, to.address, {
      count: Math.min(Math.round(durationMs / 2), 5000),
    });
    sent += report.sent;
    lost += report.sent - report.received;
    rtts.push(...report.rttMicros);
  }
  for (const { from, to } of ways) {
    signal.throwIfAborted();
    progress(`UDP, ${PACED_PACKETS_PER_SECOND} packets a second`);
    const flow = await udpFlow(from.namespace, to.namespace, to.address, {
      ...{ durationMs, packetsPerSecond: PACED_PACKETS_PER_SECOND, payloadBytes: 1000 },
    });
    sent += flow.sent.sent;
    lost += flow.lost + flow.sent.refused;
  }
  let gigabits = 0;
  for (const { from, to } of ways) {
    signal.throwIfAborted();
    progress('TCP bulk');
    const bulk = await tcpBulk(from.namespace, to.namespace, to.address, { durationMs });
    if (!bulk.intact) throw new TwillError('ERR_TWILL_INTERNAL', `${encap}: TCP bytes arrived changed`);
    gigabits += bulk.gigabitsPerSecond / ways.length;
  }
  signal.throwIfAborted();
  progress('UDP, as fast as it goes');
  const flood = await udpFlow(left.namespace, right.namespace, right.address, {
    ...{ durationMs, packetsPerSecond: 0, payloadBytes: 64 },
  });
  rtts.sort((a, b) => a - b);
  return {
    lossPercent: sent === 0 ? 100 : (100 * lost) / sent,
    rttMicros: { p50: quantile(rtts, 0.5), p99: quantile(rtts, 0.99) },
    tcpGbps: gigabits,
    packetsPerSecond: flood.received.seconds > 0 ? flood.received.received / flood.received.seconds : 0,
  };
}
