/**
 * Keeps the device as it should be. The kernel tells of changes (netlink); each leads to one look by the plane, which puts
 * right what it can. No event is trusted to say what changed, and a look now and then makes up for events that were lost.
 */
import type { Plane } from '../dataplane/plane.js';
import type { Netlink, NetlinkEvent } from '../native/netlink.js';
import type { Logger } from '../observe/log.js';
import type { Clock } from './clock.js';
import type { Mended } from './mended.js';

export interface DeviceKeeperParts {
  readonly plane: Plane;
  readonly netlink: Pick<Netlink, 'watch'>;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Words for an error of the plane that name the culprit. */
  readonly explain: (error: unknown) => unknown;
  /** Why it cannot be ours again, where another has taken its place for good. */
  readonly supplanter: () => Error | null;
  /** The same, where another has put routes in the place of ours. */
  readonly supplanterOfRoutes: () => Error | null;
  readonly mended: Mended;
}

/** Changes come in bursts: a device that goes takes addresses and routes with it. */
const SETTLE_MS = 20;
/** After mending: somebody who keeps changing it back must not keep us busy. */
const PAUSE_MS = 500;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;
const LOOK_AGAIN_MS = 30_000;
/** In place of that where changes go on for long, as when many peers come. */
const LEAST_GAP_MS = 200;

export class DeviceKeeper {
  readonly #parts: DeviceKeeperParts;
  #trouble: string | null = null;
  #failures = 0;
  /** When the plane wants to try again what was refused. */
  #retryInMs: number | null = null;

  constructor(parts: DeviceKeeperParts) {
    this.#parts = parts;
  }

  /** Why no packet can pass now, in words that follow the device's name. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Until `signal` aborts. Throws when another has taken the device's place for good: two that fight for it carry nothing. */
  async keep(signal: AbortSignal): Promise<void> {
    const { plane, netlink, clock } = this.#parts;
    // What happened between the opening of the plane and the start of the watch counts too.
    let isChanged = true;
    let wake = () => {};
    let lookedAtMs = 0;
    let isBusy = false;
    const isOurs = (event: NetlinkEvent) => {
      if (event.kind === 'lost' || plane.concerns(event)) return true;
      // What is in our way may be another device.
      return this.#failures > 0 && event.kind === 'link';
    };
    const watch = netlink.watch(
      (events) => {
        if (!events.some(isOurs)) return;
        isChanged = true;
        wake();
      },
      { neighbours: plane.watchesNeighbours },
    );
    try {
      while (!signal.aborted) {
        if (!isChanged) {
          const changed = new AbortController();
          wake = () => changed.abort();
          const retryMs = this.#retryMs();
          await clock.sleep(retryMs ?? LOOK_AGAIN_MS, AbortSignal.any([signal, changed.signal]));
          // Nothing has come: what is due is tried again, and now and then all of it is looked at.
          if (!isChanged && retryMs === null) isChanged = true;
        } else await clock.sleep(isBusy ? LEAST_GAP_MS : SETTLE_MS, signal);
        if (signal.aborted) return;
        const isLook = isChanged || this.#failures > 0;
        isChanged = false;
        isBusy = clock.nowMs() - lookedAtMs < LEAST_GAP_MS;
        lookedAtMs = clock.nowMs();
        if (this.#look(isLook)) await clock.sleep(PAUSE_MS, signal);
      }
    } finally {
      watch.stop();
    }
  }

  /** Whether something had to be put right. */
  #look(isChanged: boolean): boolean {
    const { plane, logger, explain, clock } = this.#parts;
    const device = plane.deviceName;
    // The kernel's device would be mended, and flannel made to mend its own: nobody wins that.
    const isReplaced = isChanged && plane.kind === 'kernel' ? this.#parts.supplanter() : null;
    if (isReplaced) throw isReplaced;
    try {
      const { mended, trouble, retryInMs, hasFlannelsRoutes } = plane.reconcile(isChanged);
      this.#failures = 0;
      this.#retryInMs = retryInMs;
      for (const what of mended) {
        logger.warn({ device }, `device ${device}: ${what}`);
        this.#parts.mended.note(`device ${device}: ${what}`, clock.nowMs());
      }
      this.#note(trouble);
      if (!hasFlannelsRoutes) return mended.length > 0;
    } catch (error) {
      const supplanted = this.#parts.supplanter();
      if (supplanted) throw supplanted;
      this.#failures += 1;
      this.#note(`it cannot be put right: ${(explain(error) as Error).message}`);
      return false;
    }
    const supplanted = this.#parts.supplanterOfRoutes();
    if (supplanted) throw supplanted;
    return true;
  }

  #note(trouble: string | null): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    const { plane, logger } = this.#parts;
    const device = plane.deviceName;
    if (trouble === null) logger.info({ device }, `device ${device} carries packets again`);
    else logger.error({ device }, `device ${device}: no packet can pass: ${trouble}`);
  }

  /** null: nothing waits for another attempt. */
  #retryMs(): number | null {
    if (this.#failures === 0) return this.#retryInMs;
    return Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), LONGEST_RETRY_MS);
  }
}
