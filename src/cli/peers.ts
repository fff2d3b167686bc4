/** `twill peers`: the peer table of the agent on this node. */
import type { Json } from '../net/json.js';
import { type Command, exitCode } from './command.js';
import { answer, controlFlags, field, items, parseQuery, usageText } from './control.js';
import { bytesText, durationText, printable, table } from './table.js';

export const peersCommand: Command = {
  name: 'peers',
  summary: 'list the peers that the agent on this node sends to',
  usage: usageText(
    'twill peers [flags]',
    [
      'One line for each subnet: where packets for it go and which way (in a tunnel or directly), what went there and came back since it is a peer, when the',
      'last packet came, and when its lease ends. Records that could not become peers are named by "twill status".',
    ],
    controlFlags,
  ),
  async run(argv, io) {
    await answer(parseQuery(argv, io, []), io, 'peers', null, renderPeers);
    return exitCode.done;
  },
};

const HEADER = ['SUBNET', 'ENDPOINT', 'WAY', 'MAC', 'SENT', 'RECEIVED', 'LAST HEARD', 'LEASE ENDS'];

export function renderPeers(peers: Json): string[] {
  const rows = items(peers).map((peer) => [
    cell(field(peer, 'subnet')),
    endpointText(field(peer, 'endpoint')),
    (field(peer, 'trouble') ?? null) === null ? cell(field(peer, 'way'), 'tunnel') : 'TROUBLE',
    cell(field(peer, 'mac')),
    ...['encap', 'decap'].map((direction) => countText(field(peer, direction))),
    isCounted(peer) ? idleText(field(peer, 'idleSeconds')) : '-',
    cell(field(peer, 'expiresAt'), field(peer, 'isReservation') === false ? 'unknown' : 'never'),
  ]);
  return rows.length === 0 ? ['no peers'] : table(HEADER, rows);
}

/** The kernel counts none by peer. */
function isCounted(peer: Json): boolean {
  return field(peer, 'decap') !== null;
}

/** `12 pkt 1.5 KiB`, and drops where there are any. */
export function countText(counts: Json | undefined): string {
  if (counts === undefined || counts === null) return '-';
  const [packets = 0, bytes = 0, drops = 0] = ['packets', 'bytes', 'drops'].map((name) =>
    Number(field(counts, name) ?? 0),
  );
  return `${packets} pkt ${bytesText(bytes)}${drops > 0 ? ` (${drops} dropped)` : ''}`;
}

export function idleText(idleSeconds: Json | undefined): string {
  if (idleSeconds === undefined) return '-';
  if (idleSeconds === null) return 'never';
  const seconds = Number(idleSeconds);
  return seconds < 1 ? 'now' : `${durationText(seconds * 1000)} ago`;
}

/** `192.0.2.1:8472`, `[2001:db8::1]:8472`; the address alone where packets are routed to it. */
export function endpointText(endpoint: Json | undefined): string {
  const address = cell(field(endpoint, 'address'));
  if (field(endpoint, 'port') === 0) return address;
  return `${address.includes(':') ? `[${address}]` : address}:${cell(field(endpoint, 'port'))}`;
}

function cell(value: Json | undefined, whenNull = '-'): string {
  return printable(String(value ?? whenNull));
}
