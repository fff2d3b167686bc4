/** What is measured, and in which unit. The names are keys of the JSON that the benchmark writes. */

export interface Measure {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  /** Which way is better. */
  readonly better: 'higher' | 'lower';
}

/** One run of traffic; it gives several measures, named `<step>.<what>`. */
export type StepName =
  | 'tcp1'
  | 'tcp4'
  | 'tcp1-reverse'
  | 'tcp4-reverse'
  | 'udp64'
  | 'udp512'
  | 'udp-mtu'
  | 'rtt-idle'
  | 'rtt-load';

export interface TcpStep {
  readonly kind: 'tcp';
  readonly streams: number;
  readonly isReverse: boolean;
}
export interface UdpStep {
  readonly kind: 'udp';
  /** null: what makes the IP packet as large as the overlay carries. */
  readonly payloadBytes: number | null;
}
export interface RttStep {
  readonly kind: 'rtt';
  readonly isLoaded: boolean;
}
export type Step = { readonly name: StepName; readonly title: string } & (TcpStep | UdpStep | RttStep);

export const steps: readonly Step[] = [
  { name: 'tcp1', title: 'TCP, 1 stream', kind: 'tcp', streams: 1, isReverse: false },
  { name: 'tcp4', title: 'TCP, 4 streams', kind: 'tcp', streams: 4, isReverse: false },
  { name: 'tcp1-reverse', title: 'TCP, 1 stream, reverse', kind: 'tcp', streams: 1, isReverse: true },
  { name: 'tcp4-reverse', title: 'TCP, 4 streams, reverse', kind: 'tcp', streams: 4, isReverse: true },
  { name: 'udp64', title: 'UDP, 64 B', kind: 'udp', payloadBytes: 64 },
  { name: 'udp512', title: 'UDP, 512 B', kind: 'udp', payloadBytes: 512 },
  { name: 'udp-mtu', title: 'UDP, MTU', kind: 'udp', payloadBytes: null },
  { name: 'rtt-idle', title: 'RTT, idle', kind: 'rtt', isLoaded: false },
  { name: 'rtt-load', title: 'RTT, beside TCP', kind: 'rtt', isLoaded: true },
];

/** Of round-trip times. */
export const percentiles = [50, 90, 99, 99.9] as const;

export const measures: readonly Measure[] = [
  ...steps.flatMap(measuresOf),
  { name: 'agent.rss', title: 'memory of an agent', unit: 'MiB', better: 'lower' },
];

function measuresOf(step: Step): Measure[] {
  const measure = (what: string, title: string, unit: string, better: Measure['better']): Measure => {
    return { name: `${step.name}.${what}`, title: `${step.title}: ${title}`, unit, better };
  };
  switch (step.kind) {
    case 'tcp':
      return [
        measure('rate', 'throughput', 'Gbit/s', 'higher'),
        measure('cpu', 'processor time, whole machine', 's/Gbit', 'lower'),
        measure('wire', 'mean packet on the underlay', 'B', 'higher'),
      ];
    case 'udp':
      return [
        measure('loss-free', 'loss-free', 'packets/s', 'higher'),
        measure('overload', 'overload', 'packets/s', 'higher'),
        measure('offered', 'offered in overload', 'packets/s', 'higher'),
        // 1: the sender gave all it could and nothing was lost.
        measure('sender-limited', 'limited by the sender', '', 'higher'),
      ];
    case 'rtt':
      return percentiles.map((percent) => measure(`p${percent}`, `p${percent}`, 'us', 'lower'));
  }
}

export function measureNamed(name: string): Measure {
  const found = measures.find((measure) => measure.name === name);
  if (!found) throw new RangeError(`no measure is called ${name}`);
  return found;
}
