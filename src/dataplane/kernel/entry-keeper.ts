/**
 * Keeps the kernel's entries as they are wanted. What there is is read once and then known from what was changed, until
 * somebody says that others may have changed it; the steps between the two go out all at once.
 */
import { type NetlinkChange, netlink } from '../../native/netlink.js';
import { type Actual, classify, type KernelTables, type Territory } from './classify.js';
import { keyOf, RTPROT_BOOT, sameEntry } from './entry.js';
import { mendedTexts } from './mending.js';
import { applied, reconcile, type Step, type WantedEntry } from './reconcile.js';
import { Refusals } from './refusals.js';

export class EntryKeeper {
  readonly #refusals = new Refusals();
  readonly #nowMs: () => number;
  #territory: Territory;
  #wanted: readonly WantedEntry[] = [];
  /** null: to be read. */
  #actual: Actual | null = null;
  #blocked: ReadonlyMap<string, string> = new Map();
  #foreign: readonly string[] = [];
  #hasFlannelsRoutes = false;

  /** `nowMs` of a clock that nobody sets. */
  constructor(territory: Territory, nowMs: () => number = () => performance.now()) {
    this.#territory = territory;
    this.#nowMs = nowMs;
  }

  /** Our devices are others now. */
  move(territory: Territory): void {
    this.#territory = territory;
    this.#actual = null;
  }

  /** Makes it so as far as the kernel lets us; what it refuses is a trouble of its owner. Throws ERR_TWILL_NETLINK where nothing can be asked. */
  want(wanted: readonly WantedEntry[]): void {
    this.#wanted = wanted;
    this.#apply();
  }

  /** As `want`, where others may have changed something meanwhile: what of theirs had to be put right, in words. */
  look(wanted: readonly WantedEntry[]): string[] {
    const actual = classify(readTables(this.#territory), this.#territory);
    const { steps } = reconcile(this.#wanted, actual);
    const theirs = new Set(steps.map(({ entry }) => keyOf(entry)));
    this.#hasFlannelsRoutes = steps.some((step) => isFlannels(step, actual));
    this.#actual = actual;
    this.#wanted = wanted;
    this.#refusals.retryNow();
    return mendedTexts(this.#apply().filter(({ entry }) => theirs.has(keyOf(entry))));
  }

  /** Tries again what is due. */
  retry(): void {
    this.#apply();
  }

  /** Why peers are not reached as wanted, by subnet; `''`: what is no peer's. */
  get troubles(): ReadonlyMap<string, string> {
    return new Map([...this.#blocked, ...this.#refusals.troubles]);
  }
  /** Routes of others into the overlay. */
  get foreign(): readonly string[] {
    return this.#foreign;
  }
  /** The last look has found flannel's routes in the place of ours, to the same places. */
  get hasFlannelsRoutes(): boolean {
    return this.#hasFlannelsRoutes;
  }
  /** null: nothing waits. */
  get retryInMs(): number | null {
    return this.#refusals.retryInMs(this.#nowMs());
  }

  /** The steps that were done. */
  #apply(): readonly Step[] {
    const actual = this.#actual ?? classify(readTables(this.#territory), this.#territory);
    const { steps, blocked, foreign } = reconcile(this.#wanted, actual);
    this.#blocked = blocked;
    this.#foreign = foreign;
    const due = this.#refusals.due(steps, this.#nowMs());
    const replies = due.length > 0 ? netlink.change(due.map(changeOf)) : [];
    const done = due.filter((step, i) => this.#refusals.note(step, replies[i] ?? null, this.#nowMs()));
    this.#actual = done.length === due.length ? applied(actual, done) : null;
    return done;
  }
}

/** Only the protocol is another one. */
function isFlannels({ verb, entry }: Step, { ours }: Actual): boolean {
  const there = ours.get(keyOf(entry));
  if (verb !== 'set' || entry.kind !== 'route' || there?.kind !== 'route') return false;
  return there.protocol === RTPROT_BOOT && sameEntry({ ...there, protocol: entry.protocol }, entry);
}

function readTables({ networks, devices }: Territory): KernelTables {
  const families = [...new Set(networks.map(({ family }) => family))];
  const ofDevices = <T>(read: (index: number) => readonly T[]) =>
    new Map(devices.map((index) => [index, read(index)]));
  return {
    routes: families.flatMap((family) => netlink.routes(family)),
    addresses: devices.length > 0 ? netlink.addresses() : [],
    neighbours: ofDevices((index) => families.flatMap((family) => netlink.neighbours(family, index))),
    forwarding: ofDevices((index) => netlink.forwarding(index)),
  };
}

function changeOf({ verb, entry }: Step): NetlinkChange {
  if (entry.kind === 'route') return { verb, priority: 0, ...entry };
  // Under traffic the kernel asks for a neighbour that is not there, in an entry of its own: that gives way.
  if (entry.kind === 'neighbour' && verb === 'add') return { verb: 'set', ...entry };
  return { verb, ...entry };
}
