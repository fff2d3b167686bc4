/**
 * From what iptables-save lists to what iptables-restore has to do: nothing where all is right, else one transaction for
 * each table, in which packets meet the old rules or the new ones and never half of them. Pure.
 */

import { Prefix } from '../net/prefix.js';
import {
  IPTABLES_PLACES,
  type IptablesPlace,
  jumpText,
  leadsTo,
  ruleText,
  type SavedTable,
} from './iptables-text.js';
import { flatMasqueradeRules, type OverlayRange, type Purpose, type Rule } from './rules.js';

export interface TableChange {
  /** For iptables-restore --noflush. */
  readonly input: string;
  /** The rules that it puts into flannel's chain, a line each; null: it leaves them. */
  readonly chain: string | null;
  /** What was not as it should be, in words. */
  readonly reasons: readonly string[];
}

export interface WantedTable {
  readonly purpose: Purpose;
  /** null: none of ours. */
  readonly rules: readonly Rule[] | null;
  /** Of this family; null: it is not in use. */
  readonly range: OverlayRange | null;
  /** Those of earlier runs: what is left of them is ours to remove. */
  readonly earlier: readonly OverlayRange[];
  /** Where no rules are wanted: flannel's chain goes whosever network it speaks of. */
  readonly removesAll: boolean;
}

/** null: all is as wanted. `areSame` tells whether what is listed stands for the rules, see AcceptedForms. */
export function tableChange(
  wanted: WantedTable,
  saved: SavedTable,
  areSame: (rules: string, listed: string) => boolean = (rules, listed) => rules === listed,
): TableChange | null {
  const { purpose, rules } = wanted;
  const place = IPTABLES_PLACES[purpose];
  let written: string | null = null;
  const jump = jumpText(place);
  const old = oldRules(wanted, saved.parent);
  const lines: string[] = [];
  const reasons: string[] = [];
  const remove = (texts: readonly string[]) =>
    lines.push(...texts.map((text) => `-D ${place.parent} ${text}`));
  if (rules) {
    const texts = rules.map((rule) => ruleText(rule, place.comment));
    const [now, then] = [saved.chain.join('\n'), texts.join('\n')];
    if (!saved.hasChain || !areSame(then, now)) {
      // Naming a chain makes it, or empties it, inside the transaction.
      lines.push(`:${place.chain} - [0:0]`, ...texts.map((text) => `-A ${place.chain} ${text}`));
      written = then;
      reasons.push(
        saved.hasChain ? chainReason(place, saved.chain, texts) : `chain ${place.chain} was missing`,
      );
    }
    const jumps = saved.parent.filter((text) => text === jump).length;
    if (jumps === 0) {
      lines.push(`-A ${place.parent} ${jump}`);
      reasons.push(`${place.parent} did not lead to ${place.chain}`);
    } else if (jumps > 1) {
      remove(Array<string>(jumps - 1).fill(jump));
      reasons.push(`${place.parent} led to ${place.chain} ${jumps} times`);
    }
  } else if (saved.hasChain && (wanted.removesAll || isOurs(saved.chain, rangesOf(wanted)))) {
    lines.push(`:${place.chain} - [0:0]`);
    const jumps = saved.parent.filter((text) => text === jump);
    remove(jumps);
    const isReferred =
      saved.isReferred || saved.parent.some((text) => text !== jump && leadsTo(text, place.chain));
    // A rule that is not ours leads to it: then it stays, empty.
    if (!isReferred) lines.push(`-X ${place.chain}`);
    if (!isReferred || saved.chain.length > 0 || jumps.length > 0)
      reasons.push(`chain ${place.chain} was left from an earlier run`);
  }
  remove(old);
  if (old.length > 0) reasons.push(`${old.length} rules of an earlier flannel were in ${place.parent}`);
  if (reasons.length === 0) return null;
  return { input: [`*${place.table}`, ...lines, 'COMMIT', ''].join('\n'), chain: written, reasons };
}

function chainReason({ chain }: IptablesPlace, now: readonly string[], wanted: readonly string[]): string {
  const missing = wanted.filter((text) => !now.includes(text)).length;
  const foreign = now.filter((text) => !wanted.includes(text)).length;
  if (missing === 0 && foreign === 0)
    return `the rules of chain ${chain} were in another order or there twice`;
  const parts = [
    ...(missing > 0 ? [`lacked ${missing} of ${wanted.length} rules`] : []),
    ...(foreign > 0 ? [`held ${foreign} others`] : []),
  ];
  return `chain ${chain} ${parts.join(' and ')}`;
}

/** A chain that speaks of other networks than ours is that of another flannel on this host. */
function isOurs(rules: readonly string[], ranges: readonly OverlayRange[]): boolean {
  const networks = new Set(ranges.map(({ network }) => network.toString()));
  const sources = rules.flatMap((rule) => /(?:^|\s)-s (\S+)/.exec(rule)?.[1] ?? []);
  return sources.length === 0 || sources.some((source) => networks.has(source));
}

/** Rules in the system's chain that earlier flannels put there, as often as they are there. */
function oldRules(wanted: WantedTable, parent: readonly string[]): string[] {
  const { purpose, range, earlier } = wanted;
  const place = IPTABLES_PLACES[purpose];
  // v0.16 to v0.19: each rule bears the label.
  const isLabelled = (text: string) =>
    text.includes(` --comment "${place.comment}" `) && !leadsTo(text, place.chain);
  const bare = new Set(
    purpose === 'masquerade'
      ? rangesOf(wanted).flatMap((known) => flatMasquerade(known, parent))
      : earlier.flatMap((known) => (range?.network.equals(known.network) ? [] : flatForward(known, parent))),
  );
  return parent.filter((text) => isLabelled(text) || bare.has(text));
}

/** Up to v0.15 nothing says whose they are, but for the whole set of four in its order, for whatever subnet of the network. */
function flatMasquerade(range: OverlayRange, parent: readonly string[]): string[] {
  const forms = [false, true].map((randomPorts) =>
    flatMasqueradeRules(range, randomPorts).map((rule) => ruleText(rule, undefined)),
  );
  const intoSubnet = new RegExp(`^! -s ${escaped(range.network.toString())} -d (\\S+) -j RETURN$`);
  const isRule = (step: number) => (text: string) => {
    if (step !== 2) return forms.some((form) => form[step] === text);
    const subnet = Prefix.tryParse(intoSubnet.exec(text)?.[1] ?? '');
    return subnet !== null && range.network.contains(subnet);
  };
  let step = 0;
  for (const text of parent) if (isRule(step)(text)) step += 1;
  return step < 4 ? [] : parent.filter((text) => [0, 1, 2, 3].some((any) => isRule(any)(text)));
}

/** Two that stand together. Those of the network as it is say the same as ours and may be anybody's: they stay. */
function flatForward({ network }: OverlayRange, parent: readonly string[]): string[] {
  const [from, to] = [`-s ${network} -j ACCEPT`, `-d ${network} -j ACCEPT`];
  return parent.some((text, at) => text === from && parent[at + 1] === to) ? [from, to] : [];
}

function rangesOf({ range, earlier }: WantedTable): OverlayRange[] {
  return [...(range ? [range] : []), ...earlier];
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
