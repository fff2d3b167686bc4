/**
 * From what is wanted and what there is to the steps that lead from one to the other. Pure.
 *
 * What is wanted comes first, in its order, then what is too much goes: so a peer that moves to another way or another MAC is
 * never without one, but where the kernel wants it otherwise. A step names the entry that it is about; steps do not depend on each other, so one that fails keeps
 * no other from being done.
 */
import type { Actual } from './classify.js';
import { type Entry, entryText, keyOf, sameEntry } from './entry.js';

export interface WantedEntry {
  readonly entry: Entry;
  /** The peer's subnet; null: our own. */
  readonly owner: string | null;
}

export interface Step {
  /** `add`: nothing of that key is there. `set`: what is there is ours, and says something else. */
  readonly verb: 'add' | 'set' | 'delete';
  readonly entry: Entry;
  /** Of the peer that needs it. */
  readonly owner: string | null;
}

export interface Steps {
  readonly steps: readonly Step[];
  /** Peers that cannot have a route, because one of somebody else is in its place: why, by owner. */
  readonly blocked: ReadonlyMap<string, string>;
  /** Routes of others into the overlay, in words. */
  readonly foreign: readonly string[];
}

export function reconcile(wanted: readonly WantedEntry[], actual: Actual): Steps {
  const steps: Step[] = [];
  const blocked = new Map<string, string>();
  const kept = new Set<string>();
  const inTheWay = new Map(
    actual.foreign.flatMap(({ route, isInTheWay }) => (isInTheWay ? [[keyOf(route), route] as const] : [])),
  );
  for (const { entry, owner } of wanted) {
    const key = keyOf(entry);
    kept.add(key);
    const other = inTheWay.get(key);
    if (other?.kind === 'route') {
      const whose = `a ${entryText(other)} of protocol ${other.protocol} that is not ours is in the way`;
      blocked.set(owner ?? '', `${whose}: remove it, or its node's lease`);
      continue;
    }
    const there = actual.ours.get(key) ?? actual.adoptable.get(key);
    if (!there) steps.push({ verb: 'add', entry, owner });
    else if (sameEntry(there, entry)) continue;
    else if (cannotReplace(there, entry))
      steps.push({ verb: 'delete', entry: there, owner: null }, { verb: 'add', entry, owner });
    else steps.push({ verb: 'set', entry, owner });
  }
  for (const [key, entry] of actual.ours) {
    if (!kept.has(key)) steps.push({ verb: 'delete', entry, owner: null });
  }
  // The kernel keeps several routes to one destination; by their gateways they can be told apart.
  for (const entry of actual.doubles) steps.push({ verb: 'delete', entry, owner: null });
  const left = [...actual.adoptable].flatMap(([key, route]) => (kept.has(key) ? [] : [route]));
  const foreign = [...actual.foreign.map(({ route }) => route), ...left].map(entryText);
  return { steps, blocked, foreign };
}

/**
 * IPv6 refuses a gateway that lies behind another device, and that of a tunnel's route lies in its own destination: so the
 * route that leads there now has to go first (ip6_route_check_nh_onlink).
 */
function cannotReplace(there: Entry, entry: Entry): boolean {
  if (there.kind !== 'route' || entry.kind !== 'route') return false;
  return entry.onlink && entry.destination.family === 6 && there.index !== entry.index;
}

/** What there is after `steps`, all of which were done. */
export function applied(actual: Actual, steps: readonly Step[]): Actual {
  const ours = new Map(actual.ours);
  const adoptable = new Map(actual.adoptable);
  const gone = new Set<Entry>();
  for (const { verb, entry } of steps) {
    const key = keyOf(entry);
    if (verb !== 'delete') {
      ours.set(key, entry);
      adoptable.delete(key);
    } else if (ours.get(key) === entry) ours.delete(key);
    else gone.add(entry);
  }
  const doubles = actual.doubles.filter((entry) => !gone.has(entry));
  return { ours, doubles, adoptable, foreign: actual.foreign };
}
