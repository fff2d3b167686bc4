/** Speeds as lines of text. */
import { table } from '../src/cli/table.js';
import type { Speed } from './micro/suite.js';

/** What the native program prints of one loop. */
export interface NativeSpeed {
  readonly name: string;
  readonly variant: string;
  readonly unit: string;
  readonly perSecond: number;
  /** Half of what lies between the fastest and the slowest sample, of the median. */
  readonly spread: number;
}

export function speedTable(title: string, speeds: readonly Speed[]): string[] {
  const rows = speeds.map(({ name, perSecond, errorPercent }) => [
    name,
    timeText(1e9 / perSecond),
    rateText(perSecond),
    `+-${errorPercent.toFixed(1)} %`,
  ]);
  return ['', ...table([title, '', '', ''], rows)];
}

/** Variants of one name are compared with the first of them. */
export function nativeTable(title: string, speeds: readonly NativeSpeed[]): string[] {
  const rows = speeds.map(({ name, variant, unit, perSecond, spread }) => {
    const first = speeds.find((speed) => speed.name === name);
    const ratio = first ? perSecond / first.perSecond : 1;
    const speed = unit === 'bytes' ? `${(perSecond / 1e9).toFixed(2)} GB/s` : rateText(perSecond);
    return [name, variant, speed, `+-${(spread * 100).toFixed(1)} %`, `x ${ratio.toFixed(2)}`];
  });
  return ['', ...table([title, '', '', '', ''], rows)];
}

function timeText(nanoseconds: number): string {
  if (nanoseconds < 1e3) return `${nanoseconds.toFixed(1)} ns`;
  return nanoseconds < 1e6 ? `${(nanoseconds / 1e3).toFixed(2)} us` : `${(nanoseconds / 1e6).toFixed(2)} ms`;
}

function rateText(perSecond: number): string {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(2)} M/s`;
  return perSecond >= 1e3 ? `${(perSecond / 1e3).toFixed(2)} k/s` : `${perSecond.toFixed(2)} /s`;
}
