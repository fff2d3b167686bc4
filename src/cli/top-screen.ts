/** What `twill top` shows, as lines that fit. Pure. */
import type { Json } from '../net/json.js';
import { field, items } from './control.js';
import { endpointText } from './peers.js';
import { bytesText, durationText, printable } from './table.js';

export interface TopView {
  readonly order: string;
  readonly isPaused: boolean;
  /** Why there is nothing newer. */
  readonly trouble: string | null;
  readonly columns: number;
  /** null: as many as there are. */
  readonly rows: number | null;
  readonly isColoured: boolean;
  /** Keys are named in the last line. */
  readonly isLive: boolean;
}

type Style = 'bold' | 'dim' | 'red' | 'header';
const CODES: { readonly [style in Style]: string } = {
  bold: '\x1b[1m',
  dim: '\x1b[2m',
  red: '\x1b[31m',
  header: '\x1b[7m',
};

interface Cell {
  readonly text: string;
  readonly style?: Style;
}
interface Column {
  readonly title: string;
  readonly isNumber: boolean;
  /** At least, so that the columns stand still while their values change. */
  readonly width?: number;
  /** The highest go first where the screen is narrow. */
  readonly leavesAt: number;
  readonly cell: (row: Json) => Cell;
}

const number = (row: Json, ...path: string[]): number | null => {
  const value = field(row, ...path);
  return typeof value === 'number' ? value : null;
};
const rate = (direction: string, what: string, text: (value: number) => string) => (row: Json) => {
  const value = number(row, direction, what);
  return value === null
    ? { text: '-', style: 'dim' as const }
    : { text: text(value), ...(value === 0 && { style: 'dim' as const }) };
};
const inBits = (bytesPerSecond: number) => bitRateText(bytesPerSecond * 8);

const peerColumns: readonly Column[] = [
  { title: 'PEER', isNumber: false, leavesAt: 0, cell: (row) => ({ text: shown(field(row, 'subnet')) }) },
  {
    title: 'ENDPOINT',
    isNumber: false,
    leavesAt: 5,
    cell: (row) => ({ text: endpointText(field(row, 'endpoint')) }),
  },
  { title: 'OUT', isNumber: true, width: 12, leavesAt: 1, cell: rate('encap', 'bytesPerSecond', inBits) },
  {
    title: 'OUT PKT/S',
    isNumber: true,
    width: 9,
    leavesAt: 3,
    cell: rate('encap', 'packetsPerSecond', countText),
  },
  { title: 'IN', isNumber: true, width: 12, leavesAt: 1, cell: rate('decap', 'bytesPerSecond', inBits) },
  {
    title: 'IN PKT/S',
    isNumber: true,
    width: 9,
    leavesAt: 3,
    cell: rate('decap', 'packetsPerSecond', countText),
  },
  { title: 'DROPS/S', isNumber: true, width: 7, leavesAt: 2, cell: dropCell },
  { title: 'HEARD', isNumber: true, width: 10, leavesAt: 4, cell: heardCell },
];

interface Layout {
  readonly isNumber: readonly boolean[];
  readonly least: readonly number[];
}
const TOTALS: Layout = { isNumber: [false, true, true, true, true], least: [0, 12, 12, 14, 16] };

export function renderTop(traffic: Json, view: TopView): string[] {
  const paint = (text: string, style?: Style) =>
    style && view.isColoured && text.trim() !== '' ? `${CODES[style]}${text}\x1b[0m` : text;
  const isShort = view.rows !== null && view.rows < 12;
  const head = headLines(traffic, view, paint).filter((line) => !isShort || line !== '');
  const foot = footLine(traffic, view);
  // One line for the titles, one for the foot.
  const room = view.rows === null ? Number.POSITIVE_INFINITY : view.rows - head.length - 2;
  const rows = items(field(traffic, 'rows'));
  const none = field(traffic, 'countsPeers') === false ? 'the kernel counts no packets by peer' : 'no peers';
  const lines = rows.length === 0 ? [...head, none] : [...head];
  if (rows.length > 0 && room > 0) lines.push(...peerLines(rows.slice(0, room), view, paint));
  if (view.rows !== null) {
    while (lines.length < view.rows - 1) lines.push('');
    lines.length = Math.max(view.rows - 1, 0);
  }
  return [...lines, paint(clip(foot, view.columns), 'dim')];
}

