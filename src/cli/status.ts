/** `twill status`: how the agent on this node is doing. */
import type { Json } from '../net/json.js';
import { type Command, exitCode } from './command.js';
import { answer, controlFlags, field, items, parseQuery, usageText } from './control.js';
import { bytesText, durationText, printable, table } from './table.js';

export const statusCommand: Command = {
  name: 'status',
  summary: 'show how the agent on this node is doing: lease, store, counters, quarantined records',
  usage: usageText(
    'twill status [flags]',
    [
      'Asks the running agent and prints its lease, its store, and where packets went. Zero drop counters are hidden;',
      '--json has them all.',
    ],
    controlFlags,
  ),
  async run(argv, io) {
    const query = parseQuery(argv, io, []);
    await answer(query, io, 'status', null, (status) => renderStatus(status, Date.now()));
    return exitCode.done;
  },
};

/** More are for programs. */
const MOST_QUARANTINED = 100;
const MOST_MENDED = 10;

export function renderStatus(status: Json, nowMs: number): string[] {
  const text = (...path: string[]) => {
    const value = field(status, ...path);
    return value === undefined || value === null ? '-' : printable(String(value));
  };
  const has = (...path: string[]) => (field(status, ...path) ?? null) !== null;
  const trouble = has('store', 'trouble') ? `TROUBLE: ${text('store', 'trouble')}` : 'well';
  const device = has('node', 'deviceTrouble') ? `: TROUBLE: ${text('node', 'deviceTrouble')}` : '';
  const snapshot = has('store', 'lastSnapshotAt')
    ? `, last read ${ago(text('store', 'lastSnapshotAt'), nowMs)} ago`
    : '';
  const macV6 = has('backend', 'macV6') ? `, IPv6 ${text('backend', 'macV6')}` : '';
  const vxlan = has('backend', 'vni')
    ? `, VNI ${text('backend', 'vni')}, MAC ${text('backend', 'mac')}${macV6}`
    : '';
  const port = has('backend', 'port') ? `, port ${text('backend', 'port')}` : '';
  const v6 = has('node', 'publicIpv6') ? ` ${text('node', 'publicIpv6')}` : '';
  const moves = Number(field(status, 'node', 'underlayMoves') ?? 0);
  const moved = moves > 0 ? `, moved ${moves === 1 ? 'once' : `${moves} times`}` : '';
  const renewal = untilText(field(status, 'node', 'leaseRenewsAt'), nowMs, ', renewed in ', '');
  const end = has('node', 'leaseExpiresAt')
    ? `ends ${text('node', 'leaseExpiresAt')}${untilText(field(status, 'node', 'leaseExpiresAt'), nowMs, ' (in ', ')')}${renewal}`
    : 'never ends (reservation)';
  const uptime = durationText(Number(field(status, 'uptimeSeconds') ?? 0) * 1000);
  const lines = table(
    [],
    [
      ['version', `${text('version')}, up ${uptime}`],
      ['ready', readyText(status)],
      ['node', `${text('node', 'publicIp')}${v6} on ${text('node', 'interface')}${moved}`],
      ['lease', `${text('node', 'subnet')}, ${end}`],
      ['device', `${text('node', 'device')}, MTU ${text('node', 'mtuBytes')}${device}`],
      ['backend', `${text('backend', 'type')}${port}${vxlan}`],
      ...(has('dataplane') ? [['plane', `${text('dataplane', 'kind')} (${text('dataplane', 'why')})`]] : []),
      ...firewallRows(status, nowMs),
      ...items(field(status, 'hostTroubles')).map((trouble) => ['host', `TROUBLE: ${shown(trouble)}`]),
      ['store', `${text('store', 'description')}: ${trouble}${snapshot}`],
      ['peers', `${text('peers')}, generation ${text('generation')}`],
      ...(has('workers') ? engineRows(status, text) : []),
    ],
  );
  lines.push('', ...counterLines(status), ...troubleLines(status), ...mendedLines(status, nowMs));
  const quarantined = items(field(status, 'quarantined'));
  if (quarantined.length > 0) {
    lines.push('', `quarantined: ${quarantined.length}`);
    for (const entry of quarantined.slice(0, MOST_QUARANTINED))
      lines.push(`  ${shown(field(entry, 'key'))}: ${shown(field(entry, 'reason'))}`);
    const more = quarantined.length - MOST_QUARANTINED;
    if (more > 0) lines.push(`  and ${more} more: --json names them all`);
  }
  return lines;
}

/** Of our own packet path. */
function engineRows(status: Json, text: (...path: string[]) => string): string[][] {
  return [
    ['workers', `${text('workers')}, pool ${text('pool', 'free')} of ${text('pool', 'slots')} free`],
    ['offload', offloadText(status)],
    ['icmp', `${text('counters', 'icmpSent')} sent, ${text('counters', 'icmpSuppressed')} suppressed`],
  ];
}

