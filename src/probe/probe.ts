/**
 * Whether a peer can be reached, and by packets of which size, as the tunnel would reach it. Three echoes tell the layers
 * apart:
 *
 *   underlay  an echo request to the endpoint's address
 *   tunnel    a datagram to its UDP port as our tunnel sends it, with an echo request to its overlay address inside: it is
 *             answered through the tunnel. DF is set outside and zeroes fill it up, so its size measures the way there
 *   overlay   an echo request by way of our own device
 */
import { IpAddress } from '../net/ip.js';
import {
  echoPacket,
  type IcmpNews,
  ipHeaderBytes,
  leastTunnelBytes,
  readIcmp,
  tunnelPacket,
} from '../wire/probe-packets.js';
import { longestPassing, type Passage } from './path-mtu.js';
import { RawSockets } from './raw-sockets.js';
import { type Verdict, verdictOf } from './verdict.js';

export interface ProbePlan {
  readonly encap: 'udp' | 'vxlan';
  readonly device: string;
  /** Of our own. */
  readonly local: IpAddress;
  readonly endpoint: { readonly address: IpAddress; readonly port: number };
  /** Of the overlay: ours and the peer's. */
  readonly ownAddress: IpAddress;
  readonly peerAddress: IpAddress;
  /** In front of the inner packet. */
  readonly header: Uint8Array;
  readonly innerMtuBytes: number;
  readonly timeoutMs: number;
  /** How often something that may be lost is tried. */
  readonly tries: number;
}

/** null: no answer. */
export interface Reach {
  readonly rttMs: number | null;
  /** What was said instead: by a router, the peer or our own kernel. */
  readonly said: string | null;
}

export interface ProbeResult {
  readonly plan: ProbePlan;
  readonly underlay: Reach;
  readonly tunnel: Reach;
  readonly overlay: Reach;
  /** Longest IP packet that reaches the endpoint, up to what the overlay needs; null: nothing does. */
  readonly pathMtuBytes: number | null;
  /** Of the underlay, for full inner packets. */
  readonly neededBytes: number;
  readonly verdict: Verdict;
}

type Outcome =
  | { readonly rttMs: number }
  | { readonly said: string | null; readonly mtuBytes: number | null };

const SMALL_INNER_BYTES = 64;
/** A lost answer shows after this many round trips, and not before this part of the time-out. */
const PATIENCE_RTTS = 8;
const LEAST_PATIENCE = 0.25;

/** Throws ERR_TWILL_PROBE or ERR_TWILL_PRIVILEGE. */
export async function probe(plan: ProbePlan, id: number, signal: AbortSignal): Promise<ProbeResult> {
  const outside = await Prober.open(plan.endpoint.address.family, id, signal);
  const inside =
    plan.peerAddress.family === plan.endpoint.address.family
      ? outside
      : await Prober.open(plan.peerAddress.family, id, signal);
  try {
    return await new Probe(plan, outside, inside).run();
  } finally {
    outside.close();
    inside.close();
  }
}

class Probe {
  readonly #plan: ProbePlan;
  readonly #outside: Prober;
  readonly #inside: Prober;

  constructor(plan: ProbePlan, outside: Prober, inside: Prober) {
    this.#plan = plan;
    this.#outside = outside;
    this.#inside = inside;
  }

