/** What the embedder's bench measured, as lines of text. */

import { table } from '../../src/cli/table.js';
import type { Summary } from '../../src/lab/bench/statistics.js';
import type { Measured } from './pair.js';

export interface Row {
  readonly system: string;
  readonly lengthBytes: number;
  readonly all: readonly Measured[];
  readonly rate: Summary;
  /** Of dgram. */
  readonly ratio: Summary;
}

const NAMES: { readonly [system: string]: string } = {
  dgram: "Node's dgram",
  buffers: 'Twill, a PacketBuffer each',
  batches: 'Twill, batches',
};

export function embedderTable(rows: readonly Row[]): string[] {
  const header = [
    'there and back',
    '',
    'packets/s',
    'rounds',
    'of dgram',
    'rounds',
    'CPU',
    'heap',
    'GC',
    'lost',
  ];
  return ['', ...table(header, rows.map(cells))];
}

function cells({ system, lengthBytes, all, rate, ratio }: Row): string[] {
  const sum = (of: (one: Measured) => number) => all.reduce((total, one) => total + of(one), 0);
  const packets = sum(({ returned }) => returned);
  const both = (of: (usage: Measured['near']) => number) => sum(({ near, far }) => of(near) + of(far));
  return [
    `${lengthBytes} B`,
    NAMES[system] ?? system,
    thousands(rate.median),
    `${thousands(rate.low)} - ${thousands(rate.high)}`,
    ratio.median.toFixed(2),
    `${ratio.low.toFixed(2)} - ${ratio.high.toFixed(2)}`,
    `${(both(({ processorMicros }) => processorMicros) / packets).toFixed(2)} us`,
    `${(both(({ allocatedBytes }) => allocatedBytes) / packets).toFixed(1)} B`,
    (both(({ collections }) => collections) / (packets / 1e6)).toFixed(1),
    `${sum(({ lost }) => lost)}`,
  ];
}

/** Resident memory and heap of both ends as a long run goes on; what was allocated for each packet. */
export function residentTable(parts: { readonly [name: string]: Measured }): string[] {
  const rows = Object.entries(parts).map(([name, { returned, lost, seconds, near, far }]) => {
    const collections = (near.collections + far.collections) / (returned / 1e6);
    return [
      name,
      ...[
        `${returned}`,
        thousands(returned / seconds),
        mebibytes(near.residentBytes),
        mebibytes(far.residentBytes),
        mebibytes(near.heapBytes),
        mebibytes(far.heapBytes),
      ],
      `${((near.allocatedBytes + far.allocatedBytes) / returned).toFixed(2)} B`,
      ...[collections.toFixed(2), `${lost}`],
    ];
  });
  const header = [
    'at the',
    'packets',
    'per second',
    'near RSS',
    'far RSS',
    'near heap',
    'far heap',
    'allocated',
    'GC',
    'lost',
  ];
  return ['', ...table(header, rows)];
}

function thousands(perSecond: number): string {
  return `${(perSecond / 1000).toFixed(1)} k`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