/** Peers that are not reached as wanted, and what of others is in the overlay's range. */
function troubleLines(status: Json): string[] {
  const troubles = items(field(status, 'dataplane', 'troubles'));
  const foreign = items(field(status, 'dataplane', 'foreignRoutes'));
  const shownTroubles = troubles.slice(0, MOST_QUARANTINED).map((trouble) => {
    const subnet = field(trouble, 'subnet') ?? null;
    return `  ${subnet === null ? '' : `${shown(subnet)}: `}${shown(field(trouble, 'reason'))}`;
  });
  return [
    ...(troubles.length > 0
      ? ['', `TROUBLE with the kernel's tables: ${troubles.length}`, ...shownTroubles]
      : []),
    ...(foreign.length > 0 ? ['', `routes of others into the overlay, left alone: ${foreign.length}`] : []),
    ...foreign.slice(0, MOST_QUARANTINED).map((route) => `  ${shown(route)}`),
  ];
}

/** What others have changed of ours. */
function mendedLines(status: Json, nowMs: number): string[] {
  const count = Number(field(status, 'dataplane', 'mended', 'count') ?? 0);
  if (count === 0) return [];
  const last = items(field(status, 'dataplane', 'mended', 'last')).slice(-MOST_MENDED);
  const lines = last.map(
    (one) => `  ${ago(shown(field(one, 'at')), nowMs)} ago: ${shown(field(one, 'what'))}`,
  );
  return ['', `put right: ${count}${count > last.length ? `, the last ${last.length}` : ''}`, ...lines];
}

/** Or what is missing. */
function readyText(status: Json): string {
  const conditions = Object.entries(field(status, 'readiness') ?? {}) as [string, Json][];
  if (conditions.length === 0) return '-';
  const missing = conditions.filter(([, lacks]) => lacks !== null);
  if (missing.length === 0) return 'yes';
  return `NO: ${missing.map(([name, lacks]) => printable(`${name}: ${lacks}`)).join('; ')}`;
}

/** Nothing where the host's rules are none of our business. */
function firewallRows(status: Json, nowMs: number): [string, string][] {
  const firewall = field(status, 'firewall') ?? null;
  if (firewall === null) return [];
  const is = (name: string) => field(firewall, name) === true;
  const random = is('randomPorts') ? ' with random ports' : '';
  const wanted = [
    ...(is('masquerade') ? [`masquerade${random}`] : []),
    ...(is('forward') ? ['forward'] : []),
  ];
  const rules = wanted.length > 0 ? `${wanted.join(', ')} in ${shown(field(firewall, 'holder'))}` : 'none';
  const troubles = items(field(firewall, 'troubles')).map((trouble) => `: TROUBLE: ${shown(trouble)}`);
  const last = items(field(firewall, 'mended', 'last')).at(-1);
  const total = Number(field(firewall, 'mended', 'count') ?? 0);
  const mended = last
    ? `; mended ${total} times, last ${ago(String(field(last, 'at')), nowMs)} ago: ${shown(field(last, 'what'))}`
    : '';
  return [['rules', `${rules}${troubles.join('')}${mended}`]];
}

/** Those in use, and what became of the others that were asked for. */
function offloadText(status: Json): string {
  const all = Object.entries(field(status, 'offloads') ?? {}) as [string, Json][];
  const active = all.filter(([, state]) => field(state, 'active') === true).map(([name]) => printable(name));
  const refused = all.flatMap(([name, state]) => {
    const count = Number(field(state, 'refused') ?? 0);
    return count > 0 ? [`${printable(name)} refused ${count} times`] : [];
  });
  const parts = [active.length > 0 ? active.join(' ') : 'none', ...refused];
  return `${parts.join(', ')}; checksums ${printable(String(field(status, 'checksum') ?? '-'))}`;
}

function counterLines(status: Json): string[] {
  const rows: string[][] = [];
  const drops: string[][] = [];
  for (const direction of ['encap', 'decap']) {
    if ((field(status, 'counters', direction) ?? null) === null) continue;
    const count = (name: string) => Number(field(status, 'counters', direction, name) ?? 0);
    const named = Object.entries(field(status, 'counters', direction, 'drops') ?? {});
    const dropped = named.reduce((sum, [, value]) => sum + Number(value), 0);
    const exact = field(status, 'identity', direction) === true ? 'yes' : 'NO';
    rows.push([
      ...[direction, String(count('received')), bytesText(count('receivedBytes'))],
      ...[String(count('delivered')), bytesText(count('deliveredBytes')), String(dropped), exact],
    ]);
    for (const [name, value] of named)
      if (value !== 0) drops.push([`  ${direction}`, printable(name), String(value)]);
  }
  if (rows.length === 0) return ['packets are not counted: the host routes them by itself'];
  const header = ['packets', 'received', '', 'delivered', '', 'dropped', 'all accounted for'];
  return [...table(header, rows), ...(drops.length > 0 ? ['', 'drops', ...table([], drops)] : [])];
}

/** `2 h 5 min` between the two texts; nothing for a time that is over, or none. */
function untilText(at: Json | undefined, nowMs: number, before: string, after: string): string {
  const leftMs = typeof at === 'string' ? Date.parse(at) - nowMs : 0;
  return leftMs > 0 ? `${before}${durationText(leftMs)}${after}` : '';
}

function ago(text: string, nowMs: number): string {
  return durationText(nowMs - Date.parse(text));
}

function shown(value: Json | undefined): string {
  return printable(String(value ?? '-'));
}
