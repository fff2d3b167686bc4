/**
 * From what nft lists to what it has to do: nothing where all is right, else the commands of one transaction, in which
 * packets meet the old rules or the new ones and never half of them. Pure.
 */
import type { IpFamily } from '../net/ip.js';
import type { FamilyWish } from './engine.js';
import { type ListedChain, type ListedTable, NFT_CHAINS, NFT_TABLES, nftRuleText } from './nft-text.js';
import { PURPOSES, type Purpose } from './rules.js';

export interface NftChange {
  /** For `nft -f -`. */
  readonly input: string;
  /** The chains that it fills: see AcceptedForms. */
  readonly written: readonly string[];
  /** What was not as it should be, in words. */
  readonly reasons: readonly string[];
}

/** Whether what is listed stands for the chain as we write it. */
type AreSame = (chain: string, listed: string) => boolean;

/** `listed` null: there is no such table. null: all is as wanted, as far as `purposes` go. */
export function nftChange(
  family: IpFamily,
  wish: FamilyWish,
  listed: ListedTable | null,
  areSame: AreSame = (chain, text) => chain === text,
  purposes: readonly Purpose[] = PURPOSES,
): NftChange | null {
  const table = NFT_TABLES[family];
  const place = `${table.family} ${table.name}`;
  const wantsAny = PURPOSES.some((purpose) => wish.rules[purpose]);
  if (!wantsAny && listed && isLeftover(wish, listed)) {
    const reasons = [`table ${table.name} was left from an earlier run`];
    return { input: `delete table ${place}\n`, written: [], reasons };
  }
  const lines: string[] = [];
  const written: string[] = [];
  const reasons: string[] = [];
  for (const purpose of purposes) {
    const { name, hook, comment } = NFT_CHAINS[purpose];
    const chain = `${place} ${name}`;
    const remove = [`flush chain ${chain}`, `delete chain ${chain}`];
    const found = listed?.chains.get(name);
    const rules = wish.rules[purpose]?.map((rule) => nftRuleText(rule, family));
    if (!rules) {
      if (!found || !isOurs(wish, found)) continue;
      lines.push(...remove);
      reasons.push(`chain ${name} of ${table.name} was left from an earlier run`);
      continue;
    }
    const why = chainReason({ hook, rules }, found, areSame);
    if (why === null) continue;
    reasons.push(`chain ${name} of ${table.name} ${why}`);
    written.push(chainText({ hook, rules }));
    // One that hangs elsewhere cannot be moved.
    if (found && found.hook !== hook) lines.push(...remove);
    lines.push(`add chain ${chain} { ${hook} comment "${comment}"; }`, `flush chain ${chain}`);
    for (const rule of rules) lines.push(`add rule ${chain} ${rule}`);
  }
  if (listed?.isDormant && wantsAny) reasons.push(`table ${table.name} was dormant`);
  if (reasons.length === 0) return null;
  // This wakes it, too.
  const add = wantsAny ? [`add table ${place} { comment "rules for ${table.name}"; }`] : [];
  return { input: [...add, ...lines, ''].join('\n'), written, reasons };
}

function chainReason(wanted: ListedChain, found: ListedChain | undefined, areSame: AreSame): string | null {
  if (!found) return 'was missing';
  if (areSame(chainText(wanted), chainText(found))) return null;
  if (found.hook !== wanted.hook) return 'hung elsewhere or let nothing pass';
  const missing = wanted.rules.filter((rule) => !found.rules.includes(rule)).length;
  return missing > 0 ? `lacked ${missing} of ${wanted.rules.length} rules` : 'held other rules';
}

function chainText({ hook, rules }: ListedChain): string {
  return [hook, ...rules].join('\n');
}

function isLeftover(wish: FamilyWish, { chains }: ListedTable): boolean {
  const names = new Set(PURPOSES.map((purpose) => NFT_CHAINS[purpose].name));
  return wish.removesAll || [...chains].every(([name, chain]) => names.has(name) && isOurs(wish, chain));
}

/** A chain that speaks of other networks than ours is that of another flannel on this host. */
function isOurs({ range, earlier, removesAll }: FamilyWish, { rules }: ListedChain): boolean {
  if (removesAll || rules.length === 0) return true;
  const known = [...(range ? [range] : []), ...earlier].map(({ network }) => network.toString());
  return rules.some((rule) => rule.split(' ').some((word) => known.includes(word)));
}
