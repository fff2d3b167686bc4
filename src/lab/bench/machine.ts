/** The machine: what it is, how busy it is, what a process holds. */
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** USER_HZ: the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const FOREIGN_LOAD_WINDOW_MS = 500;

/** Processor seconds of the whole machine that went into work, since boot. */
export function parseBusySeconds(procStat: string): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (procStat.split('\n', 1)[0] ?? '')
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

export async function busySeconds(): Promise<number> {
  return parseBusySeconds(await readFile('/proc/stat', 'utf8'));
}

/** Processors at work, on average over half a second: 0 is an idle machine. */
export async function busyProcessors(windowMs = FOREIGN_LOAD_WINDOW_MS): Promise<number> {
  const [before, startMs] = [await busySeconds(), performance.now()];
  await sleep(windowMs);
  return ((await busySeconds()) - before) / ((performance.now() - startMs) / 1000);
}

/** VmRSS; null where the process is gone. */
export async function rssMebibytes(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return match ? Number(match[1]) / 1024 : null;
}

export interface Machine {
  readonly processor: string;
  readonly processors: number;
  readonly memoryGibibytes: number;
  readonly kernel: string;
  readonly node: string;
}

export async function describeMachine(): Promise<Machine> {
  const kernel = await readFile('/proc/sys/kernel/osrelease', 'utf8').catch(() => 'unknown');
  return {
    processor: cpus()[0]?.model.trim() || 'unknown',
    processors: availableParallelism(),
    memoryGibibytes: Math.round(totalmem() / 2 ** 30),
    kernel: kernel.trim(),
    node: process.version,
  };
}
