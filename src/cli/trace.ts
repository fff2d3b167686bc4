/** `twill trace ADDRESS`: what would happen to a packet from this node to that address. */
import { TwillError } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import type { Json } from '../net/json.js';
import { type Command, exitCode } from './command.js';
import { answer, controlFlags, field, items, parseQuery, usageText } from './control.js';
import { countText, endpointText, idleText } from './peers.js';
import { printable, table } from './table.js';

export const traceCommand: Command = {
  name: 'trace',
  summary: 'tell what would happen to a packet from this node to an address',
  usage: usageText(
    'twill trace ADDRESS [flags]',
    [
      'Asks the packet path itself: which peer, which endpoint, the bytes put in front of the packet, the MTU; or under',
      'which name the packet would be dropped. Nothing is sent.',
    ],
    controlFlags,
  ),
  async run(argv, io) {
    const query = parseQuery(argv, io, ['ADDRESS']);
    const [text = ''] = query.positional;
    const address = IpAddress.tryParse(text);
    if (!address) throw new TwillError('ERR_TWILL_USAGE', `not an IP address: ${text}`);
    await answer(query, io, 'trace', { address: address.toString() }, renderTrace);
    return exitCode.done;
  },
};

export function renderTrace(trace: Json): string[] {
  const text = (...path: string[]) => printable(String(field(trace, ...path) ?? '-'));
  const rows: string[][] = [['address', text('address')]];
  const drop = field(trace, 'drop') ?? null;
  const isDirect = field(trace, 'way') === 'direct';
  if (drop !== null) {
    rows.push(['dropped', text('drop')]);
    if (field(trace, 'ownSubnet') === true)
      rows.push(['because', "it lies in this node's own subnet, which the kernel reaches directly"]);
    for (const record of items(field(trace, 'quarantined'))) {
      const [key, reason] = ['key', 'reason'].map((name) => printable(String(field(record, name) ?? '-')));
      rows.push(['because', `${key} is quarantined: ${reason}`]);
    }
  } else {
    const mac = (field(trace, 'peer', 'mac') ?? null) === null ? '' : `, MAC ${text('peer', 'mac')}`;
    rows.push(
      ['peer', `${text('peer', 'subnet')}${mac}`],
      isDirect
        ? ['gateway', text('endpoint', 'address')]
        : ['endpoint', `UDP ${endpointText(field(trace, 'endpoint'))}`],
    );
    const peer = field(trace, 'peer') ?? null;
    if (field(peer, 'encap') !== undefined) {
      const never = field(peer, 'isReservation') === false ? 'end unknown' : 'never ends';
      const ends = text('peer', 'expiresAt');
      const [sent, received] = ['encap', 'decap'].map((direction) => countText(field(peer, direction)));
      const heard = idleText(field(peer, 'idleSeconds'));
      rows.push(['lease', ends === '-' ? never : `ends ${ends}`]);
      if (field(peer, 'encap') !== null)
        rows.push(['so far', `sent ${sent}, received ${received}, last heard ${heard}`]);
    }
  }
  rows.push(['MTU', text('mtuBytes')]);
  const header = items(field(trace, 'header'));
  const lines = table([], rows);
  if (drop !== null) return lines;
  if (isDirect)
    return [
      ...lines,
      'way       directly: the peer is on a network of this host, so nothing is put in front',
    ];
  if (header.length === 0) return [...lines, 'header    none: the packet itself is the UDP payload'];
  const fields = header.map((part) => [
    `  ${printable(String(field(part, 'bytes')))}`,
    printable(String(field(part, 'meaning'))),
  ]);
  return [...lines, 'header    in front of the packet, inside UDP:', ...table([], fields)];
}
