/** Counters of a plane that outlives its engines. */
import type { DirectionStats, PlaneStats } from './plane.js';

/** What all engines did, together with the state of the last. `received = delivered + sum of drops` is kept. */
export function addStats(past: PlaneStats | null, now: PlaneStats): PlaneStats {
  if (!past) return now;
  return {
    ...now,
    encap: addDirection(past.encap, now.encap),
    decap: addDirection(past.decap, now.decap),
    icmpSent: past.icmpSent + now.icmpSent,
    icmpSuppressed: past.icmpSuppressed + now.icmpSuppressed,
    generation: past.generation + now.generation,
  };
}

function addDirection(past: DirectionStats, now: DirectionStats): DirectionStats {
  const drops = Object.entries(now.drops).map(([reason, count]) => [
    reason,
    count + (past.drops[reason] ?? 0),
  ]);
  return {
    received: past.received + now.received,
    receivedBytes: past.receivedBytes + now.receivedBytes,
    delivered: past.delivered + now.delivered,
    deliveredBytes: past.deliveredBytes + now.deliveredBytes,
    drops: Object.fromEntries(drops),
  };
}
