/** `twill demo`: the whole of it on one machine, beside the kernel's own vxlan. */
import { type FlagSpec, parseFlags } from '../config/flags.js';
import { TwillError } from '../errors.js';
import { type DemoEncap, type DemoFigures, demoRun } from '../lab/demo-run.js';
import { requireTun, runAsRoot } from './as-root.js';
import { type Command, type CommandIo, exitCode } from './command.js';
import { usageText } from './control.js';
import { table } from './table.js';

const flags: readonly FlagSpec[] = [
  {
    name: 'encap',
    kind: 'choice',
    choices: ['vxlan', 'udp', 'mixed', 'all'],
    default: 'all',
    help: 'which runs: two agents over vxlan or udp, an agent facing a kernel vxlan device, or all three',
    env: false,
  },
  {
    name: 'seconds',
    kind: 'integer',
    default: 2,
    min: 1,
    max: 600,
    help: 'length of each measurement',
    env: false,
  },
  {
    name: 'json',
    kind: 'boolean',
    default: false,
    help: 'print one JSON object on standard output',
    env: false,
  },
];

export const demoCommand: Command = {
  name: 'demo',
  summary: "carry real traffic between two nodes on this machine, beside the kernel's vxlan",
  usage: usageText(
    'twill demo [flags]',
    [
      'Makes two network namespaces joined by a veth pair, starts an agent in each, and sends real traffic through the',
      "overlay: ping, UDP and TCP both ways. The kernel's own vxlan carries the same in the same run, for comparison.",
      'Runs as root, or as any user where the system allows user namespaces and opens /dev/net/tun to all. Removes all',
      'that it made. Exits 0 when no packet was lost.',
    ],
    flags,
  ),
  run,
};

interface Run extends DemoFigures {
  readonly ratioToKernel: number;
  readonly ratios: { readonly tcp: number; readonly packets: number; readonly rtt: number };
}

async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  const { values, positional } = parseFlags(flags, argv, io.env);
  if (positional.length > 0) throw new TwillError('ERR_TWILL_USAGE', `unexpected argument: ${positional[0]}`);
  await requireTun();
  const elsewhere = await runAsRoot('demo', argv, io);
  if (elsewhere !== null) return elsewhere;
  const wanted =
    values['encap'] === 'all' ? (['vxlan', 'udp', 'mixed'] as const) : ([values['encap']] as DemoEncap[]);
  const figures: DemoFigures[] = [];
  try {
    for (const encap of ['kernel', ...wanted] as DemoEncap[]) {
      const progress = (what: string) => io.stderr(`${encap}: ${what}`);
      const plan = { encap, secondsPerMeasurement: Number(values['seconds']), signal: io.signal, progress };
      figures.push(await demoRun(plan));
    }
  } catch (error) {
    if (!io.signal.aborted) throw error;
    io.stderr('twill: stopped; all that was made is removed');
    return exitCode.failed;
  }
  const [kernel, ...rest] = figures;
  if (!kernel) return exitCode.failed;
  const runs = rest.map((figure): Run => {
    const tcp = figure.tcpGbps / kernel.tcpGbps;
    const packets = figure.packetsPerSecond / kernel.packetsPerSecond;
    const rtt = figure.rttMicros.p50 / kernel.rttMicros.p50;
    return { ...figure, ratioToKernel: tcp, ratios: { tcp, packets, rtt } };
  });
  if (values['json'] === true) io.stdout(JSON.stringify({ runs, kernel }, rounded));
  else for (const line of summary(kernel, runs)) io.stdout(line);
  const isClean = runs.every(({ lossPercent, identity }) => lossPercent === 0 && identity !== false);
  if (!isClean) io.stderr('twill: packets were lost');
  return isClean ? exitCode.done : exitCode.failed;
}

function summary(kernel: DemoFigures, runs: readonly Run[]): string[] {
  const plain = ({ encap, lossPercent, rttMicros, tcpGbps, packetsPerSecond }: DemoFigures) => [
    ...[encap === 'kernel' ? 'kernel vxlan' : encap, `${lossPercent.toFixed(2)} %`],
    ...[`${rttMicros.p50.toFixed(0)} us`, `${rttMicros.p99.toFixed(0)} us`, `${tcpGbps.toFixed(2)} Gbit/s`],
    Math.round(packetsPerSecond).toLocaleString('en'),
  ];
  const header = ['', 'loss', 'RTT p50', 'RTT p99', 'TCP', 'packets/s', 'of the kernel: RTT, TCP, packets/s'];
  const rows = runs.map((figure) => {
    const { rtt, tcp, packets } = figure.ratios;
    return [...plain(figure), `${rtt.toFixed(2)}, ${tcp.toFixed(2)}, ${packets.toFixed(2)}`];
  });
  return [
    ...table(header, [...rows, [...plain(kernel), '1']]),
    '',
    'Loss: of all pings and of a steady UDP flow, both ways. TCP: one stream, the mean of both ways.',
    'packets/s: datagrams of 64 bytes that arrive when the sender sends all it can.',
  ];
}

function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value;
}
