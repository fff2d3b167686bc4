/**
 * --ip-blackhole-route: packets for our subnet and for no pod in it are dropped here, not sent in a circle. Meant for CNI
 * plugins that give each pod a route of its own and the node no bridge. The metric is higher than that of a bridge's route, so
 * that the two do not fight over the subnet.
 */
import type { LeaseSubnets } from '../lease/lease.js';
import type { Netlink } from '../native/netlink.js';
import type { Prefix } from '../net/prefix.js';
import type { Logger } from '../observe/log.js';
import type { Clock } from './clock.js';

export interface BlackholeKeeperParts {
  readonly netlink: Pick<Netlink, 'routes' | 'blackholeAdd' | 'blackholeDelete'>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly isWanted: boolean;
  readonly subnets: LeaseSubnets;
  /** Of an earlier run: a route for them would swallow what is for the node that has them now. */
  readonly earlier: LeaseSubnets;
  /** Between two looks, the first of which comes after as long, as with flannel. */
  readonly resyncMs: number;
}

const RTN_BLACKHOLE = 6;
const RT_TABLE_MAIN = 254;
const METRIC = 4096;

export class BlackholeKeeper {
  readonly #parts: BlackholeKeeperParts;
  /** What was said of each subnet last. */
  readonly #failures = new Map<Prefix, string>();

  constructor(parts: BlackholeKeeperParts) {
    this.#parts = parts;
  }

  /** Until `signal` aborts. The route stays, as with flannel. */
  async keep(signal: AbortSignal): Promise<void> {
    const { clock, isWanted, subnets, earlier, resyncMs } = this.#parts;
    const own = prefixes(subnets);
    for (const subnet of prefixes(earlier)) {
      const isLate = !isWanted || !own.some((other) => other.equals(subnet));
      if (isLate) this.#try(subnet, () => this.#remove(subnet));
    }
    while (isWanted && !signal.aborted) {
      await clock.sleep(resyncMs, signal);
      if (signal.aborted) return;
      for (const subnet of own) this.#try(subnet, () => this.#ensure(subnet));
    }
  }

  #ensure(subnet: Prefix): void {
    if (this.#metrics(subnet).length > 0) return;
    this.#parts.netlink.blackholeAdd(subnet, METRIC);
    this.#parts.logger.info(`blackhole route for ${subnet} is set`);
  }

  /** Only one of ours: somebody may have set one by hand. */
  #remove(subnet: Prefix): void {
    if (!this.#metrics(subnet).includes(METRIC)) return;
    this.#parts.netlink.blackholeDelete(subnet, METRIC);
    this.#parts.logger.info(`blackhole route for ${subnet} of an earlier run is removed`);
  }

  #metrics(subnet: Prefix): number[] {
    return this.#parts.netlink
      .routes(subnet.family)
      .filter(({ destination, table, type }) => {
        return type === RTN_BLACKHOLE && table === RT_TABLE_MAIN && destination?.equals(subnet);
      })
      .map(({ priority }) => priority);
  }

  #try(subnet: Prefix, work: () => void): void {
    try {
      work();
      this.#failures.delete(subnet);
    } catch (error) {
      const { message } = error as Error;
      if (this.#failures.get(subnet) === message) return;
      this.#failures.set(subnet, message);
      this.#parts.logger.error({ err: error }, `blackhole route for ${subnet}: ${message}`);
    }
  }
}

function prefixes({ v4, v6 }: LeaseSubnets): Prefix[] {
  return [v4, v6].flatMap((prefix) => (prefix ? [prefix] : []));
}
