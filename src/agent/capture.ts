/**
 * `twill capture` at the agent's end: a tap of the plane, streamed over the control socket. In front of each piece stand 8
 * bytes, two integers as the machine stores them: what it is (1: records of native/tap/record.h, 2: JSON with the counts)
 * and its length. A reader that is slow makes us stop reading the tap, which then counts what it loses: nothing piles up here.
 */
import { endianness } from 'node:os';
import type { Writable } from 'node:stream';
import { LONGEST_RECORD_BYTES, type PlaneTap, type TapOptions } from '../dataplane/tap.js';
import { TwillError } from '../errors.js';
import { loadNative } from '../native/binding.js';
import { IpAddress } from '../net/ip.js';
import type { Json } from '../net/json.js';
import { Prefix } from '../net/prefix.js';
import { ControlStream } from '../observe/control-socket.js';
import { choosePeer } from './peer-choice.js';
import type { PeerLease } from './peers.js';

const POLL_MS = 20;
const COUNTS_MS = 500;
/** What may wait in the socket for its reader. */
const MOST_WAITING_BYTES = 1 << 20;
const PIECE_BYTES = 256 * 1024;

/** `about`: what the reader needs to know of this node. Throws ERR_TWILL_ARGUMENT or _ADDRESS. */
export function captureStream(
  params: Json,
  plane: { openTap(options: TapOptions): PlaneTap },
  entries: readonly PeerLease[],
  about: { readonly [key: string]: Json },
): ControlStream {
  const tap = openTap(plane, tapOptions(params, entries));
  const result = { ...about, endianness: endianness(), drops: [...loadNative().dropReasons] };
  return new ControlStream(result, (socket, signal) => send(tap, socket, signal));
}

function openTap(plane: { openTap(options: TapOptions): PlaneTap }, options: TapOptions): PlaneTap {
  try {
    return plane.openTap(options);
  } catch (error) {
    if (!(error instanceof TwillError) || error.code !== 'ERR_TWILL_BUSY') throw error;
    throw new TwillError('ERR_TWILL_CONTROL', 'another capture of this agent is running: end that one first');
  }
}

function tapOptions(params: Json, entries: readonly PeerLease[]): TapOptions {
  const given = params !== null && typeof params === 'object' && !Array.isArray(params) ? params : {};
  const { peer, subnets, drops, every, snapBytes } = given;
  const known = loadNative().dropReasons;
  return {
    ...(typeof peer === 'string' && { peers: peerAddresses(peer, entries) }),
    subnets: texts(subnets).map((text) => Prefix.parse(text)),
    drops: drops === undefined || drops === null ? null : dropNames(texts(drops), known),
    ...(isCount(every) && { every }),
    ...(isCount(snapBytes) && { snapBytes: Math.min(snapBytes, LONGEST_RECORD_BYTES) }),
  };
}

/** `any`: every reason. */
function dropNames(names: readonly string[], known: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    if (name === 'any') return known;
    if (known.includes(name) || name === 'none') return [name];
    throw new TwillError(
      'ERR_TWILL_ARGUMENT',
      `there is no drop reason ${JSON.stringify(name.slice(0, 40))}`,
    );
  });
}

/** Of a stranger too, by its address: what strangers send is dropped as `unknown_peer`. */
function peerAddresses(text: string, entries: readonly PeerLease[]): IpAddress[] {
  const found = choosePeer(text, entries);
  if (found) return found.peers.map(({ endpoint }) => endpoint.address);
  const stranger = IpAddress.tryParse(text);
  if (stranger) return [stranger];
  throw new TwillError(
    'ERR_TWILL_ARGUMENT',
    `no peer has the subnet ${text.slice(0, 80)}: see "twill peers"`,
  );
}

function texts(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value <= 0xffffffff;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

async function send(tap: PlaneTap, socket: Writable, signal: AbortSignal): Promise<void> {
  const write = (kind: number, piece: Uint8Array) => {
    socket.write(new Uint8Array(Uint32Array.of(kind, piece.length).buffer));
    socket.write(piece);
  };
  let countsAtMs = 0;
  try {
    let piece = new Uint8Array(PIECE_BYTES);
    while (!signal.aborted) {
      let bytes = 0;
      while (socket.writableLength < MOST_WAITING_BYTES) {
        bytes = tap.read(piece);
        if (bytes === 0) break;
        write(1, piece.subarray(0, bytes));
        piece = new Uint8Array(PIECE_BYTES);
      }
      if (performance.now() - countsAtMs >= COUNTS_MS && socket.writableLength < MOST_WAITING_BYTES) {
        countsAtMs = performance.now();
        write(2, Buffer.from(JSON.stringify(tap.counts())));
      }
      await pause(POLL_MS, signal);
    }
    // Asked to end: what passed before that still belongs to it.
    for (let bytes = tap.read(piece); bytes > 0 && !socket.destroyed; bytes = tap.read(piece)) {
      write(1, piece.subarray(0, bytes));
      piece = new Uint8Array(PIECE_BYTES);
    }
    if (!socket.destroyed) write(2, Buffer.from(JSON.stringify(tap.counts())));
  } finally {
    tap.close();
  }
}
