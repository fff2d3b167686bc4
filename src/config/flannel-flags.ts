/**
 * Flags of flannel for jobs that this version does not do: they are accepted, so that a node's command line stands as it
 * is, and what stays undone is said once at the start.
 */
import { type FlagSpec, type FlagValue, textFlag } from './flags.js';
import { kubeFlags } from './kube-options.js';

/** Accepted, without effect. */
export const idleFlags: readonly FlagSpec[] = [
  textFlag('vmodule', '', "verbosity of single files of flannel's source"),
  textFlag('log_backtrace_at', '', "stack traces at lines of flannel's source"),
];

/** What is asked for and left undone, in words; most starts: nothing. */
export function undoneJobs(
  values: { readonly [name: string]: FlagValue },
  given: ReadonlySet<string>,
): readonly string[] {
  const idle = idleFlags.filter(({ name, default: byDefault }) => values[name] !== byDefault);
  // Of Kubernetes, where the leases are elsewhere.
  const isKube = values['kube-subnet-mgr'] === true;
  const forKube = kubeFlags.filter(({ name }) => !isKube && name !== 'kube-subnet-mgr' && given.has(name));
  const names = [...idle, ...forKube].map(({ name }) => `--${name}`);
  return names.length > 0 ? [`without effect: ${names.join(', ')}`] : [];
}
