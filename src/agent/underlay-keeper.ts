/**
 * Follows the interface below us. When the kernel tells of a change the choice is made afresh, by the rules of the start;
 * where it comes out otherwise, we go there: another address, another MTU, the same interface under another number, or
 * another interface. Where there is none to go to all stays as it is, and we say why.
 */
import { TwillError } from '../errors.js';
import type { IpAddress } from '../net/ip.js';
import type { Prefix } from '../net/prefix.js';
import type { Logger } from '../observe/log.js';
import type { Clock } from './clock.js';
import { readHostNetwork, type UnderlayNetlink } from './host.js';
import { chooseUnderlay, type Underlay, type UnderlayRequest, withoutListing } from './underlay.js';

/** Where we stand. */
export interface Stand {
  readonly underlay: Underlay;
  /** All addresses of this host outside the overlay that mean something beyond one link. */
  readonly ownAddresses: readonly IpAddress[];
}

/** By which rules it is chosen. */
export interface StandRequest extends UnderlayRequest {
  /** Addresses in these are those of our own device and of pods: they come and go, and the underlay is none of them. */
  readonly overlay: readonly Prefix[];
}

export interface UnderlayKeeperParts {
  readonly request: StandRequest;
  readonly netlink: UnderlayNetlink;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Goes from one to the other. Where it throws all is as it was, and it is tried again. */
  readonly move: (to: Stand, from: Stand) => void;
}

/** Changes come in bursts: an interface that goes takes its addresses and routes with it. */
const SETTLE_MS = 20;
/** A host that starts hundreds of pods makes as many changes: no look sooner after another. */
const PAUSE_MS = 100;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 2000;
const LOOK_AGAIN_MS = 30_000;

/** Throws ERR_TWILL_INTERFACE. */
export function chooseStand(request: StandRequest, netlink: UnderlayNetlink, current?: Underlay): Stand {
  const host = readHostNetwork(netlink, request.ifaceCanReach);
  const underlay = chooseUnderlay(request, host, current);
  const meaningful = host.addresses.filter(
    ({ address }) =>
      !(address.family === 6 && address.isLinkLocal) &&
      !request.overlay.some((network) => network.contains(address)),
  );
  const byText = new Map(meaningful.map(({ address }) => [address.toString(), address]));
  return { underlay, ownAddresses: [...byText.values()] };
}

export class UnderlayKeeper {
  readonly #parts: UnderlayKeeperParts;
  #stand: Stand;
  #trouble: string | null = null;
  #moves = 0;
  #failures = 0;

  constructor(stand: Stand, parts: UnderlayKeeperParts) {
    this.#stand = stand;
    this.#parts = parts;
  }

  get underlay(): Underlay {
    return this.#stand.underlay;
  }
  /** Why no packet can pass on the underlay now; null: nothing that we know of. */
  get trouble(): string | null {
    return this.#trouble;
  }
  /** How often another address, MTU or interface was taken. */
  get moves(): number {
    return this.#moves;
  }

  /** Until `signal` aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    const { netlink, clock, request } = this.#parts;
    const { iface, ifaceRegex, ifaceCanReach } = request;
    const goesByRoutes = ifaceCanReach !== undefined || iface.length + ifaceRegex.length === 0;
    // What happened between the choice and the start of the watch counts too.
    let isChanged = true;
    let wake = () => {};
    const watch = netlink.watch((events) => {
      if (events.every(({ kind }) => kind === 'route') && !goesByRoutes) return;
      isChanged = true;
      wake();
    });
    try {
      while (!signal.aborted) {
        if (!isChanged) {
          const changed = new AbortController();
          wake = () => changed.abort();
          const waitMs = this.#failures > 0 ? this.#retryMs() : LOOK_AGAIN_MS;
          await clock.sleep(waitMs, AbortSignal.any([signal, changed.signal]));
        }
        if (isChanged) await clock.sleep(SETTLE_MS, signal);
        if (signal.aborted) return;
        isChanged = false;
        this.#look();
        await clock.sleep(PAUSE_MS, signal);
      }
    } finally {
      watch.stop();
    }
  }

  #look(): void {
    const { request, netlink } = this.#parts;
    let stand: Stand;
    try {
      stand = chooseStand(request, netlink, this.underlay);
    } catch (error) {
      // The kernel tells when there is something to choose from again.
      this.#failures = 0;
      this.#note(error instanceof TwillError ? withoutListing(error) : String(error));
      return;
    }
    try {
      if (!isSame(stand, this.#stand)) this.#go(stand);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#note(`cannot go to ${placeText(stand.underlay)} yet: ${(error as Error).message}`);
      return;
    }
    const { name, up } = netlink.links().find(({ index }) => index === stand.underlay.index) ?? {};
    this.#note(up === false ? `interface ${name} is down` : null);
  }

  #go(to: Stand): void {
    const { move, logger } = this.#parts;
    const from = this.#stand;
    move(to, from);
    this.#stand = to;
    const [before, after] = [placeText(from.underlay), placeText(to.underlay)];
    // Another number of the interface alone, or another address of the host, is no other place.
    if (before === after) return;
    this.#moves += 1;
    logger.warn({ from: before, to: after }, `the underlay is ${after} now; it was ${before}`);
  }

  #note(trouble: string | null): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    const { logger } = this.#parts;
    if (trouble === null) logger.info(`the underlay is well again: ${placeText(this.underlay)}`);
    else logger.error(`no packet can pass on the underlay: ${trouble}`);
  }

  #retryMs(): number {
    return Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), LONGEST_RETRY_MS);
  }
}

/** `192.0.2.1 2001:db8::1 on eth0 (MTU 1500)`; where others know us by another address, that too. */
export function placeText(underlay: Underlay): string {
  const { address, addressV6, publicIp, publicIpv6, mtuBytes } = underlay;
  const own = [address, addressV6].flatMap((one) => one ?? []).join(' ');
  const told = [publicIp, publicIpv6].flatMap((one) => one ?? []).join(' ');
  return `${own}${told === own ? '' : ` (known as ${told})`} on ${underlay.interface} (MTU ${mtuBytes})`;
}

function isSame(a: Stand, b: Stand): boolean {
  const text = ({ underlay, ownAddresses }: Stand) =>
    [placeText(underlay), underlay.index, ...ownAddresses.map(String).sort()].join(' ');
  return text(a) === text(b);
}
