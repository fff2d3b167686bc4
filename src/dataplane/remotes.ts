/**
 * The other end of a datagram, as it stands in a packet's record. Most packets are from or to a few ends: the value made
 * for one is used again for the next.
 */
import { IpAddress } from '../net/ip.js';

/** Where a datagram came from or goes to. */
export interface Remote {
  /** Outer address. */
  readonly address: IpAddress;
  /** UDP port, 1 to 65535. */
  readonly port: number;
}

const RECORD_BYTES = 32;
const AT = { port: 12, family: 14, tos: 15, address: 16 } as const;
/** A power of two. */
const KEPT = 256;

interface Kept {
  readonly words: readonly [number, number, number, number];
  readonly family: number;
  readonly remote: Remote;
}

export class Remotes {
  readonly #bytes: Uint8Array;
  readonly #halves: Uint16Array;
  readonly #words: Uint32Array;
  readonly #kept = new Array<Kept | undefined>(KEPT);
  #last: { readonly address: IpAddress; readonly bytes: Uint8Array } | null = null;

  constructor(records: ArrayBuffer) {
    this.#bytes = new Uint8Array(records);
    this.#halves = new Uint16Array(records);
    this.#words = new Uint32Array(records);
  }

  /** null: the packet has none. */
  read(slot: number): Remote | null {
    const at = slot * RECORD_BYTES;
    const family = this.#bytes[at + AT.family] as number;
    if (family === 0) return null;
    const port = this.#halves[(at + AT.port) / 2] as number;
    const word = (at + AT.address) / 4;
    const [a, b, c, d] = [0, 1, 2, 3].map((i) => this.#words[word + i] as number) as [
      number,
      number,
      number,
      number,
    ];
    const place = (Math.imul(a ^ b ^ c ^ d ^ port, 0x9e3779b1) >>> 24) & (KEPT - 1);
    const kept = this.#kept[place];
    if (kept && kept.family === family && kept.remote.port === port) {
      const { words } = kept;
      if (words[0] === a && words[1] === b && words[2] === c && words[3] === d) return kept.remote;
    }
    const start = at + AT.address;
    const address = IpAddress.fromBytes(this.#bytes.subarray(start, start + (family === 4 ? 4 : 16)));
    // Many packets share it.
    const remote = Object.freeze({ address, port });
    this.#kept[place] = { words: [a, b, c, d], family, remote };
    return remote;
  }

  write(slot: number, remote: Remote | null): void {
    const at = slot * RECORD_BYTES;
    this.#bytes[at + AT.family] = remote?.address.family ?? 0;
    if (!remote) return;
    const { address, port } = remote;
    if (this.#last?.address !== address) this.#last = { address, bytes: address.bytes() };
    this.#bytes.set(this.#last.bytes, at + AT.address);
    if (address.family === 4) this.#bytes.fill(0, at + AT.address + 4, at + RECORD_BYTES);
    this.#halves[(at + AT.port) / 2] = port;
  }

  tos(slot: number): number {
    return this.#bytes[slot * RECORD_BYTES + AT.tos] as number;
  }

  setTos(slot: number, tos: number): void {
    this.#bytes[slot * RECORD_BYTES + AT.tos] = tos;
  }
}
