/** What the kernel counts on our vxlan devices, over the life of the plane: a device that is made anew begins at zero. */
import { type LinkCounters, netlink } from '../../native/netlink.js';
import type { DirectionStats } from '../plane.js';

type Counts = { -readonly [name in keyof LinkCounters]: number };

export interface LinkStats {
  readonly encap: DirectionStats;
  readonly decap: DirectionStats;
}

export class LinkTally {
  readonly #total: Counts = zeros();
  /** As last read, by index. */
  readonly #last = new Map<number, LinkCounters>();

  /** Counts from now on. */
  follow(index: number): void {
    const now = countersOf(index);
    if (now) this.#last.set(index, now);
  }

  read(indexes: readonly number[]): LinkStats {
    for (const index of indexes) {
      const now = countersOf(index);
      if (!now) continue;
      const before = this.#last.get(index) ?? zeros();
      for (const name of Object.keys(this.#total) as (keyof Counts)[]) {
        // Less than before: another device with the same number.
        this.#total[name] += now[name] >= before[name] ? now[name] - before[name] : now[name];
      }
      this.#last.set(index, now);
    }
    const { rxPackets, rxBytes, rxErrors, rxDropped, txPackets, txBytes, txErrors, txDropped } = this.#total;
    return {
      encap: direction(txPackets, txBytes, { kernel_dropped: txDropped, kernel_error: txErrors }),
      decap: direction(rxPackets, rxBytes, { kernel_dropped: rxDropped, kernel_error: rxErrors }),
    };
  }
}

/** The kernel tells what it delivered and what it dropped, and of the latter no bytes. */
function direction(
  packets: number,
  bytes: number,
  drops: { readonly [reason: string]: number },
): DirectionStats {
  const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0);
  return {
    ...{ received: packets + dropped, receivedBytes: bytes },
    ...{ delivered: packets, deliveredBytes: bytes, drops },
  };
}

function countersOf(index: number): LinkCounters | null {
  try {
    return netlink.linkCounters(index);
  } catch {
    // It is gone; the next look finds that.
    return null;
  }
}

function zeros(): Counts {
  return {
    ...{ rxPackets: 0, rxBytes: 0, rxErrors: 0, rxDropped: 0 },
    ...{ txPackets: 0, txBytes: 0, txErrors: 0, txDropped: 0 },
  };
}
