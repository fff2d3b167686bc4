/**
 * `bench/embedder`: packets of a program to another program and back, over VXLAN in UDP on loopback: through Twill's user
 * port, and through Node's own `dgram` with the same encapsulation in JavaScript. All systems are up at once and take turns.
 */
import { parseFlags } from '../../src/config/flags.js';
import { ratioOf, type Summary, summarize } from '../../src/lab/bench/statistics.js';
import { type Measured, Pair } from './pair.js';
import { embedderTable, type Row, residentTable } from './report.js';

export const SYSTEMS = ['dgram', 'buffers', 'batches'] as const;
export type System = (typeof SYSTEMS)[number];
/** Of inner packets, bytes. */
const SIZES = [64, 512, 1400] as const;
/** Small packets through batches, of dgram. */
const FLOOR = { system: 'batches', lengthBytes: 64, ratio: 5 } as const;
/** Of our code, in JavaScript, for a packet there and back at both ends: no object is so small. */
const MOST_HEAP_BYTES = 8;
/** What resident memory and heap may differ by between the middle and the end of a long run: the collector's mood. */
const MOST_GROWTH_BYTES = 4 << 20;

const flags = [
  { name: 'rounds', kind: 'integer', default: 5, min: 1, help: 'rounds; a figure is their median' },
  { name: 'milliseconds', kind: 'integer', default: 1000, min: 1, help: 'of each system in each round' },
  {
    name: 'packets',
    kind: 'integer',
    default: 0,
    min: 0,
    help: 'instead: so many of 64 bytes through batches',
  },
] as const;

/** 0, or 1 where a floor is missed. */
export async function runEmbedder(print: (line: string) => void, argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(flags, argv, {});
  const packets = Number(values['packets']);
  if (packets > 0) return runLong(print, packets);
  return runRounds(print, Number(values['rounds']), Number(values['milliseconds']) / 1000);
}

async function runRounds(print: (line: string) => void, rounds: number, seconds: number): Promise<number> {
  const pairs = await openPairs(SYSTEMS);
  const measured = new Map<string, Measured[]>();
  try {
    // Everything is compiled before the first round counts.
    for (const pair of pairs) for (const size of SIZES) await pair.exchange(size, Infinity, seconds / 4);
    for (let round = 0; round < rounds; round++) {
      for (const size of SIZES) {
        for (const [i] of pairs.entries()) {
          const pair = pairs[(i + round) % pairs.length] as Pair;
          const key = `${pair.system} ${size}`;
          measured.set(key, [...(measured.get(key) ?? []), await pair.exchange(size, Infinity, seconds)]);
        }
      }
    }
  } finally {
    await Promise.all(pairs.map((pair) => pair[Symbol.asyncDispose]()));
  }
  const rateOf = (system: System, size: number) =>
    (measured.get(`${system} ${size}`) ?? []).map((one) => one.returned / one.seconds);
  const rows = SIZES.flatMap((lengthBytes) =>
    SYSTEMS.map((system): Row => {
      const all = measured.get(`${system} ${lengthBytes}`) ?? [];
      const rates = rateOf(system, lengthBytes);
      return {
        ...{ system, lengthBytes, all },
        rate: summarize(rates) as Summary,
        ratio: ratioOf(rates, rateOf('dgram', lengthBytes)) as Summary,
      };
    }),
  );
  for (const line of embedderTable(rows)) print(line);
  const row = rows.find((one) => one.system === FLOOR.system && one.lengthBytes === FLOOR.lengthBytes) as Row;
  const heapBytes = heapBytesOf(row.all);
  const isFast = row.ratio.high >= FLOOR.ratio;
  const isFrugal = heapBytes <= MOST_HEAP_BYTES;
  const verdict = row.ratio.median >= FLOOR.ratio ? 'met' : isFast ? 'within the spread' : 'MISSED';
  print('');
  print(`64 B through batches, of dgram: at least ${FLOOR.ratio}: ${verdict}`);
  print(`heap bytes for each packet: at most ${MOST_HEAP_BYTES}: ${isFrugal ? 'met' : 'MISSED'}`);
  return isFast && isFrugal ? 0 : 1;
}

/** Many packets; what they leave behind. */
async function runLong(print: (line: string) => void, packets: number): Promise<number> {
  const [pair] = (await openPairs(['batches'])) as [Pair];
  const { lengthBytes } = FLOOR;
  try {
    const half = Math.ceil(packets / 2);
    const start = await pair.exchange(lengthBytes, Math.min(Math.ceil(packets / 100), 1e6), Infinity);
    const middle = await pair.exchange(lengthBytes, half, Infinity);
    const end = await pair.exchange(lengthBytes, half, Infinity);
    for (const line of residentTable({ start, middle, end })) print(line);
    const grown = growthOf(middle, end);
    print('');
    const isSteady = grown <= MOST_GROWTH_BYTES;
    const each = (grown / end.returned).toFixed(3);
    print(`from the middle to the end, of ${end.returned} packets: ${grown} bytes more, ${each} a packet`);
    print(`no growth from the middle to the end: ${isSteady ? 'met' : 'MISSED'}`);
    return isSteady ? 0 : 1;
  } finally {
    await pair[Symbol.asyncDispose]();
  }
}

/** The most that one end's resident memory or heap has grown, bytes; less than nothing where all have shrunk. */
export function growthOf(before: Measured, after: Measured): number {
  const grown = (['near', 'far'] as const).flatMap((side) => [
    after[side].residentBytes - before[side].residentBytes,
    after[side].heapBytes - before[side].heapBytes,
  ]);
  return Math.max(...grown);
}

export function heapBytesOf(all: readonly Measured[]): number {
  const sum = (of: (one: Measured) => number) => all.reduce((total, one) => total + of(one), 0);
  return sum(({ near, far }) => near.allocatedBytes + far.allocatedBytes) / sum(({ returned }) => returned);
}

function openPairs(systems: readonly System[]): Promise<Pair[]> {
  // Ports of this process's own, below those that the kernel hands out.
  const first = 20_000 + (process.pid % 5000) * 2;
  return Promise.all(systems.map((system, i) => Pair.open(system, [first + 2 * i, first + 2 * i + 1])));
}
