/** Settings of this host that pods need. They are the operator's: we read and tell them, and neither set them nor load a module. */
import { readFileSync } from 'node:fs';
import type { IpFamily } from '../net/ip.js';

export interface HostNeeds {
  readonly families: readonly IpFamily[];
  /** Rules of services are in iptables, for all that the cluster says: as flannel asks for it. */
  readonly isIptables: boolean;
}

/** What a setting such as `net.ipv4.ip_forward` says; null: this kernel has none of that name. */
export type ReadSetting = (name: string) => string | null;

export interface HostTrouble {
  readonly text: string;
  /** A CNI plugin will mend it when it makes the first pod. */
  readonly passes: boolean;
}

/** What keeps pods from being reached, each with its remedy. */
export function hostTroubles(
  { families, isIptables }: HostNeeds,
  read: ReadSetting = readSetting,
): HostTrouble[] {
  const forwarding = families.flatMap((family): HostTrouble[] => {
    const name = family === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding';
    const value = read(name);
    if (value === null || value !== '0') return [];
    const until = `until the CNI plugin or "sysctl -w ${name}=1" switches it on`;
    return [{ text: `${name} is 0: nothing is forwarded to and from pods ${until}`, passes: true }];
  });
  if (!isIptables) return forwarding;
  const bridged = families.flatMap((family): HostTrouble[] => {
    const name = `net.bridge.bridge-nf-call-${family === 4 ? 'iptables' : 'ip6tables'}`;
    const value = read(name);
    if (value === '1') return [];
    const [what, fix] =
      value === null
        ? ['is not there', 'load the module ("modprobe br_netfilter")']
        : [`is ${value}`, `switch it on ("sysctl -w ${name}=1")`];
    const effect = 'a pod does not reach a service that is carried out by a pod on the same bridge';
    return [{ text: `${name} ${what}: ${effect}: ${fix}`, passes: false }];
  });
  return [...forwarding, ...bridged];
}

/** Of our network namespace. */
function readSetting(name: string): string | null {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim();
  } catch {
    return null;
  }
}
