/**
 * Who on this host uses what we are about to take. As far as /proc shows it: a process of another PID namespace, or of a user
 * that we may not look at, stays unseen.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface HostProcess {
  readonly pid: number;
  readonly name: string;
}

/** A living flanneld in our network namespace, other than us. */
export function findFlanneld(): HostProcess | null {
  const ours = quietly(() => readlinkSync('/proc/self/ns/net'));
  for (const pid of otherPids()) {
    if (processName(pid) !== 'flanneld') continue;
    // Of a process with more privileges than ours we may not know where it is: then it counts.
    const theirs = quietly(() => readlinkSync(`/proc/${pid}/ns/net`));
    if (theirs === null || theirs === ours) return { pid, name: 'flanneld' };
  }
  return null;
}

/** Who has this TUN device open. */
export function findTunHolder(device: string): HostProcess | null {
  const ours = quietly(() => readlinkSync('/proc/self/ns/net'));
  for (const pid of otherPids()) {
    if (quietly(() => readlinkSync(`/proc/${pid}/ns/net`)) !== ours) continue;
    for (const descriptor of quietly(() => readdirSync(`/proc/${pid}/fd`)) ?? []) {
      if (quietly(() => readlinkSync(`/proc/${pid}/fd/${descriptor}`)) !== '/dev/net/tun') continue;
      const details = quietly(() => readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8')) ?? '';
      const [, attached] = /^iff:\s*(\S+)/m.exec(details) ?? [];
      if (attached === device) return { pid, name: processName(pid) ?? '?' };
    }
  }
  return null;
}

function otherPids(): number[] {
  const pids = (quietly(() => readdirSync('/proc')) ?? []).filter((entry) => /^\d+$/.test(entry)).map(Number);
  return pids.filter((pid) => pid !== process.pid);
}

/** The kernel's short name for it. */
function processName(pid: number): string | null {
  return quietly(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
}

/** Processes come and go while we look. */
function quietly<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
