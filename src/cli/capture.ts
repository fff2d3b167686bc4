/** `twill capture`: what passes a node, decoded; from its plane, an interface or a file, to the terminal or a file. */

import { FrameWriter } from '../capture/frame-writer.js';
import {
  accepts,
  decodePassed,
  type Passed,
  type PassedFilter,
  passedJson,
  passedLine,
} from '../capture/passed.js';
import { type CaptureSource, openSource, type SourceOptions } from '../capture/sources.js';
import { type FlagSpec, type FlagValue, parseFlags, textFlag } from '../config/flags.js';
import { TwillError } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import { Prefix } from '../net/prefix.js';
import { TUNNEL_PORTS } from '../wire/tunnel-frame.js';
import { type Command, type CommandIo, exitCode } from './command.js';
import { controlFlags, usageText } from './control.js';
import { printable } from './table.js';

/** Of a payload: enough for all headers that a line tells of. */
const SNAP_BYTES_OF_LINES = 256;
const WHOLE_BYTES = 65_535 + 64;

const plain = (spec: FlagSpec): FlagSpec => ({ ...spec, env: false });

export const captureFlags: FlagSpec[] = [
  ...controlFlags.filter(({ name }) => name === 'control-socket'),
  plain(
    textFlag(
      'interface',
      '',
      "frames of this interface instead of the agent's plane (needs the package cap)",
    ),
  ),
  plain(
    textFlag(
      'filter',
      '',
      "with --interface: which frames, in the language of libpcap; default: the tunnels' ports",
    ),
  ),
  plain(textFlag('r', '', 'read this pcap or pcapng file instead; "-": standard input')),
  plain(textFlag('w', '', 'write pcapng to this file instead of lines; "-": standard output')),
  plain(
    textFlag(
      'peer',
      '',
      'only packets from and to this peer: its subnet, its endpoint or an address of its subnet',
    ),
  ),
  plain({
    name: 'subnet',
    kind: 'list',
    default: [],
    help: 'only packets whose inner source or destination lies in it; may be repeated',
  }),
  plain({
    name: 'drop',
    kind: 'list',
    default: [],
    help: 'only packets with this fate: a drop reason, "any" of them, or "none"; may be repeated',
  }),
  plain({
    name: 'sample',
    kind: 'integer',
    default: 1,
    min: 1,
    max: 1_000_000_000,
    help: 'look at one packet of so many of the plane',
  }),
  plain({
    name: 'port',
    kind: 'integer',
    default: 0,
    min: 0,
    max: 65_535,
    help: "one more UDP port that is a tunnel's, beside 8472, 8285 and 4789",
  }),
  plain({
    name: 'count',
    kind: 'integer',
    default: 0,
    min: 0,
    max: 1_000_000_000_000,
    help: 'end after so many packets; 0: never',
  }),
  plain({
    name: 'seconds',
    kind: 'integer',
    default: 0,
    min: 0,
    max: 10_000_000,
    help: 'end after so many seconds; 0: never',
  }),
  plain({ name: 'macs', kind: 'boolean', default: false, help: 'show the inner MAC addresses' }),
  ...controlFlags.filter(({ name }) => name === 'json'),
];

export const captureCommand: Command = {
  name: 'capture',
  summary: 'show what passes this node, decoded, or write it to a file',
  usage: usageText(
    'twill capture [flags]',
    [
      'One line for each packet: outer addresses, encapsulation and inner packet, and the drop reason where it ended early.',
      'Without --interface or -r it asks the running agent for what passes its packet path. How many packets were lost',
      'because they came faster than they were read is said on standard error at the end.',
      '',
      '-w writes pcapng for Wireshark, tshark and tcpdump; drop reasons are comments of the packets. Times are UTC.',
    ],
    captureFlags,
  ),
  run: capture,
};

interface Wanted extends Omit<SourceOptions, 'ports' | 'snapBytes'> {
  readonly writePath: string;
  readonly port: number;
  readonly count: number;
  readonly seconds: number;
  readonly macs: boolean;
  readonly isJson: boolean;
}

