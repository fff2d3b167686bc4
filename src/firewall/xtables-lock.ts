/** Who holds the lock that iptables-legacy takes, as far as /proc shows it. */
import { readFileSync, statSync } from 'node:fs';

const USUAL_PATH = '/run/xtables.lock';

/** `process 123 (iptables)`, or words for one that is not to be seen. */
export function xtablesLockHolder(): string {
  const pid = quietly(() => {
    const { dev, ino } = statSync(process.env['XTABLES_LOCKFILE'] ?? USUAL_PATH);
    return lockHolder(readFileSync('/proc/locks', 'utf8'), dev, ino);
  });
  if (!pid) return 'another process';
  const name = quietly(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
  return `process ${pid}${name ? ` (${name})` : ''}`;
}

/** From /proc/locks: `1: FLOCK  ADVISORY  WRITE 1234 fe:00:131 0 EOF`. Those that wait have an arrow. */
export function lockHolder(locks: string, dev: number, ino: number): number | null {
  // Linux packs major and minor numbers so (new_encode_dev).
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  const file = `${hex(major)}:${hex(minor)}:${ino}`;
  for (const line of locks.split('\n')) {
    const [, kind, , , pid, place] = line.trim().split(/\s+/);
    if (kind === 'FLOCK' && place === file && Number(pid) > 0) return Number(pid);
  }
  return null;
}

/** Processes come and go while we look. */
function quietly<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
