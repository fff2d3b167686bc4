/** A steady flow of datagrams that must not lose any, whatever goes on beside it. */
import assert from 'node:assert/strict';
import type { Namespace } from '../../src/lab/namespace.js';
import { type UdpFlow, udpFlow } from '../../src/lab/traffic.js';

/** Datagrams a second. */
export const RATE = 2000;

export function flow(from: Namespace, to: Namespace, address: string, durationMs: number): Promise<UdpFlow> {
  return udpFlow(from, to, address, { durationMs, packetsPerSecond: RATE, payloadBytes: 400 });
}

/** Flow after flow, none of which loses anything, until `work` is done. */
export async function flowing(
  from: Namespace,
  to: Namespace,
  address: string,
  work: () => Promise<void>,
): Promise<void> {
  let isDone = false;
  const done = work().finally(() => {
    isDone = true;
  });
  // It is awaited below, after the flow that ran when it failed.
  done.catch(() => {});
  while (!isDone) assertWhole(await flow(from, to, address, 1500), RATE);
  await done;
}

export function assertWhole({ sent, received, lost }: UdpFlow, leastSent: number): void {
  assert.deepEqual(
    { lost, refused: sent.refused, duplicated: received.duplicated, reordered: received.reordered },
    { lost: 0, refused: 0, duplicated: 0, reordered: 0 },
  );
  assert.ok(sent.sent >= leastSent, `only ${sent.sent} sent`);
}
