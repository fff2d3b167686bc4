/** The flags that speak of rules and routes of the host, with flannel's names and defaults. */
import { type FlagSpec, type FlagValue, switchFlag } from './flags.js';

/** Which rules of the host are ours to keep. */
export interface FirewallChoice {
  readonly masquerade: boolean;
  /** Accept what is forwarded from and to the overlay. */
  readonly forward: boolean;
  readonly randomPorts: boolean;
}

export const firewallFlags: readonly FlagSpec[] = [
  switchFlag(
    'ip-masq',
    false,
    'masquerade what leaves the overlay, and tell the CNI plugin in subnet.env not to',
  ),
  switchFlag('ip-masq-fully-random-disable', false, 'masquerade without choosing ports at random'),
  switchFlag(
    'iptables-forward-rules',
    true,
    'accept what is forwarded from and to the overlay; "twill run" does where this or --ip-masq is given',
  ),
  {
    name: 'iptables-resync',
    kind: 'integer',
    default: 5,
    min: 1,
    max: 86_400,
    help: 'seconds between two looks at rules and blackhole route, where the kernel does not tell of changes',
  },
  switchFlag('ip-blackhole-route', false, "drop what is for the node's subnet and for no pod in it"),
];

/** null: the host's rules are none of our business. */
export function firewallChoice(
  values: { readonly [name: string]: FlagValue },
  given: ReadonlySet<string>,
  asFlannel: boolean,
): FirewallChoice | null {
  const masquerade = values['ip-masq'] === true;
  const asked = asFlannel || given.has('ip-masq') || given.has('iptables-forward-rules');
  if (!asked) return null;
  // flannel sets them without being asked.
  const forward =
    values['iptables-forward-rules'] === true &&
    (asFlannel || masquerade || given.has('iptables-forward-rules'));
  return { masquerade, forward, randomPorts: values['ip-masq-fully-random-disable'] !== true };
}
