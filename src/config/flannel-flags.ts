/**
 * Flags of flannel for jobs that this version does not do. Those about the host's rules and routes are accepted, so that
 * a node's command line stands as it is, and what stays undone is said once at the start. Those about Kubernetes are
 * refused, since without its store there is no network to join.
 */
import { TwillError } from '../errors.js';
import { type FlagSpec, type FlagValue, textFlag } from './flags.js';

const switchFlag = (name: string, byDefault: boolean, help: string): FlagSpec => {
  return { name, kind: 'boolean', default: byDefault, help };
};

/** Accepted, without effect. */
export const idleFlags: readonly FlagSpec[] = [
  switchFlag('ip-masq-fully-random-disable', false, 'masquerade rules without random ports'),
  switchFlag('iptables-forward-rules', true, 'rules that accept forwarded traffic of the overlay'),
  { name: 'iptables-resync', kind: 'integer', default: 5, help: 'seconds between two checks of the rules' },
  switchFlag('ip-blackhole-route', false, 'a blackhole route for the subnet of the node'),
  textFlag(
    'net-config-path',
    '/etc/kube-flannel/net-conf.json',
    'network configuration of a Kubernetes node',
  ),
  switchFlag('set-node-network-unavailable', true, "the node's condition in Kubernetes"),
  textFlag('vmodule', '', "verbosity of single files of flannel's source"),
  textFlag('log_backtrace_at', '', "stack traces at lines of flannel's source"),
];

/** Refused unless they say what flannel would do without them. */
export const refusedFlags: readonly FlagSpec[] = [
  switchFlag('kube-subnet-mgr', false, 'leases in Kubernetes'),
  textFlag('kube-api-url', '', 'server of the Kubernetes API'),
  textFlag('kubeconfig-file', '', 'credentials for it'),
  textFlag('kube-annotation-prefix', 'flannel.alpha.coreos.com', "prefix of the nodes' annotations"),
];

/** What is asked for and left undone, in words; most starts: nothing. Throws ERR_TWILL_USAGE for what is refused. */
export function undoneJobs(
  values: { readonly [name: string]: FlagValue },
  given: ReadonlySet<string>,
  asFlannel: boolean,
): readonly string[] {
  for (const { name, default: byDefault } of refusedFlags) {
    if (values[name] === byDefault) continue;
    const why = 'this version has no Kubernetes store';
    throw new TwillError('ERR_TWILL_USAGE', `--${name}: ${why}; leave it out and name a store or etcd`);
  }
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
  if (idle.length > 0) undone.push(`without effect: ${idle.map(({ name }) => `--${name}`).join(', ')}`);
  return undone;
}
