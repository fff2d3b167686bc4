/** `twill demo`: the whole of it on one machine, beside the kernel's own vxlan. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { type FlagSpec, parseFlags } from '../config/flags.js';
import { TwillError } from '../errors.js';
import { type DemoEncap, type DemoFigures, demoRun } from '../lab/demo-run.js';
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

/** Set for the copy of us that runs inside a user namespace. */
const NESTED = 'TWILL_DEMO_NESTED';

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
  if (process.geteuid?.() !== 0) {
    if (io.env[NESTED] === undefined) return runInUserNamespace(argv, io);
    throw new TwillError('ERR_TWILL_PRIVILEGE', 'the user namespace maps us to no root: run as root');
  }
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

async function requireTun(): Promise<void> {
  try {
    await access('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const why = isMissing ? 'there is no /dev/net/tun' : '/dev/net/tun is closed to this user';
    const fix = isMissing
      ? 'load it with "modprobe tun"'
      : 'run as root, or open it with "chmod 666 /dev/net/tun"';
    throw new TwillError('ERR_TWILL_DEVICE', `${why}: ${fix}`, { cause });
  }
}

/** Once more, as root of a user namespace of our own. */
async function runInUserNamespace(argv: readonly string[], io: CommandIo): Promise<number> {
  io.stderr('not root: using a user namespace');
  const [script = ''] = process.argv.slice(1);
  // Whatever ends us ends it, and gently.
  const copy = ['setpriv', '--pdeathsig=INT', '--', process.execPath, script, 'demo', ...argv];
  const child = spawn('unshare', ['--user', '--map-root-user', '--', ...copy], {
    stdio: ['ignore', 'inherit', 'pipe'],
    // Ctrl-C signals a whole process group: a second signal beside the one we pass on would end it amid its cleaning up.
    detached: true,
    env: { ...io.env, [NESTED]: '1' },
  });
  let isRunning = false;
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    isRunning ||= !part.startsWith('unshare:');
    if (isRunning) process.stderr.write(part);
  });
  const forward = () => child.kill('SIGINT');
  io.signal.addEventListener('abort', forward);
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  try {
    const [code] = (await Promise.race([once(child, 'close'), failed])) as [number | null];
    if (isRunning || code === 0) return code ?? exitCode.failed;
    throw new Error(text.trim() || `unshare ended with ${code}`);
  } catch (cause) {
    const why = `cannot make a user namespace: ${(cause as Error).message}`;
    const fix =
      'run as root, or allow it (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)';
    throw new TwillError('ERR_TWILL_PRIVILEGE', `${why}; ${fix}`, { cause });
  } finally {
    io.signal.removeEventListener('abort', forward);
  }
}
