/**
 * Writes pcapng (https://ietf-opsawg-wg.github.io/draft-ietf-opsawg-pcap/draft-ietf-opsawg-pcapng.html), little-endian:
 * a section header, one interface with times in nanoseconds, then enhanced packets. Each function returns whole blocks.
 */
import type { CapturedFrame } from './frame.js';

const BLOCK = { section: 0x0a0d0d0a, interface: 1, statistics: 5, enhancedPacket: 6 } as const;
const OPTION = {
  end: 0,
  comment: 1,
  userApplication: 4,
  interfaceName: 2,
  interfaceDescription: 3,
  timeResolution: 9,
  packetFlags: 2,
  statisticsReceived: 4,
  statisticsDropped: 5,
} as const;
const DIRECTION = { in: 1, out: 2 } as const;
const NANOSECONDS = 9;

export interface CaptureInterface {
  readonly linkType: number;
  readonly name: string;
  readonly description: string;
  /** Longest frame that is kept whole; 0: any. */
  readonly snapBytes: number;
}

type Option = readonly [code: number, value: Uint8Array];

/** What a file begins with. */
export function pcapngHeader(
  application: string,
  { linkType, name, description, snapBytes }: CaptureInterface,
): Uint8Array {
  const section = new Uint8Array(16);
  const view = new DataView(section.buffer);
  view.setUint32(0, 0x1a2b3c4d, true);
  view.setUint16(4, 1, true);
  // The section's length is not known.
  view.setBigInt64(8, -1n, true);
  const interfaceFields = new Uint8Array(8);
  const fields = new DataView(interfaceFields.buffer);
  fields.setUint16(0, linkType, true);
  fields.setUint32(4, snapBytes, true);
  return joined([
    block(BLOCK.section, [section, options([[OPTION.userApplication, text(application)]])]),
    block(BLOCK.interface, [
      interfaceFields,
      options([
        [OPTION.interfaceName, text(name)],
        [OPTION.interfaceDescription, text(description)],
        [OPTION.timeResolution, Uint8Array.of(NANOSECONDS)],
      ]),
    ]),
  ]);
}

/** One packet of that interface. */
export function pcapngPacket(frame: Omit<CapturedFrame, 'linkType'>): Uint8Array {
  const { timeNs, bytes, originalBytes, direction, comment } = frame;
  const fields = new Uint8Array(20);
  const view = new DataView(fields.buffer);
  view.setUint32(4, Number((timeNs >> 32n) & 0xffffffffn), true);
  view.setUint32(8, Number(timeNs & 0xffffffffn), true);
  view.setUint32(12, bytes.length, true);
  view.setUint32(16, originalBytes, true);
  const said: Option[] = [];
  if (comment !== undefined) said.push([OPTION.comment, text(comment)]);
  if (direction) said.push([OPTION.packetFlags, Uint8Array.of(DIRECTION[direction], 0, 0, 0)]);
  return block(BLOCK.enhancedPacket, [fields, padded(bytes), options(said)]);
}

/** What a file may end with: how many packets there were, and how many were lost on the way to it. */
export function pcapngStatistics(timeNs: bigint, received: number, dropped: number): Uint8Array {
  const fields = new Uint8Array(12);
  const view = new DataView(fields.buffer);
  view.setUint32(4, Number((timeNs >> 32n) & 0xffffffffn), true);
  view.setUint32(8, Number(timeNs & 0xffffffffn), true);
  return block(BLOCK.statistics, [
    fields,
    options([
      [OPTION.statisticsReceived, count(received)],
      [OPTION.statisticsDropped, count(dropped)],
    ]),
  ]);
}

function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = 12 + parts.reduce((sum, part) => sum + part.length, 0);
  const head = new Uint8Array(8);
  const tail = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, type, true);
  new DataView(head.buffer).setUint32(4, length, true);
  new DataView(tail.buffer).setUint32(0, length, true);
  return joined([head, ...parts, tail]);
}

function options(list: readonly Option[]): Uint8Array {
  const parts = list.flatMap(([code, value]) => [optionHead(code, value.length), padded(value)]);
  return list.length === 0 ? new Uint8Array() : joined([...parts, optionHead(OPTION.end, 0)]);
}

function optionHead(code: number, length: number): Uint8Array {
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint16(0, code, true);
  new DataView(head.buffer).setUint16(2, length, true);
  return head;
}

/** An option's length has 16 bits. */
function text(value: string): Uint8Array {
  return new TextEncoder().encode(value.slice(0, 4096));
}

function count(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function padded(bytes: Uint8Array): Uint8Array {
  const rest = (4 - (bytes.length % 4)) % 4;
  return rest === 0 ? bytes : joined([bytes, new Uint8Array(rest)]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