function headLines(traffic: Json, view: TopView, paint: (text: string, style?: Style) => string): string[] {
  const seconds = number(traffic, 'seconds') ?? 0;
  const span = seconds > 0 ? `over ${seconds.toFixed(1)} s` : 'first look: rates follow';
  const state = view.trouble
    ? paint(clip(printable(view.trouble), view.columns), 'red')
    : paint(clip(view.isPaused ? 'paused' : span, view.columns), view.isPaused ? 'red' : 'dim');
  const node = `${shown(field(traffic, 'node', 'subnet'))} on ${shown(field(traffic, 'node', 'device'))}`;
  const title = clip(`twill top  ${node}`, view.columns);
  const isRoom = title.length + 3 + Math.max(span.length, view.trouble?.length ?? 0) <= view.columns;
  const lines = isRoom ? [`${paint(title, 'bold')}   ${state}`] : [paint(title, 'bold'), state];
  const totals: Cell[][] = ['encap', 'decap'].map((direction) => {
    const at = field(traffic, direction) ?? null;
    const cell = (what: string, text: (value: number) => string) =>
      rate(direction, what, text)({ [direction]: at });
    const drops = number(at, 'dropsPerSecond');
    return [
      { text: direction === 'encap' ? 'out (encap)' : 'in (decap)' },
      cell('bytesPerSecond', inBits),
      cell('packetsPerSecond', (value) => `${countText(value)} pkt/s`),
      { text: `${drops === null ? '-' : countText(drops)} drops/s`, style: drops ? 'red' : 'dim' },
      { text: `${bytesText(number(at, 'bytes') ?? 0)} in all` },
    ];
  });
  lines.push(...alignedLines(totals, TOTALS, view, paint));
  const drops = items(field(traffic, 'drops'))
    .map((drop) => ({ drop, perSecond: number(drop, 'packetsPerSecond') ?? 0 }))
    .filter(({ perSecond }) => perSecond > 0)
    .sort((a, b) => b.perSecond - a.perSecond)
    .map(
      ({ drop, perSecond }) =>
        `${shown(field(drop, 'direction'))} ${shown(field(drop, 'reason'))} ${countText(perSecond)}/s`,
    );
  if (drops.length > 0) lines.push(paint(clip(`dropping: ${drops.join(', ')}`, view.columns), 'red'));
  return [...lines, ''];
}

function peerLines(
  rows: readonly Json[],
  view: TopView,
  paint: (text: string, style?: Style) => string,
): string[] {
  for (let leavesAt = 6; ; leavesAt--) {
    const columns = peerColumns.filter((column) => column.leavesAt < leavesAt);
    const cells = rows.map((row) => columns.map(({ cell }) => cell(row)));
    const titles = columns.map(({ title }): Cell => ({ text: title }));
    const least = columns.map(({ width = 0 }) => width);
    const widths = widthsOf([titles, ...cells], least);
    const isFit = widths.reduce((sum, width) => sum + width + 2, -2) <= view.columns;
    if (!isFit && leavesAt > 1) continue;
    const isNumber = columns.map((column) => column.isNumber);
    const [header = '', ...lines] = alignedLines([titles, ...cells], { isNumber, least }, view, paint);
    return [paint(header.padEnd(Math.min(view.columns, header.length)), 'header'), ...lines];
  }
}

function footLine(traffic: Json, view: TopView): string {
  const all = number(traffic, 'peers') ?? 0;
  const count = `${all} peer${all === 1 ? '' : 's'} by ${view.order}`;
  return view.isLive ? `${count}   q quit  s sort  p pause` : count;
}

function dropCell(row: Json): Cell {
  const [out, back] = [number(row, 'encap', 'dropsPerSecond'), number(row, 'decap', 'dropsPerSecond')];
  if (out === null && back === null) return { text: '-', style: 'dim' };
  const sum = (out ?? 0) + (back ?? 0);
  return { text: countText(sum), style: sum > 0 ? 'red' : 'dim' };
}

function heardCell(row: Json): Cell {
  const idleSeconds = number(row, 'idleSeconds');
  if (idleSeconds === null) return { text: 'never', style: 'dim' };
  if (idleSeconds < 2) return { text: 'now' };
  // The largest unit is enough.
  const [count = '', unit = ''] = durationText(idleSeconds * 1000).split(' ');
  return { text: `${count} ${unit} ago` };
}

function widthsOf(lines: readonly (readonly Cell[])[], least: readonly number[]): number[] {
  const widths = [...least];
  for (const line of lines)
    for (const [column, { text }] of line.entries())
      widths[column] = Math.max(widths[column] ?? 0, text.length);
  return widths;
}

/** Columns two spaces apart, numbers to the right; nothing beyond the screen's edge. */
function alignedLines(
  lines: readonly (readonly Cell[])[],
  { isNumber, least }: Layout,
  view: TopView,
  paint: (text: string, style?: Style) => string,
): string[] {
  const widths = widthsOf(lines, least);
  return lines.map((line) => {
    let left = view.columns;
    const parts = line.map(({ text, style }, column) => {
      const width = widths[column] ?? 0;
      const padded = isNumber[column] ? text.padStart(width) : text.padEnd(width);
      const gap = column === 0 ? '' : '  ';
      const cut = clip(`${gap}${padded}`, left);
      left -= cut.length;
      return paint(cut, style);
    });
    return parts.join('').trimEnd();
  });
}

/** `941.2 Mbit/s`, in thousands as links are sold. */
export function bitRateText(bitsPerSecond: number): string {
  return `${scaled(bitsPerSecond, [' bit/s', ' kbit/s', ' Mbit/s', ' Gbit/s', ' Tbit/s'])}`;
}

/** `980`, `12.3k`, `1.2M`. */
export function countText(count: number): string {
  return scaled(count, ['', 'k', 'M', 'G']);
}

function scaled(value: number, units: readonly string[]): string {
  let rest = value;
  let unit = 0;
  while (rest >= 999.95 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(rest) : rest.toFixed(1)}${units[unit]}`;
}

function clip(text: string, width: number): string {
  return text.length <= width ? text : text.slice(0, Math.max(width, 0));
}

function shown(value: Json | undefined): string {
  return printable(String(value ?? '-'));
}
