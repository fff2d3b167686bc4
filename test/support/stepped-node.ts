/** An engine over two user ports, without threads and without privilege: what goes in, and what comes out, packet by packet. */
import type { Peer } from '../../src/backend/backend.js';
import { Dataplane } from '../../src/dataplane/dataplane.js';
import type { DirectionStats } from '../../src/dataplane/plane.js';
import type { Datagram, SpecifiedNode } from '../../src/wire/node.js';

export interface Outcome {
  readonly datagrams: readonly Datagram[];
  readonly packets: readonly Uint8Array[];
  /** Names of the drops that were counted, sorted. */
  readonly drops: readonly string[];
}

export class SteppedNode {
  readonly dataplane: Dataplane;
  #before: Record<string, number>;

  private constructor(dataplane: Dataplane) {
    this.dataplane = dataplane;
    this.#before = this.#drops();
  }

  static async open(node: SpecifiedNode): Promise<SteppedNode> {
    const { peers, ...options } = node;
    const dataplane = await Dataplane.open({
      ...options,
      overlay: { kind: 'user' },
      underlay: { kind: 'user' },
      workers: 0,
      poolSlots: 512,
    });
    dataplane.peers.replace(peers as readonly Peer[]);
    return new SteppedNode(dataplane);
  }

  /** All of them before the engine's next step. */
  fromOverlay(...packets: Uint8Array[]): Outcome {
    for (const packet of packets)
      if (!this.dataplane.overlay?.write(packet)) throw new Error('the overlay port took nothing');
    return this.#collect();
  }

  /** All of them before the engine's next step. */
  fromUnderlay(...datagrams: Datagram[]): Outcome {
    const packets = datagrams.map(({ payload, remote, tos }) => {
      const packet = this.dataplane.pool.allocate(payload.length);
      if (!packet) throw new Error('the pool is empty');
      packet.bytes.set(payload);
      packet.remote = remote;
      packet.tos = tos;
      return packet;
    });
    if (this.dataplane.underlay?.send(packets) !== packets.length)
      throw new Error('the underlay port did not take all');
    return this.#collect();
  }

  #collect(): Outcome {
    while (this.dataplane.step() > 0);
    const datagrams = (this.dataplane.underlay?.receive() ?? []).map((packet): Datagram => {
      const { remote, tos } = packet;
      if (!remote) throw new Error('a datagram without a remote');
      const payload = Uint8Array.from(packet.bytes);
      packet.release();
      return { payload, remote, tos };
    });
    const packets = (this.dataplane.overlay?.receive() ?? []).map((packet) => {
      const bytes = Uint8Array.from(packet.bytes);
      packet.release();
      return bytes;
    });
    const after = this.#drops();
    const drops = Object.entries(after).flatMap(([name, count]) =>
      Array<string>(count - (this.#before[name] ?? 0)).fill(name.replace(/^.*:/, '')),
    );
    this.#before = after;
    return { datagrams, packets, drops: drops.sort() };
  }

  #drops(): Record<string, number> {
    const { encap, decap } = this.dataplane.stats();
    const named = (direction: string, { drops }: DirectionStats) =>
      Object.entries(drops).map(([name, count]): [string, number] => [`${direction}:${name}`, count]);
    return Object.fromEntries([...named('encap', encap), ...named('decap', decap)]);
  }
}
