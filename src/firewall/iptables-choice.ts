/**
 * There are two iptables: one on top of nftables and the older one ("legacy"), and a host may have both. Packets meet the
 * rules of both, in an order that nobody wants to depend on; so our rules go to where the host's others are:
 *
 *   only one of them is installed                    that one
 *   only one of them holds rules of others           that one
 *   both or none do, the kubelet's chains are in one that one, nft first (as the iptables wrapper of Kubernetes does)
 *   otherwise                                        what the command `iptables` is on this host
 */
import { readFileSync } from 'node:fs';
import type { IpFamily } from '../net/ip.js';
import type { Tools } from './tools.js';

export type IptablesKind = 'nft' | 'legacy';

/** Of one family. */
export interface IptablesPrograms {
  /** Such as `ip6tables-nft`. */
  readonly name: string;
  /** Paths. */
  readonly save: string;
  readonly restore: string;
}

/** One of the two iptables as it is installed; a family may be missing. */
export interface InstalledIptables {
  readonly kind: IptablesKind;
  readonly programs: { readonly [family in IpFamily]: IptablesPrograms | null };
}

const KINDS: readonly IptablesKind[] = ['nft', 'legacy'];
const FAMILIES: readonly IpFamily[] = [4, 6];
const KUBELETS_CHAIN = /^:(?:KUBE-IPTABLES-HINT|KUBE-KUBELET-CANARY) /m;
/** Rules other than flannel's. */
const OTHERS_RULE = /^-A (?!FLANNEL-)(?!.*--comment "flanneld (?:masq|forward)")/m;

/** Those that are installed, the one to use first. */
export async function installedIptables(
  tools: Tools,
  isLegacyUsed = () => FAMILIES.some(hasLegacyTables),
): Promise<InstalledIptables[]> {
  const usual = await usualKind(tools);
  const installed = KINDS.map((kind) => {
    const programs = { 4: programsOf(tools, kind, 4, usual), 6: programsOf(tools, kind, 6, usual) };
    return { kind, programs };
  }).filter(({ programs }) => programs[4] ?? programs[6]);
  if (installed.length < 2) return installed;
  const chosen = await whereRulesAre(tools, installed, usual ?? 'nft', isLegacyUsed());
  return installed.sort((a, b) => Number(b.kind === chosen) - Number(a.kind === chosen));
}

/** null: not installed. `usual`: what the names without a kind stand for. */
function programsOf(
  tools: Tools,
  kind: IptablesKind,
  family: IpFamily,
  usual: IptablesKind | null,
): IptablesPrograms | null {
  const base = family === 4 ? 'iptables' : 'ip6tables';
  for (const name of [`${base}-${kind}`, ...(kind === usual ? [base] : [])]) {
    const [save, restore] = [tools.find(`${name}-save`), tools.find(`${name}-restore`)];
    if (save !== null && restore !== null) return { name: `${base}-${kind}`, save, restore };
  }
  return null;
}

/** `iptables v1.8.9 (nf_tables)`; before v1.8 there was no other than legacy, and it did not say so. */
async function usualKind(tools: Tools): Promise<IptablesKind | null> {
  const path = tools.find('iptables');
  if (path === null) return null;
  const { stdout } = await tools.run(path, ['--version']);
  return stdout.includes('nf_tables') ? 'nft' : 'legacy';
}

async function whereRulesAre(
  tools: Tools,
  installed: readonly InstalledIptables[],
  usual: IptablesKind,
  isLegacyUsed: boolean,
): Promise<IptablesKind> {
  // Asking iptables-legacy would load it into the kernel where nobody uses it.
  if (!isLegacyUsed && usual === 'nft') return 'nft';
  const listing = (wanted: IptablesKind) =>
    listingOf(
      tools,
      installed.filter(({ kind }) => kind === wanted),
    );
  const [nft, legacy] = [await listing('nft'), isLegacyUsed ? await listing('legacy') : ''];
  const [isInNft, isInLegacy] = [OTHERS_RULE.test(nft), OTHERS_RULE.test(legacy)];
  if (isInNft !== isInLegacy) return isInNft ? 'nft' : 'legacy';
  if (KUBELETS_CHAIN.test(nft)) return 'nft';
  if (KUBELETS_CHAIN.test(legacy)) return 'legacy';
  return usual;
}

async function listingOf(tools: Tools, installed: readonly InstalledIptables[]): Promise<string> {
  const programs = installed.flatMap((one) => FAMILIES.map((family) => one.programs[family]));
  const texts: string[] = [];
  for (const found of programs) if (found) texts.push((await tools.run(found.save, [])).stdout);
  return texts.join('\n');
}

/** Whether the older iptables has any table in this network namespace. */
export function hasLegacyTables(family: IpFamily): boolean {
  const path = `/proc/net/${family === 4 ? 'ip' : 'ip6'}_tables_names`;
  try {
    return readFileSync(path, 'utf8').trim() !== '';
  } catch {
    return false;
  }
}
