/** Which systems this machine has. */
import type { BenchResult } from './result.js';
import { type System, systems } from './systems.js';

export interface Choice {
  readonly systems: readonly System[];
  readonly absent: BenchResult['absent'];
}

export async function chooseAll(withPeers: boolean): Promise<Choice> {
  if (!withPeers) return { systems, absent: [] };
  return { systems, absent: [] };
}