async function capture(argv: readonly string[], io: CommandIo): Promise<number> {
  const wanted = wantedOf(argv, io);
  const filter = filterOf(wanted);
  const ports = [...TUNNEL_PORTS, ...(wanted.port === 0 ? [] : [wanted.port])];
  const ending = new AbortController();
  const signal = AbortSignal.any([io.signal, ending.signal]);
  const timer = wanted.seconds > 0 ? setTimeout(() => ending.abort(), wanted.seconds * 1000) : undefined;
  let source: CaptureSource | undefined;
  let writer: FrameWriter | undefined;
  let seen = 0;
  try {
    source = await openSource({ ...wanted, ports, snapBytes: snapBytes(wanted) }, signal);
    const tunnelPorts = [...ports, ...source.ports];
    if (wanted.writePath !== '') writer = await FrameWriter.open(wanted.writePath, source);
    for await (const frame of source.frames) {
      // What the agent has chosen goes into a file unread.
      if (writer && source.isFiltered) await writer.write(frame);
      else {
        const passed = decodePassed(frame, tunnelPorts);
        if (!source.isFiltered && !accepts(filter, passed)) continue;
        if (writer) await writer.write(frame);
        else io.stdout(lineOf(passed, wanted));
      }
      seen += 1;
      if (seen === wanted.count) break;
    }
  } finally {
    clearTimeout(timer);
    ending.abort();
    source?.close();
    await writer?.close(source?.lost() ?? 0);
  }
  const lost = source.lost();
  if (writer || lost > 0)
    io.stderr(
      `${seen} packets${lost > 0 ? `, ${lost} more lost: they came faster than they were read` : ''}`,
    );
  return exitCode.done;
}

function lineOf(passed: Passed, { isJson, macs }: Wanted): string {
  return isJson ? JSON.stringify(passedJson(passed)) : printable(passedLine(passed, { macs }));
}

function snapBytes({ writePath, isJson }: Wanted): number {
  return writePath !== '' && !isJson ? WHOLE_BYTES : SNAP_BYTES_OF_LINES;
}

function wantedOf(argv: readonly string[], io: CommandIo): Wanted {
  const { values, positional } = parseFlags(captureFlags, argv, io.env);
  if (positional[0] !== undefined) throw usage(`unexpected argument: ${positional[0]}`);
  const text = (name: string) => String(values[name]);
  const list = (value: FlagValue | undefined) => (Array.isArray(value) ? value.map(String) : []);
  const wanted = {
    socket: text('control-socket'),
    interface: text('interface'),
    filter: text('filter'),
    readPath: text('r'),
    writePath: text('w'),
    peer: text('peer'),
    subnets: list(values['subnet']),
    drops: list(values['drop']),
    every: Number(values['sample']),
    port: Number(values['port']),
    count: Number(values['count']),
    seconds: Number(values['seconds']),
    macs: values['macs'] === true,
    isJson: values['json'] === true,
  };
  if (wanted.interface !== '' && wanted.readPath !== '') throw usage('--interface and -r exclude each other');
  if (wanted.filter !== '' && wanted.interface === '') throw usage('--filter is for --interface');
  if (wanted.every > 1 && (wanted.interface !== '' || wanted.readPath !== ''))
    throw usage("--sample is for the agent's plane: leave it out with --interface and -r");
  if (wanted.interface !== '' && wanted.drops.length > 0)
    throw usage('an interface knows of no drops of ours: leave --drop or --interface out');
  for (const subnet of wanted.subnets)
    if (!Prefix.tryParse(subnet)) throw usage(`--subnet=${subnet} is no prefix: write 10.244.1.0/24`);
  return wanted;
}

/** For what the agent has not filtered already. */
function filterOf(wanted: Wanted): PassedFilter {
  const isPlane = wanted.interface === '' && wanted.readPath === '';
  const peer = IpAddress.tryParse(wanted.peer);
  if (!isPlane && wanted.peer !== '' && !peer)
    throw usage(
      `--peer=${wanted.peer}: with --interface and -r a peer is named by the address of its endpoint`,
    );
  return {
    ...(peer && !isPlane && { peer }),
    subnets: wanted.subnets.map((text) => Prefix.parse(text)),
    drops: wanted.drops,
  };
}

function usage(message: string): TwillError {
  return new TwillError('ERR_TWILL_USAGE', message);
}
