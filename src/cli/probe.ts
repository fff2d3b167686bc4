/** `twill probe PEER`: whether a peer can be reached, and by packets of which size, as the tunnel would reach it. */
import { randomInt } from 'node:crypto';
import { type FlagSpec, parseFlags } from '../config/flags.js';
import { TwillError } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import type { Json } from '../net/json.js';
import { Prefix } from '../net/prefix.js';
import { controlRequest } from '../observe/control-socket.js';
import { type ProbePlan, type ProbeResult, probe, type Reach } from '../probe/probe.js';
import { type Command, type CommandIo, exitCode } from './command.js';
import { controlFlags, field, items, usageText } from './control.js';
import { endpointText } from './peers.js';
import { printable, table } from './table.js';

const probeFlags: FlagSpec[] = [
  ...controlFlags,
  {
    name: 'timeout',
    kind: 'integer',
    default: 1000,
    min: 10,
    max: 60_000,
    help: 'milliseconds to wait for an answer',
    env: false,
  },
  {
    name: 'tries',
    kind: 'integer',
    default: 3,
    min: 1,
    max: 100,
    help: 'how often what may be lost is tried',
    env: false,
  },
];

export const probeCommand: Command = {
  name: 'probe',
  summary: 'find out whether a peer can be reached, and by packets of which size',
  usage: usageText(
    'twill probe PEER [flags]',
    [
      "PEER is a peer's subnet, the address of its endpoint or any address of its subnet. Sends an echo request to the",
      "endpoint, one inside a datagram to the tunnel's UDP port, and one by way of the overlay device; then looks for the",
      'longest packet that passes. Measures the way there: run it on the peer for the way back. Needs CAP_NET_RAW and the',
      'package raw-socket. Exits 0 when the peer is reached with full packets, else 1.',
    ],
    probeFlags,
  ),
  run: probePeer,
};

async function probePeer(argv: readonly string[], io: CommandIo): Promise<number> {
  const { values, positional } = parseFlags(probeFlags, argv, io.env);
  const [peer, extra] = positional;
  if (peer === undefined) throw new TwillError('ERR_TWILL_USAGE', 'missing argument: PEER');
  if (extra !== undefined) throw new TwillError('ERR_TWILL_USAGE', `unexpected argument: ${extra}`);
  const about = await controlRequest(String(values['control-socket']), 'peer', { peer });
  const plans = plansOf(about, Number(values['timeout']), Number(values['tries']));
  const results: ProbeResult[] = [];
  for (const plan of plans) results.push(await probe(plan, randomInt(0x10000), io.signal));
  if (io.signal.aborted) return exitCode.failed;
  if (values['json'] === true) io.stdout(JSON.stringify(results.map(resultJson), null, 2));
  else
    for (const [i, result] of results.entries()) {
      if (i > 0) io.stdout('');
      for (const line of renderProbe(result)) io.stdout(printable(line));
    }
  return results.every(({ verdict }) => verdict.kind === 'ok') ? exitCode.done : exitCode.failed;
}

/** One for each endpoint of the peer. */
function plansOf(about: Json, timeoutMs: number, tries: number): ProbePlan[] {
  const locals = items(field(about, 'addresses')).map((text) => IpAddress.parse(String(text)));
  const plans = new Map<string, ProbePlan>();
  for (const row of items(field(about, 'rows'))) {
    const address = IpAddress.parse(String(field(row, 'endpoint', 'address')));
    const local = locals.find(({ family }) => family === address.family);
    const ownAddress = IpAddress.tryParse(String(field(row, 'ownAddress')));
    if (!local || !ownAddress || plans.has(address.toString())) continue;
    plans.set(address.toString(), {
      encap: field(about, 'encap') === 'udp' ? 'udp' : 'vxlan',
      device: String(field(about, 'device')),
      ...{ local, ownAddress, timeoutMs, tries },
      endpoint: { address, port: Number(field(row, 'endpoint', 'port')) },
      peerAddress: Prefix.parse(String(field(row, 'subnet'))).address,
      header: Uint8Array.from(Buffer.from(String(field(row, 'header')), 'hex')),
      innerMtuBytes: Number(field(about, 'innerMtuBytes')),
    });
  }
  if (plans.size > 0) return [...plans.values()];
  throw new TwillError(
    'ERR_TWILL_PROBE',
    "we have no underlay address of the peer's family: nothing could be sent to it",
  );
}

export function renderProbe(result: ProbeResult): string[] {
  const { plan, underlay, tunnel, overlay, pathMtuBytes, neededBytes, verdict } = result;
  const endpoint = endpointText({ address: `${plan.endpoint.address}`, port: plan.endpoint.port });
  const isWhole = pathMtuBytes !== null && pathMtuBytes >= neededBytes;
  return table(
    [],
    [
      ['endpoint', `${endpoint} (${plan.encap}), from ${plan.local}`],
      ['underlay', reachText(underlay)],
      ['tunnel', reachText(tunnel)],
      ['overlay', `${plan.peerAddress}: ${reachText(overlay)}`],
      ['path MTU', pathMtuBytes === null ? 'unknown' : `${pathMtuBytes} bytes${isWhole ? ' or more' : ''}`],
      ['needed', `${neededBytes} bytes, for inner packets of ${plan.innerMtuBytes}`],
      ['verdict', verdict.text],
      ...(verdict.advice === '' ? [] : [['to do', verdict.advice]]),
    ],
  );
}

function reachText({ rttMs, said }: Reach): string {
  if (rttMs !== null) return `answers, RTT ${rttMs.toFixed(2)} ms`;
  return said === null ? 'no answer' : `no answer: ${said}`;
}

function resultJson({ plan, verdict, ...found }: ProbeResult): Json {
  const reach = ({ rttMs, said }: Reach) => ({ rttMs, said });
  return {
    encap: plan.encap,
    endpoint: { address: `${plan.endpoint.address}`, port: plan.endpoint.port },
    source: `${plan.local}`,
    peerAddress: `${plan.peerAddress}`,
    underlay: reach(found.underlay),
    tunnel: reach(found.tunnel),
    overlay: reach(found.overlay),
    pathMtuBytes: found.pathMtuBytes,
    neededBytes: found.neededBytes,
    innerMtuBytes: plan.innerMtuBytes,
    verdict: verdict.kind,
    text: verdict.text,
    advice: verdict.advice,
  };
}
