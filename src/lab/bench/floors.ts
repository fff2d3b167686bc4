/** What a release must reach, as ratios of medians in one run. A floor holds for nodes; runs with pods are compared all the same. */
import { ratioOf, type Samples, type Summary } from './statistics.js';
import type { UnderlayKind } from './underlay.js';

export interface Floor {
  readonly title: string;
  readonly measure: string;
  readonly system: string;
  readonly of: string;
  /** Of the ratio. */
  readonly bound: { readonly [kind in UnderlayKind]: number };
  /** The ratio must stay below the bound, not above. */
  readonly isCeiling?: boolean;
}

const kernel = { system: 'twill-vxlan', of: 'kernel' } as const;
const loop = { system: 'twill-vxlan', of: 'loop' } as const;
const mixed = { of: 'kernel', bound: { veth: 0.75, wire: 0.9 } } as const;

export const floors: readonly Floor[] = [
  {
    title: 'TCP 1 stream, of kernel vxlan',
    measure: 'tcp1.rate',
    ...kernel,
    bound: { veth: 0.75, wire: 0.9 },
  },
  {
    title: 'TCP 4 streams, of kernel vxlan',
    measure: 'tcp4.rate',
    ...kernel,
    bound: { veth: 0.65, wire: 0.95 },
  },
  {
    title: '64 B packets, loss-free, of kernel vxlan',
    measure: 'udp64.loss-free',
    ...kernel,
    bound: { veth: 1.5, wire: 1.25 },
  },
  {
    title: '64 B packets, overload, of kernel vxlan',
    measure: 'udp64.overload',
    ...kernel,
    bound: { veth: 1.9, wire: 1.2 },
  },
  { title: "TCP 1 stream, of flannel's loop", measure: 'tcp1.rate', ...loop, bound: { veth: 7, wire: 4 } },
  {
    title: "CPU per Gbit, of flannel's loop",
    measure: 'tcp1.cpu',
    ...loop,
    bound: { veth: 1 / 6, wire: 1 / 3 },
    isCeiling: true,
  },
  {
    title: "idle RTT, of flannel's loop",
    measure: 'rtt-idle.p50',
    ...loop,
    bound: { veth: 1.1, wire: 1.1 },
    isCeiling: true,
  },
  {
    title: 'Twill to kernel, TCP 1 stream, of kernel to kernel',
    measure: 'tcp1.rate',
    system: 'twill-to-kernel',
    ...mixed,
  },
  {
    title: 'Twill to kernel, TCP 4 streams, of kernel to kernel',
    measure: 'tcp4.rate',
    system: 'twill-to-kernel',
    ...mixed,
  },
  {
    title: 'kernel to Twill, TCP 1 stream, of kernel to kernel',
    measure: 'tcp1.rate',
    system: 'kernel-to-twill',
    ...mixed,
  },
  {
    title: 'kernel to Twill, TCP 4 streams, of kernel to kernel',
    measure: 'tcp4.rate',
    system: 'kernel-to-twill',
    ...mixed,
  },
];

/**
 * `met`; `close`: below the floor, but by no more than the rounds lie apart; `missed`; `unknown`: a figure that was to be
 * measured is not there.
 */
export type Verdict = 'met' | 'close' | 'missed' | 'unknown';

export interface Judgement {
  readonly floor: Floor;
  readonly underlay: UnderlayKind;
  readonly bound: number;
  readonly ratio: Summary | null;
  readonly verdict: Verdict;
}

/** Of the floors whose systems both take part in the run. */
export function judgeAll(
  underlay: UnderlayKind,
  samplesOf: (system: string, measure: string) => Samples | null,
): Judgement[] {
  return floors.flatMap((floor) => {
    const of = samplesOf(floor.system, floor.measure);
    const to = samplesOf(floor.of, floor.measure);
    return of && to ? [judge(floor, underlay, ratioOf(of, to))] : [];
  });
}

export function judge(floor: Floor, underlay: UnderlayKind, ratio: Summary | null): Judgement {
  const bound = floor.bound[underlay];
  return { floor, underlay, bound, ratio, verdict: verdictOf(ratio, bound, floor.isCeiling ?? false) };
}

function verdictOf(ratio: Summary | null, bound: number, isCeiling: boolean): Verdict {
  if (!ratio) return 'unknown';
  if (isCeiling) return ratio.median <= bound ? 'met' : ratio.low <= bound ? 'close' : 'missed';
  return ratio.median >= bound ? 'met' : ratio.high >= bound ? 'close' : 'missed';
}
