/** One way in which a host can hold the rules of one family: what is asked of it, and the loop that all of them share. */
import type { FamilyRules, OverlayRange } from './rules.js';

export interface FamilyWish {
  readonly rules: FamilyRules;
  /** null: the family is not in use. */
  readonly range: OverlayRange | null;
  /** Ranges of earlier runs, whose rules go. */
  readonly earlier: readonly OverlayRange[];
  /** Where no rules are wanted, all that bears flannel's names goes, not only what speaks of our networks. */
  readonly removesAll: boolean;
}

export interface Convergence {
  /** What was not as it should be and has been put right, in words. */
  readonly mended: readonly string[];
  /** Why the rules are not as wanted, or why that cannot be told. */
  readonly trouble: string | null;
  /** Whether the rules are there. null: they could not be looked at. */
  readonly isRight: boolean | null;
}

export interface Engine {
  /** The program, for people: `ip6tables-nft`. */
  readonly name: string;
  /** This host cannot choose ports at random. */
  readonly lacksRandomPorts: boolean;
  /** Looks, and writes what differs. Never throws. */
  converge(wish: FamilyWish): Promise<Convergence>;
}

/** One transaction. */
export interface Change {
  readonly where: string;
  readonly reasons: readonly string[];
  /** Why it failed; null: it is done. */
  readonly write: () => Promise<string | null>;
}

/** After so many writes in a row that did not last somebody else is at work, and we go on later. */
const MOST_ROUNDS = 4;

/** Looks and writes until a look finds nothing to do. `look` gives words where it can see nothing at all. */
export async function settle(
  name: string,
  look: () => Promise<readonly Change[] | string>,
): Promise<Convergence> {
  const mended: string[] = [];
  const end = (isRight: boolean | null, trouble: string | null): Convergence => {
    return { mended, isRight, trouble: trouble === null ? null : `${name}: ${trouble}` };
  };
  for (let round = 1; ; round++) {
    const changes = await look();
    if (typeof changes === 'string') return end(null, changes);
    if (changes.length === 0) return end(true, null);
    if (round > MOST_ROUNDS)
      return end(false, `it does not stay as it was written: ${changes[0]?.reasons[0]}`);
    const failures: string[] = [];
    for (const { where, reasons, write } of changes) {
      const failure = await write();
      if (failure !== null) failures.push(`${where}: ${failure}`);
      else if (round === 1) mended.push(...reasons);
    }
    // What did work is looked at again beside what did not.
    if (failures.length === changes.length) return end(false, failures.join('; '));
  }
}

/** The same rules for a host that cannot choose ports at random. */
export function withoutRandomPorts({ masquerade, forward }: FamilyRules): FamilyRules {
  return { masquerade: masquerade?.map(({ isRandom: _, ...rule }) => rule) ?? null, forward };
}
