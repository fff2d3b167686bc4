/**
 * Flags of flannel for jobs that this version does not do: they are accepted, so that a node's command line stands as it
 * is, and what stays undone is said once at the start.
 */
import { type FlagSpec, type FlagValue, textFlag } from './flags.js';
import { kubeFlags } from './kube-options.js';

const switchFlag = (name: string, byDefault: boolean, help: string): FlagSpec => {
  return { name, kind: 'boolean', default: byDefault, help };
};

/** Accepted, without effect. */
export const idleFlags: readonly FlagSpec[] = [
  switchFlag('ip-masq-fully-random-disable', false, 'masquerade rules without random ports'),
  switchFlag('iptables-forward-rules', true, 'rules that accept forwarded traffic of the overlay'),
  { name: 'iptables-resync', kind: 'integer', default: 5, help: 'seconds between two checks of the rules' },
  switchFlag('ip-blackhole-route', false, 'a blackhole route for the subnet of the node'),
  textFlag('vmodule', '', "verbosity of single files of flannel's source"),
  textFlag('log_backtrace_at', '', "stack traces at lines of flannel's source"),
];

/** What is asked for and left undone, in words; most starts: nothing. */
export function undoneJobs(
  values: { readonly [name: string]: FlagValue },
  given: ReadonlySet<string>,
  asFlannel: boolean,
): readonly string[] {
  const undone: string[] = [];
  if (values['ip-masq'] === true) {
    const file = 'subnet.env says FLANNEL_IPMASQ=true all the same';
    undone.push(`no masquerade rule is set (--ip-masq; ${file})`);
  }
  // flannel sets them without being asked, so whoever runs us in its place expects them.
  if (values['iptables-forward-rules'] === true && (asFlannel || given.has('iptables-forward-rules')))
    undone.push('no rule that accepts forwarded traffic is set (--iptables-forward-rules)');
  if (values['ip-blackhole-route'] === true) undone.push('no blackhole route is kept (--ip-blackhole-route)');
  const named = ['iptables-forward-rules', 'ip-blackhole-route'];
  const idle = idleFlags.filter(
    ({ name, default: byDefault }) => !named.includes(name) && values[name] !== byDefault,
  );
  // Of Kubernetes, where the leases are elsewhere.
  const isKube = values['kube-subnet-mgr'] === true;
  const forKube = kubeFlags.filter(({ name }) => !isKube && name !== 'kube-subnet-mgr' && given.has(name));
  const idleNames = [...idle, ...forKube].map(({ name }) => name);
  if (idleNames.length > 0) undone.push(`without effect: ${idleNames.map((name) => `--${name}`).join(', ')}`);
  return undone;
}
