/** The form in which iptables-save lists rules and iptables-restore takes them. Pure. */
import type { Match, Purpose, Rule } from './rules.js';

/** Where flannel keeps its rules, and how it labels them. */
export interface IptablesPlace {
  readonly table: string;
  /** Flannel's own chain. */
  readonly chain: string;
  /** The system's chain that leads to it. */
  readonly parent: string;
  readonly comment: string;
}

export const IPTABLES_PLACES: { readonly [purpose in Purpose]: IptablesPlace } = {
  masquerade: {
    table: 'nat',
    chain: 'FLANNEL-POSTRTG',
    parent: 'POSTROUTING',
    comment: 'flanneld masq',
  },
  forward: { table: 'filter', chain: 'FLANNEL-FWD', parent: 'FORWARD', comment: 'flanneld forward' },
};

const TARGETS = { return: 'RETURN', accept: 'ACCEPT', masquerade: 'MASQUERADE' } as const;

/** A rule behind the name of its chain, as iptables-save writes it. `comment` undefined: without one. */
export function ruleText(rule: Rule, comment: string | undefined): string {
  const mark = rule.mark === undefined ? '' : `0x${rule.mark.toString(16)}`;
  const words = [
    ...matchWords('-s', rule.source),
    ...matchWords('-d', rule.destination),
    ...(mark === '' ? [] : ['-m', 'mark', '--mark', `${mark}/${mark}`]),
    ...commentWords(comment),
    ...['-j', TARGETS[rule.verdict]],
    ...(rule.isRandom ? ['--random-fully'] : []),
  ];
  return words.join(' ');
}

/** The rule of the system's chain that leads to flannel's. */
export function jumpText({ chain, comment }: IptablesPlace): string {
  return [...commentWords(comment), '-j', chain].join(' ');
}

/** Ours hold a space and nothing that would need an escape. */
function commentWords(comment: string | undefined): string[] {
  return comment === undefined ? [] : ['-m', 'comment', '--comment', `"${comment}"`];
}

function matchWords(flag: string, match: Match | undefined): string[] {
  if (!match) return [];
  return [...(match.isNegated ? ['!'] : []), flag, match.prefix.toString()];
}

/** What iptables-save says of one table, as far as it concerns us. */
export interface SavedTable {
  /** Whether flannel's chain is there. */
  readonly hasChain: boolean;
  /** Rules of flannel's chain and of the system's chain, without the chain's name. */
  readonly chain: readonly string[];
  readonly parent: readonly string[];
  /** Some other chain leads to flannel's: it cannot be removed. */
  readonly isReferred: boolean;
  /** Why iptables cannot say what the table holds. */
  readonly trouble: string | null;
}

const ABSENT: SavedTable = { hasChain: false, chain: [], parent: [], isReferred: false, trouble: null };

/** Reads the output of iptables-save, of all tables or of one. A table that is not in it holds nothing. */
export function parseSaved(text: string, { table, chain, parent }: IptablesPlace): SavedTable {
  const found = { ...ABSENT, chain: [] as string[], parent: [] as string[] };
  let isInside = false;
  let isListed = false;
  let remark: string | null = null;
  // Line by line without cutting the whole up: with kube-proxy there may be a hundred thousand.
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    const line = text.slice(start, end < 0 ? text.length : end);
    start = end < 0 ? text.length : end + 1;
    if (line.startsWith('*')) isInside = line === `*${table}`;
    else if (line.startsWith('#')) remark ??= incompatible(line, table);
    isListed ||= isInside;
    if (!isInside) continue;
    const rule = (name: string) =>
      line.startsWith(`-A ${name} `) ? line.slice(name.length + 4).trimEnd() : null;
    const [own, above] = [rule(chain), rule(parent)];
    if (line.startsWith(`:${chain} `)) found.hasChain = true;
    else if (own !== null) found.chain.push(own);
    else if (above !== null) found.parent.push(above);
    else if (leadsTo(line, chain)) found.isReferred = true;
  }
  return { ...found, trouble: isListed ? null : remark };
}

export function leadsTo(rule: string, chain: string): boolean {
  return rule.endsWith(` -j ${chain}`) || rule.endsWith(` -g ${chain}`);
}

/** iptables-nft says so where somebody has built a table of that name in a way of his own, and may then not list it. */
function incompatible(line: string, table: string): string | null {
  const isIt = line.includes(`\`${table}'`) && line.includes('incompatible');
  return isIt ? `it was made by other means: ${line.replace(/^#\s*/, '').trim()}` : null;
}
