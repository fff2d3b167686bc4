/** Packets per second from one end to the other, with a sender and a receiver of ours that stay alive between trials. */
import { fileURLToPath } from 'node:url';
import type { UdpReceiveReport, UdpSendReport } from '../../native/binding.js';
import { LineProcess } from '../line-process.js';
import type { End } from './pods.js';
import { findLossFreeRate, type LossFreeRate, type Trial } from './rate-search.js';

const tool = fileURLToPath(new URL('../traffic-tool.js', import.meta.url));
/** The receiver takes a silence of this length for the end. */
const QUIET_MS = 60;

export interface UdpRatePlan {
  readonly payloadBytes: number;
  readonly overloadMs: number;
  readonly trialMs: number;
  readonly maxTrials: number;
}

export interface UdpRate {
  readonly overload: Trial;
  readonly lossFree: LossFreeRate;
}

export async function measureUdpRate(
  from: End,
  to: End,
  plan: UdpRatePlan,
  signal: AbortSignal,
): Promise<UdpRate> {
  const receiver = new LineProcess(to.namespace, tool, ['udpReceive']);
  const sender = new LineProcess(from.namespace, tool, ['udpSend']);
  try {
    const trial = async (packetsPerSecond: number, durationMs: number): Promise<Trial> => {
      signal.throwIfAborted();
      receiver.send({ address: to.address, port: 0, quietMs: QUIET_MS, timeoutMs: durationMs + 2000 });
      const { port } = (await receiver.next()) as { port: number };
      sender.send({
        address: to.address,
        port,
        durationMs,
        packetsPerSecond,
        payloadBytes: plan.payloadBytes,
      });
      const [sent, received] = (await Promise.all([sender.next(), receiver.next()])) as [
        UdpSendReport,
        UdpReceiveReport,
      ];
      return {
        offeredPerSecond: sent.sent / sent.seconds,
        receivedPerSecond: received.seconds > 0 ? received.received / received.seconds : 0,
        // What our own system refused to take counts too.
        lost: sent.sent - received.received,
      };
    };
    // The first packets pay for caches and for the processes' own start.
    await trial(1000, 20);
    const overload = await trial(0, plan.overloadMs);
    const search = (packetsPerSecond: number) => trial(Math.round(packetsPerSecond), plan.trialMs);
    return { overload, lossFree: await findLossFreeRate(overload, search, plan.maxTrials) };
  } finally {
    await Promise.all([sender.end(), receiver.end()]);
  }
}
