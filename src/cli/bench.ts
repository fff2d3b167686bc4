/** `twill bench`: Twill, the kernel's vxlan and flannel's loop side by side on this machine, in figures and pictures. */
import { writeFile } from 'node:fs/promises';
import { packageVersion } from '../agent/version.js';
import { type FlagSpec, parseFlags } from '../config/flags.js';
import { TwillError } from '../errors.js';
import { runBench } from '../lab/bench/bench.js';
import { chooseAll } from '../lab/bench/choose.js';
import { type BenchOptions, makePlan } from '../lab/bench/plan.js';
import type { ProgressState } from '../lab/bench/progress.js';
import { loadRenderer } from '../lab/bench/report/render.js';
import { reportHtml } from '../lab/bench/report/report.js';
import { type UnderlayKind, underlayKinds } from '../lab/bench/underlay.js';
import { requireTun, runAsRoot } from './as-root.js';
import { benchTables } from './bench-table.js';
import { type Command, type CommandIo, exitCode } from './command.js';
import { usageText } from './control.js';
import { durationText } from './table.js';

const flags: readonly FlagSpec[] = [
  {
    name: 'quick',
    kind: 'boolean',
    default: false,
    help: 'under a minute: only what the floors need, in short runs',
  },
  {
    name: 'underlay',
    kind: 'choice',
    choices: ['all', ...underlayKinds],
    default: 'all',
    help: 'what joins the nodes: a plain veth pair, or a wire that every packet crosses at most at the MTU',
  },
  { name: 'systems', kind: 'string', default: '', help: 'only these, with commas between (see below)' },
  {
    name: 'rounds',
    kind: 'integer',
    default: 0,
    min: 0,
    max: 1000,
    help: 'rounds; 0: 5, and 3 in a quick run',
  },
  {
    name: 'seconds',
    kind: 'integer',
    default: 0,
    min: 0,
    max: 600,
    help: 'length of a TCP run, to which the others keep; 0: 2, and about 0.4 in a quick run',
  },
  {
    name: 'pods',
    kind: 'boolean',
    default: false,
    help: 'traffic between pods behind bridges, not between the nodes',
  },
  {
    name: 'peers',
    kind: 'boolean',
    default: false,
    help: 'also other userspace overlays, those that are installed',
  },
  {
    name: 'offloads',
    kind: 'boolean',
    default: false,
    help: 'also Twill without each of its offloads in turn',
  },
  {
    name: 'json',
    kind: 'string',
    default: '',
    help: 'write all figures to this file; -: to standard output',
  },
  { name: 'html', kind: 'string', default: '', help: 'write a report with charts to this file' },
].map((flag) => ({ ...flag, env: false }) as FlagSpec);

export const benchCommand: Command = {
  name: 'bench',
  summary: "measure the dataplane beside the kernel's vxlan and flannel's loop",
  usage: usageText(
    'twill bench [flags]',
    [
      'Sets each system up in network namespaces of its own on this machine and carries the same traffic over each, turn by',
      'turn: TCP by iperf3, UDP packets a second, round-trip times, processor time, memory. Prints medians, their spread and',
      'their ratios; progress goes to standard error. Runs as root, or where user namespaces are allowed. Removes all that it',
      'made. Exits 1 when a floor is missed by more than the rounds lie apart.',
      '',
      'Systems: raw, kernel, twill-vxlan, twill-udp, twill-vxlan-plain, twill-udp-plain, twill-to-kernel, kernel-to-twill,',
      'loop; with --peers also wireguard-go, fastd, tinc, nebula, n2n, openvswitch; with --offloads also',
      'twill-vxlan-no-tun-tso and so on, one for each name that --offload of "twill run" takes.',
    ],
    flags,
  ),
  run,
};

async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  const { values, positional } = parseFlags(flags, argv, io.env);
  if (positional.length > 0) throw new TwillError('ERR_TWILL_USAGE', `unexpected argument: ${positional[0]}`);
  const options = optionsOf(values);
  const { systems, absent } = await chooseAll(options);
  const plan = makePlan(options, systems);
  const [json, html] = [String(values['json']), String(values['html'])];
  // Before the work, not after it.
  const renderer = html === '' ? null : await loadRenderer();
  await requireTun();
  const elsewhere = await runAsRoot('bench', argv, io);
  if (elsewhere !== null) return elsewhere;
  const line = progressLine(io);
  try {
    const command = ['twill', 'bench', ...argv].join(' ');
    const result = await runBench({
      ...{ version: packageVersion(), plan, command, absent },
      ...{ signal: io.signal, show: line.show },
    });
    line.end();
    if (json === '-') io.stdout(JSON.stringify(result, rounded, 2));
    else for (const text of benchTables(result)) io.stdout(text);
    if (json !== '' && json !== '-') await writeFile(json, `${JSON.stringify(result, rounded, 2)}\n`);
    if (renderer) await writeFile(html, reportHtml(result, renderer));
    const bad = result.judgements.filter(({ verdict }) => verdict === 'missed' || verdict === 'unknown');
    for (const { floor, underlay, verdict } of bad)
      io.stderr(`twill: floor ${verdict}: ${underlay}: ${floor.title}`);
    return bad.length === 0 && result.failures.length === 0 ? exitCode.done : exitCode.failed;
  } catch (error) {
    line.end();
    if (!io.signal.aborted) throw error;
    io.stderr('twill: stopped; all that was made is removed');
    return exitCode.failed;
  }
}

export function optionsOf(values: { readonly [name: string]: unknown }): BenchOptions {
  const underlay = values['underlay'] as UnderlayKind | 'all';
  const names = String(values['systems'])
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return {
    isQuick: values['quick'] === true,
    underlays: underlay === 'all' ? underlayKinds : [underlay],
    systems: names.length === 0 ? null : names,
    rounds: Number(values['rounds']) || null,
    seconds: Number(values['seconds']) || null,
    withPods: values['pods'] === true,
    withPeers: values['peers'] === true,
    withOffloads: values['offloads'] === true,
  };
}

/** On a terminal one line that changes, elsewhere a line each tenth of the way. */
function progressLine({ stderr }: CommandIo): { show: (state: ProgressState) => void; end: () => void } {
  const isTerminal = process.stderr.isTTY === true;
  let shownTenth = -1;
  return {
    show: ({ what, fraction, leftSeconds }) => {
      const left = leftSeconds === null ? '' : `, ${durationText(leftSeconds * 1000)} left`;
      const percent = `${Math.floor(fraction * 100)} %${left}`;
      if (isTerminal) {
        const width = process.stderr.columns ?? 80;
        process.stderr.write(`\r\u001b[K${`[${bar(fraction)}] ${percent}  ${what}`.slice(0, width - 1)}`);
        return;
      }
      const tenth = Math.floor(fraction * 10);
      if (tenth > shownTenth) stderr(`${percent}: ${what}`);
      shownTenth = Math.max(shownTenth, tenth);
    },
    end: () => {
      if (isTerminal) process.stderr.write('\r\u001b[K');
    },
  };
}

function bar(fraction: number): string {
  const width = 20;
  const full = Math.floor(fraction * width);
  return '#'.repeat(full) + '.'.repeat(width - full);
}

function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value;
}