  async run(): Promise<ProbeResult> {
    const { local, endpoint, header, innerMtuBytes, timeoutMs, tries } = this.#plan;
    const neededBytes = ipHeaderBytes(local) + 8 + header.length + innerMtuBytes;
    const underlay = await this.#reach(
      (wait) => this.#echo(endpoint.address, SMALL_INNER_BYTES, wait),
      tries,
    );
    const tunnel = await this.#reach((wait) => this.#tunnelled(0, wait), tries);
    // Where the tunnel carries nothing, one attempt is enough to say so.
    const overlay = await this.#reach((wait) => this.#overlay(wait), tunnel.rttMs === null ? 1 : tries);
    const rttMs = tunnel.rttMs ?? underlay.rttMs;
    const wait =
      rttMs === null
        ? timeoutMs
        : Math.min(Math.max(rttMs * PATIENCE_RTTS, timeoutMs * LEAST_PATIENCE), timeoutMs);
    let pathMtuBytes: number | null = null;
    if (rttMs !== null) {
      const least = tunnel.rttMs === null ? SMALL_INNER_BYTES : this.#leastBytes();
      pathMtuBytes = await this.#pathMtu(least, neededBytes, (bytes) =>
        tunnel.rttMs === null ? this.#echo(endpoint.address, bytes, wait) : this.#tunnelled(bytes, wait),
      );
    }
    const found = { plan: this.#plan, underlay, tunnel, overlay, pathMtuBytes, neededBytes };
    return { ...found, verdict: verdictOf(found) };
  }

  async #pathMtu(least: number, needed: number, once: (bytes: number) => Promise<Outcome>): Promise<number> {
    const passes = async (bytes: number): Promise<Passage> => {
      for (let left = this.#plan.tries; left > 0; left--) {
        const outcome = await once(bytes);
        if ('rttMs' in outcome) return { passed: true };
        if (outcome.mtuBytes !== null) return { passed: false, mtuBytes: outcome.mtuBytes };
      }
      return { passed: false, mtuBytes: null };
    };
    if (needed <= least) return needed;
    const whole = await passes(needed);
    return whole.passed ? needed : longestPassing(least, needed, whole.mtuBytes, passes);
  }

  /** The quickest of some; the first that says why not ends it. */
  async #reach(once: (timeoutMs: number) => Promise<Outcome>, tries: number): Promise<Reach> {
    let rttMs: number | null = null;
    for (let left = tries; left > 0; left--) {
      const outcome = await once(this.#plan.timeoutMs);
      if ('rttMs' in outcome) rttMs = Math.min(rttMs ?? Number.POSITIVE_INFINITY, outcome.rttMs);
      else if (outcome.said !== null) return { rttMs, said: outcome.said };
    }
    return { rttMs, said: null };
  }

  #leastBytes(): number {
    const { local, header } = this.#plan;
    return leastTunnelBytes(local, header, this.#inner(0));
  }

  #inner(sequence: number): Uint8Array {
    const { ownAddress: source, peerAddress: destination } = this.#plan;
    return echoPacket({ source, destination, id: this.#inside.id, sequence }, SMALL_INNER_BYTES);
  }

  #echo(destination: IpAddress, bytes: number, timeoutMs: number): Promise<Outcome> {
    const { local } = this.#plan;
    return this.#outside.ask(this.#outside, timeoutMs, destination, (sequence) =>
      echoPacket({ source: local, destination, id: this.#outside.id, sequence }, bytes),
    );
  }

  /** 0: as short as it can be. */
  #tunnelled(bytes: number, timeoutMs: number): Promise<Outcome> {
    const { local, endpoint, header } = this.#plan;
    const from = { address: local, port: endpoint.port };
    return this.#outside.ask(this.#inside, timeoutMs, endpoint.address, (sequence) =>
      tunnelPacket(from, endpoint, header, this.#inner(sequence), bytes),
    );
  }

  #overlay(timeoutMs: number): Promise<Outcome> {
    return this.#inside.ask(this.#inside, timeoutMs, this.#plan.peerAddress, (sequence) =>
      this.#inner(sequence),
    );
  }
}

/** Asks by packets of one family, one question at a time. */
class Prober {
  readonly id: number;
  readonly #family: 4 | 6;
  readonly #signal: AbortSignal;
  #sockets: RawSockets | undefined;
  #sequence = 0;
  #listener: (message: IcmpNews) => void = () => {};

  private constructor(family: 4 | 6, id: number, signal: AbortSignal) {
    this.#family = family;
    this.id = id;
    this.#signal = signal;
  }

  static async open(family: 4 | 6, id: number, signal: AbortSignal): Promise<Prober> {
    const prober = new Prober(family, id, signal);
    prober.#sockets = await RawSockets.open(family, (bytes) => {
      const message = readIcmp(bytes, family);
      if (message) prober.#listener(message);
    });
    return prober;
  }

  /** Sends and waits for the echo reply that `answers` hears, or for an error about what was sent. */
  async ask(
    answers: Prober,
    timeoutMs: number,
    destination: IpAddress,
    make: (sequence: number) => Uint8Array,
  ): Promise<Outcome> {
    answers.#sequence = (answers.#sequence + 1) & 0xffff;
    const sequence = answers.#sequence;
    const startedAtMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    let end = () => {};
    try {
      return await new Promise<Outcome>((resolve) => {
        const silence = () => resolve({ said: null, mtuBytes: null });
        end = silence;
        timer = setTimeout(silence, timeoutMs);
        this.#signal.addEventListener('abort', silence, { once: true });
        if (this.#signal.aborted) silence();
        const hear = (message: IcmpNews) => {
          if (message.kind === 'echoReply') {
            if (message.id === answers.id && message.sequence === sequence)
              resolve({ rttMs: performance.now() - startedAtMs });
          } else if (this.#isAbout(message.about.destination, destination)) {
            if (message.kind === 'tooBig') resolve({ said: null, mtuBytes: message.mtuBytes });
            else resolve({ said: `${message.what} unreachable`, mtuBytes: null });
          }
        };
        this.#listener = hear;
        answers.#listener = hear;
        void this.#sockets?.send(make(sequence), destination).then((refused) => {
          if (refused === null) return;
          // Longer than our own interface takes.
          if (/too long|EMSGSIZE/i.test(refused)) resolve({ said: null, mtuBytes: null });
          else resolve({ said: refused.toLowerCase(), mtuBytes: null });
        });
      });
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', end);
      this.#listener = () => {};
      answers.#listener = () => {};
    }
  }

  #isAbout(quoted: Uint8Array, destination: IpAddress): boolean {
    return destination.family === this.#family && IpAddress.fromBytes(quoted).equals(destination);
  }

  close(): void {
    this.#sockets?.close();
  }
}
