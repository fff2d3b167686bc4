/** What `capture` of a running agent streams (src/agent/capture.ts), as frames: IP packets with their outer headers. */
import { TwillError } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import type { Json } from '../net/json.js';
import { type CapturedFrame, LINK_TYPE } from '../pcap/frame.js';
import { outerBytes, withOuterHeaders } from './outer.js';

/** Of the node whose plane it is. */
export interface TapNode {
  readonly port: number;
  readonly addresses: readonly IpAddress[];
  /** Names of drop reasons by number; the one behind the last is none. */
  readonly drops: readonly string[];
  readonly isLittle: boolean;
}

export interface TapCounts {
  readonly kept: number;
  readonly lost: number;
}

export type TapPiece = { readonly frame: CapturedFrame } | { readonly counts: TapCounts };

const PIECE_HEAD_BYTES = 8;
const RECORD_HEAD_BYTES = 56;
const LONGEST_PIECE_BYTES = 64 * 1024 * 1024;
const UNFINISHED = 1;
const TRUNCATED = 2;

/** The stream's first line. Throws ERR_TWILL_CONTROL. */
export function tapNode(about: Json): TapNode {
  const { port, addresses, drops, endianness } = (about ?? {}) as { [key: string]: Json };
  if (typeof port !== 'number' || !Array.isArray(addresses) || !Array.isArray(drops)) throw senseless();
  return {
    port,
    addresses: addresses.map((text) => IpAddress.parse(String(text))),
    drops: drops.map(String),
    isLittle: endianness !== 'BE',
  };
}

export async function* tapPieces(chunks: AsyncIterable<Uint8Array>, node: TapNode): AsyncGenerator<TapPiece> {
  let held = new Uint8Array();
  for await (const chunk of chunks) {
    const bytes = Buffer.concat([held, chunk]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (at + PIECE_HEAD_BYTES <= bytes.length) {
      const kind = view.getUint32(at, node.isLittle);
      const length = view.getUint32(at + 4, node.isLittle);
      if (length > LONGEST_PIECE_BYTES) throw senseless();
      const end = at + PIECE_HEAD_BYTES + length;
      if (end > bytes.length) break;
      const piece = bytes.subarray(at + PIECE_HEAD_BYTES, end);
      if (kind === 1) for (const frame of tapFrames(piece, node)) yield { frame };
      if (kind === 2) yield { counts: JSON.parse(piece.toString()) as TapCounts };
      at = end;
    }
    held = new Uint8Array(bytes.subarray(at));
  }
}

/** Of whole records. */
export function* tapFrames(bytes: Uint8Array, node: TapNode): Generator<CapturedFrame> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    if (at + RECORD_HEAD_BYTES > bytes.length) throw senseless();
    const length = view.getUint32(at, node.isLittle);
    const captured = view.getUint32(at + 4, node.isLittle);
    if (length < RECORD_HEAD_BYTES + captured || at + length > bytes.length) throw senseless();
    yield frameOf(new DataView(view.buffer, view.byteOffset + at, length), captured, node);
    at += length;
  }
}

function frameOf(record: DataView, captured: number, node: TapNode): CapturedFrame {
  const short = (at: number) => record.getUint16(at, node.isLittle);
  const at = (offset: number, length: number) =>
    new Uint8Array(record.buffer, record.byteOffset + offset, length);
  const isOut = record.getUint8(24) === 0;
  const payload = at(RECORD_HEAD_BYTES, captured);
  const payloadBytes = record.getUint32(8, node.isLittle);
  const family = record.getUint8(33);
  const remote =
    family === 0 ? null : { address: IpAddress.fromBytes(at(40, family === 4 ? 4 : 16)), port: short(12) };
  const local = node.addresses.find((address) => address.family === family) ?? node.addresses[0];
  const ours = local && { address: local, port: short(14) || node.port };
  const drop = node.drops[record.getUint8(25)];
  const base = {
    timeNs: record.getBigUint64(16, node.isLittle),
    linkType: LINK_TYPE.raw,
    direction: isOut ? ('out' as const) : ('in' as const),
    ...commentOf(record, drop, short(28), short(30)),
  };
  // What never got a header has none here either; a header in front of what never had a socket says nothing.
  const headerBytes = isOut ? record.getUint8(26) : 0;
  const hasOuter = !isOut || headerBytes > 0 || drop === undefined || drop.startsWith('send_');
  if (!hasOuter || !remote || !ours || ours.address.family !== remote.address.family)
    return { ...base, bytes: payload.slice(headerBytes), originalBytes: payloadBytes - headerBytes };
  const ends = isOut ? { source: ours, destination: remote } : { source: remote, destination: ours };
  const outer = { ...ends, tos: record.getUint8(27) };
  return {
    ...base,
    bytes: withOuterHeaders(outer, payload, payloadBytes),
    originalBytes: outerBytes(outer) + payloadBytes,
  };
}

function commentOf(
  record: DataView,
  drop: string | undefined,
  segments: number,
  segmentBytes: number,
): { comment?: string } {
  const flags = record.getUint8(32);
  const said = [
    ...(drop === undefined ? [] : [`dropped: ${drop}`]),
    ...(segmentBytes > 0 ? [`super-packet: ${segments} segments of ${segmentBytes} bytes`] : []),
    ...((flags & UNFINISHED) !== 0 ? ['transport checksum unfinished'] : []),
    ...((flags & TRUNCATED) !== 0 ? ['longer than it was received'] : []),
  ];
  return said.length === 0 ? {} : { comment: said.join('; ') };
}

function senseless(): TwillError {
  return new TwillError('ERR_TWILL_CONTROL', 'the agent sent what makes no sense: is it of another version?');
}
