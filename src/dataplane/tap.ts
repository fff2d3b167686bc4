/** Copies of what passes a plane, for somebody to read: see native/tap/. */
import { TwillError } from '../errors.js';
import type { NativeTapOptions } from '../native/binding.js';
import { guard } from '../native/errors.js';
import type { IpAddress } from '../net/ip.js';
import type { Prefix } from '../net/prefix.js';
import { bytesAt } from './arguments.js';
import type { Engine } from './engine.js';
import { hostPrefix, packPrefixes } from './prefixes.js';

/** Which packets are copied, and how much of them. */
export interface TapOptions {
  /** Outer addresses of peers; none: everybody's packets, and those without a peer. */
  readonly peers?: readonly IpAddress[];
  /** One of them holds the inner source or destination; none: all packets. */
  readonly subnets?: readonly Prefix[];
  /** Drop reasons by name, `none` for what was delivered. Default: whatever their fate. */
  readonly drops?: readonly string[] | null;
  /** Of so many packets one is looked at. Default 1. */
  readonly every?: number;
  /** Most of a payload (encapsulation's header and inner packet) that is kept. Default: all. */
  readonly snapBytes?: number;
  /** Memory for each worker, a power of two from 64 KiB to 256 MiB. Default 4 MiB. */
  readonly ringBytes?: number;
}

/** What became of the packets that a tap wanted. */
export interface TapCounts {
  /** Packets that the filter wanted: copied. */
  readonly kept: number;
  /** Those for which there was no room, since nobody had read in time. */
  readonly lost: number;
}

/** A stream of copies of what passes the packet path. */
export interface PlaneTap {
  /**
   * Whole records (native/tap/record.h); how many bytes they take, 0 also when closed. What is not read in time is lost, and
   * counted. Throws TypeError.
   */
  read(out: Uint8Array): number;
  /** Since the tap was opened. */
  counts(): TapCounts;
  /** A second call does nothing. */
  close(): void;
}

/** Why a plane of the kernel has none. */
export function noTap(deviceName: string): TwillError {
  const why = 'the kernel carries the packets here, and they do not pass us';
  return new TwillError('ERR_TWILL_CONTROL', `${why}: use "twill capture --interface=${deviceName}"`);
}

/** Longest record: what a packet slot holds and its header. */
export const LONGEST_RECORD_BYTES = 65_535 + 64 + 56 + 8;
const RING_BYTES = 4 * 1024 * 1024;

/** A tap that outlives engines: a plane whose device is lost goes on with another one. */
export class EngineTap implements PlaneTap {
  readonly #options: NativeTapOptions;
  readonly #onClose: () => void;
  #engine: Engine;
  #past: TapCounts = { kept: 0, lost: 0 };
  #isClosed = false;

  /** Throws ERR_TWILL_ARGUMENT; ERR_TWILL_BUSY where the engine has a tap already, ERR_TWILL_CLOSED where it is closed. */
  constructor(engine: Engine, options: TapOptions, onClose: () => void = () => {}) {
    this.#options = {
      peers: packPrefixes((options.peers ?? []).map(hostPrefix)),
      subnets: packPrefixes(options.subnets ?? []),
      drops: options.drops ?? null,
      every: options.every ?? 1,
      snapBytes: options.snapBytes ?? 65_535 + 64,
      ringBytes: options.ringBytes ?? RING_BYTES,
    };
    this.#engine = engine;
    this.#onClose = onClose;
    guard(() => engine.native.openTap(this.#options));
  }

  read(out: Uint8Array): number {
    bytesAt('PlaneTap.read: out', out);
    return this.#isClosed ? 0 : this.#engine.native.readTap(out);
  }

  counts(): TapCounts {
    if (this.#isClosed) return this.#past;
    const now = this.#engine.native.countTap();
    return { kept: this.#past.kept + now.kept, lost: this.#past.lost + now.lost };
  }

  /** Goes on with another engine. What the last one kept and nobody has read is lost with it. */
  follow(engine: Engine): void {
    if (this.#isClosed) return;
    this.#past = this.counts();
    this.#engine = engine;
    guard(() => engine.native.openTap(this.#options));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#past = this.counts();
    this.#isClosed = true;
    this.#engine.native.closeTap();
    this.#onClose();
  }
}
