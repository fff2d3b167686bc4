/**
 * Rules as nft lists them and takes them. Its text, not its JSON: Debian's nft (1.0.6) passes over the comments of tables and
 * chains in JSON, and what flannel's own tests look at has them. Pure.
 */
import type { IpFamily } from '../net/ip.js';
import type { Match, Purpose, Rule } from './rules.js';

/** Flannel's table of a family; nobody else's rules are in it. */
export interface NftTable {
  readonly family: 'ip' | 'ip6';
  readonly name: string;
}

export const NFT_TABLES: { readonly [family in IpFamily]: NftTable } = {
  4: { family: 'ip', name: 'flannel-ipv4' },
  6: { family: 'ip6', name: 'flannel-ipv6' },
};

export interface NftChain {
  readonly name: string;
  readonly comment: string;
  /** Where packets meet it. A policy of drop would cut the node off from everybody. */
  readonly hook: string;
}

export const NFT_CHAINS: { readonly [purpose in Purpose]: NftChain } = {
  masquerade: {
    name: 'postrtg',
    comment: 'chain to manage traffic masquerading by flannel',
    hook: 'type nat hook postrouting priority srcnat; policy accept;',
  },
  forward: {
    name: 'forward',
    comment: 'chain to accept flannel traffic',
    hook: 'type filter hook forward priority filter; policy accept;',
  },
};

/** As nft lists it. */
export function nftRuleText(rule: Rule, family: IpFamily): string {
  const protocol = family === 4 ? 'ip' : 'ip6';
  const words = [
    ...(rule.mark === undefined ? [] : [markText(rule.mark)]),
    ...matchText(`${protocol} saddr`, rule.source),
    ...matchText(`${protocol} daddr`, rule.destination),
    rule.verdict,
    ...(rule.isRandom ? ['fully-random'] : []),
  ];
  return words.join(' ');
}

function markText(bits: number): string {
  const text = `0x${bits.toString(16).padStart(8, '0')}`;
  return `meta mark & ${text} == ${text}`;
}

function matchText(field: string, match: Match | undefined): string[] {
  return match ? [`${field} ${match.isNegated ? '!= ' : ''}${match.prefix}`] : [];
}

export interface ListedChain {
  /** `type ... policy ...;`; empty where no packet meets it by itself. */
  readonly hook: string;
  /** A line for each rule. */
  readonly rules: readonly string[];
}

export interface ListedTable {
  /** Its rules are switched off. */
  readonly isDormant: boolean;
  readonly chains: ReadonlyMap<string, ListedChain>;
}

/**
 * Reads what `nft list table` prints:
 *
 *     table ip flannel-ipv4 {
 *     	comment "rules for flannel-ipv4"
 *     	chain postrtg {
 *     		comment "..."
 *     		type nat hook postrouting priority srcnat; policy accept;
 *     		meta mark & 0x00004000 == 0x00004000 return
 *     	}
 *     }
 */
export function parseListed(text: string): ListedTable {
  const chains = new Map<string, { hook: string; rules: string[] }>();
  let chain: { hook: string; rules: string[] } | null = null;
  let isDormant = false;
  for (const line of text.split('\n')) {
    const [, name] = /^\tchain (\S+) \{$/.exec(line) ?? [];
    if (name !== undefined) {
      chain = { hook: '', rules: [] };
      chains.set(name, chain);
    } else if (line === '\t}') chain = null;
    else if (!chain) isDormant ||= /^\tflags .*\bdormant\b/.test(line);
    else if (/^\t\ttype \S+ hook /.test(line)) chain.hook = line.trim();
    else if (!/^\t\tcomment "/.test(line) && line.trim() !== '') chain.rules.push(line.trim());
  }
  return { isDormant, chains };
}
