/**
 * The rules of this node where the host keeps its rules: set, kept, and removed from wherever they were before. Each call of
 * `converge` looks at all of it and writes what differs; one that finds everything right writes nothing.
 */
import type { FirewallChoice } from '../config/firewall-flags.js';
import type { IpFamily } from '../net/ip.js';
import type { Convergence, Engine, FamilyWish } from './engine.js';
import { hasLegacyTables, type InstalledIptables, installedIptables } from './iptables-choice.js';
import { IptablesEngine } from './iptables-engine.js';
import { NftEngine } from './nft-engine.js';
import { familyRules, NO_RULES, type OverlayRange } from './rules.js';
import { hostTools, type Tools } from './tools.js';

export type FirewallMode = 'iptables' | 'nftables';

export interface FirewallOptions {
  readonly mode: FirewallMode;
  readonly choice: FirewallChoice;
  /** The overlay, a range for each family in use. */
  readonly ranges: readonly OverlayRange[];
  /** What earlier runs had. */
  readonly earlier: readonly OverlayRange[];
}

export interface FirewallState {
  /** The program that holds the rules, such as `iptables-nft`; null: none that could. */
  readonly holder: string | null;
  /** What was put right by this look. */
  readonly mended: readonly string[];
  /** What is not as wanted, or cannot be seen, a line for each. */
  readonly troubles: readonly string[];
  /** Whether all rules are there; null: they could not be looked at. */
  readonly isRight: boolean | null;
  /** Random ports are asked for, and this host cannot choose any. */
  readonly lacksRandomPorts: boolean;
}

/** A place where rules of ours are wanted, or none; null: there is no such program. */
interface Slot {
  readonly family: IpFamily;
  readonly engine: Engine | null;
  readonly wish: FamilyWish;
  /** Why there is no engine, if not. */
  readonly lack?: string;
  /** Rules are wanted here; otherwise one look that finds nothing is enough. */
  readonly isKept: boolean;
}

const FAMILIES: readonly IpFamily[] = [4, 6];

export class Firewall {
  readonly #options: FirewallOptions;
  readonly #tools: Tools;
  #slots: Slot[] | undefined;
  #isDone = false;

  constructor(options: FirewallOptions, tools: Tools = hostTools) {
    this.#options = options;
    this.#tools = tools;
  }

  /** No rules are wanted, and none of ours are left: there is nothing to keep. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Never throws. */
  async converge(): Promise<FirewallState> {
    this.#slots ??= await this.#plan();
    const outcomes: Convergence[] = [];
    let isRight: boolean | null = true;
    // New rules first: those of another mode go when these are there, so there is no gap.
    for (const slot of [...this.#slots]) {
      const outcome = await slotOutcome(slot);
      // Where no rules can be listed there are none to remove.
      if (slot.isKept || outcome.isRight !== null) outcomes.push(outcome);
      if (slot.isKept) {
        if (outcome.isRight !== true && isRight !== false) isRight = outcome.isRight;
      } else if (outcome.isRight !== false) this.#slots = this.#slots.filter((other) => other !== slot);
    }
    const kept = this.#slots.filter((slot) => slot.isKept);
    this.#isDone = this.#slots.length === 0;
    const holder = kept.find(({ engine }) => engine)?.engine?.name ?? null;
    const lacksRandomPorts = kept.some(({ engine }) => engine?.lacksRandomPorts);
    // Programs that are missing may be installed at any time.
    if (kept.some(({ engine }) => !engine)) this.#slots = undefined;
    return {
      ...{ holder, isRight, lacksRandomPorts, mended: outcomes.flatMap(({ mended }) => mended) },
      troubles: outcomes.flatMap(({ trouble }) => trouble ?? []),
    };
  }

  async #plan(): Promise<Slot[]> {
    const iptables = await installedIptables(this.#tools);
    const nft = this.#tools.find('nft');
    const { mode, choice } = this.#options;
    const wantsAny = choice.masquerade || choice.forward;
    const slots = (engine: (family: IpFamily) => Engine | null, isHolder: boolean, lack?: string): Slot[] =>
      FAMILIES.map((family) => {
        const range = this.#options.ranges.find(({ network }) => network.family === family) ?? null;
        const isKept = isHolder && range !== null && wantsAny;
        const rules = isKept ? familyRules(range, choice) : NO_RULES;
        const earlier = this.#options.earlier.filter(({ network }) => network.family === family);
        const wish = { rules, range, earlier, removesAll: !isHolder };
        return { family, engine: engine(family), wish, isKept, ...(lack && { lack }) };
      });
    const nftSlots = (isHolder: boolean) =>
      slots((family) => (nft === null ? null : new NftEngine(nft, family, this.#tools)), isHolder, NO_NFT);
    const iptablesSlots = (one: InstalledIptables | undefined, isHolder: boolean) =>
      slots((family) => this.#iptablesEngine(one, family, isHolder), isHolder, NO_IPTABLES);
    const [chosen, ...others] = iptables;
    const all =
      mode === 'nftables'
        ? [...nftSlots(true), ...iptables.flatMap((one) => iptablesSlots(one, false))]
        : [
            ...iptablesSlots(chosen, true),
            ...others.flatMap((one) => iptablesSlots(one, false)),
            ...nftSlots(false),
          ];
    return all.filter(({ engine, isKept }) => engine || isKept);
  }

  #iptablesEngine(one: InstalledIptables | undefined, family: IpFamily, isHolder: boolean): Engine | null {
    const programs = one?.programs[family];
    if (!programs) return null;
    // To look for rules with iptables-legacy would load it into the kernel.
    if (one.kind === 'legacy' && !isHolder && !hasLegacyTables(family)) return null;
    return new IptablesEngine(programs, this.#tools);
  }
}

const NO_IPTABLES =
  'is not installed, and the rules of this node are kept with it unless net-conf sets EnableNFTables';
const NO_NFT = 'is not installed, and net-conf sets EnableNFTables';

async function slotOutcome({ engine, family, wish, lack }: Slot): Promise<Convergence> {
  if (engine) return engine.converge(wish);
  const name = lack === NO_NFT ? 'nft' : family === 4 ? 'iptables' : 'ip6tables';
  return { mended: [], isRight: false, trouble: `${name} ${lack}: no rule is set` };
}
