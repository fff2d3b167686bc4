/**
 * The rules that a node of the overlay wants, as flannel has them, whatever program sets them. N is the overlay network, S
 * the node's own subnet. Pure.
 *
 *   masquerade (nat, after routing)                forward (filter, of what passes through)
 *   1 marked by kube-proxy          return         1 from N   accept
 *   2 from S, to N                  return         2 to N     accept
 *   3 from N, to S                  return
 *   4 not from N, to S              return
 *   5 from N, not to multicast      masquerade
 *   6 not from N, to N              masquerade
 *
 * Within the overlay addresses stay (2, 3), and a pod sees who called it from outside (4). What leaves the overlay bears the
 * node's address (5). The last rule is the host's own traffic into the overlay: peers accept only what comes from our subnet,
 * so it takes the address of our device.
 */
import type { FirewallChoice } from '../config/firewall-flags.js';
import type { IpFamily } from '../net/ip.js';
import { Prefix } from '../net/prefix.js';

/** What one family of the overlay gives to rules. */
export interface OverlayRange {
  readonly network: Prefix;
  /** The node's own. */
  readonly subnet: Prefix;
}

export interface Match {
  readonly prefix: Prefix;
  /** Anything but it. */
  readonly isNegated?: true;
}

export interface Rule {
  /** Bits that the packet's mark has. */
  readonly mark?: number;
  readonly source?: Match;
  readonly destination?: Match;
  readonly verdict: 'return' | 'accept' | 'masquerade';
  /** The ports of what is masqueraded are chosen at random, so that two flows seldom want the same (flannel's default). */
  readonly isRandom?: true;
}

/** The rules of one family in the order in which packets meet them; null: none of ours. */
export interface FamilyRules {
  readonly masquerade: readonly Rule[] | null;
  readonly forward: readonly Rule[] | null;
}

export type Purpose = keyof FamilyRules;
export const PURPOSES: readonly Purpose[] = ['masquerade', 'forward'];

export const NO_RULES: FamilyRules = { masquerade: null, forward: null };

/** kube-proxy's default: what bears it is masqueraded by kube-proxy itself. A bit among others, so it is compared alone. */
export const KUBE_PROXY_MARK = 0x4000;

const MULTICAST: { readonly [family in IpFamily]: Prefix } = {
  4: Prefix.parse('224.0.0.0/4'),
  6: Prefix.parse('ff00::/8'),
};

export function familyRules(range: OverlayRange, choice: FirewallChoice): FamilyRules {
  return {
    masquerade: choice.masquerade ? masqueradeRules(range, choice.randomPorts) : null,
    forward: choice.forward ? forwardRules(range) : null,
  };
}

function masqueradeRules({ network, subnet }: OverlayRange, randomPorts: boolean): Rule[] {
  const masquerade: Rule = { verdict: 'masquerade', ...(randomPorts && { isRandom: true }) };
  return [
    { mark: KUBE_PROXY_MARK, verdict: 'return' },
    { source: only(subnet), destination: only(network), verdict: 'return' },
    { source: only(network), destination: only(subnet), verdict: 'return' },
    { source: not(network), destination: only(subnet), verdict: 'return' },
    { source: only(network), destination: not(MULTICAST[network.family]), ...masquerade },
    { source: not(network), destination: only(network), ...masquerade },
  ];
}

function forwardRules({ network }: OverlayRange): Rule[] {
  return [
    { source: only(network), verdict: 'accept' },
    { destination: only(network), verdict: 'accept' },
  ];
}

/** flannel up to v0.15 wrote these into the system's own chain, behind whatever was there. */
export function flatMasqueradeRules({ network, subnet }: OverlayRange, randomPorts: boolean): Rule[] {
  const rules = masqueradeRules({ network, subnet }, randomPorts);
  const [, , , intoSubnet, outOfOverlay, intoOverlay] = rules as [Rule, Rule, Rule, Rule, Rule, Rule];
  const within: Rule = { source: only(network), destination: only(network), verdict: 'return' };
  return [within, outOfOverlay, intoSubnet, intoOverlay];
}

function only(prefix: Prefix): Match {
  return { prefix };
}

function not(prefix: Prefix): Match {
  return { prefix, isNegated: true };
}
