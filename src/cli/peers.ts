/** `twill peers`: the peer table of the agent on this node. */
import type { Json } from '../net/json.js';
import { type Command, exitCode } from './command.js';
import { answer, controlFlags, field, items, parseQuery, usageText } from './control.js';
import { printable, table } from './table.js';

export const peersCommand: Command = {
  name: 'peers',
  summary: 'list the peers that the agent on this node sends to',
  usage: usageText(
    'twill peers [flags]',
    [
      'One line for each subnet: where packets for it go, and when its lease ends. Records that could not become',
      'peers are named by "twill status".',
    ],
    controlFlags,
  ),
  async run(argv, io) {
    await answer(parseQuery(argv, io, []), io, 'peers', null, renderPeers);
    return exitCode.done;
  },
};

export function renderPeers(peers: Json): string[] {
  const rows = items(peers).map((peer) => [
    cell(field(peer, 'subnet')),
    endpointText(field(peer, 'endpoint')),
    cell(field(peer, 'mac')),
    cell(field(peer, 'expiresAt'), field(peer, 'isReservation') === false ? 'unknown' : 'never'),
  ]);
  return rows.length === 0 ? ['no peers'] : table(['SUBNET', 'ENDPOINT', 'MAC', 'EXPIRES'], rows);
}

/** `192.0.2.1:8472`, `[2001:db8::1]:8472`. */
export function endpointText(endpoint: Json | undefined): string {
  const address = cell(field(endpoint, 'address'));
  return `${address.includes(':') ? `[${address}]` : address}:${cell(field(endpoint, 'port'))}`;
}

function cell(value: Json | undefined, whenNull = '-'): string {
  return printable(String(value ?? whenNull));
}
