/** Twill's user port, with batches: nothing is made for a packet. */
import { Dataplane, type OverlayPort } from '../../src/dataplane/dataplane.js';
import type { PacketBatch } from '../../src/dataplane/packet-batch.js';
import type { UserPort } from '../../src/dataplane/user-port.js';
import type { Carrier, CarrierPlan } from './carrier.js';
import { macOf, numberOf, other, packetTo, setNumber, subnetOf, turn, underlayOf } from './packet.js';

export async function openPlane({ side, port, otherPort }: CarrierPlan): Promise<Dataplane & OverlayPort> {
  const peer = other(side);
  const plane = await Dataplane.open({
    ...{ encap: 'vxlan', port, subnets: [subnetOf(side)], mac: macOf(side), overlay: { kind: 'user' } },
    underlay: { kind: 'udp', addresses: [underlayOf(side)] },
  });
  const endpoint = { address: underlayOf(peer), port: otherPort };
  plane.peers.set({ subnet: subnetOf(peer), endpoint, mac: macOf(peer) });
  return plane;
}

export class TwillCarrier implements Carrier {
  readonly window = 512;
  readonly #plane: Dataplane;
  readonly #port: UserPort;
  readonly #out: PacketBatch;
  readonly #in: PacketBatch;
  #template: Uint8Array = new Uint8Array();

  private constructor(plane: Dataplane, port: UserPort) {
    this.#plane = plane;
    this.#port = port;
    this.#out = plane.pool.batch();
    this.#in = plane.pool.batch();
  }

  static async open(plan: CarrierPlan): Promise<TwillCarrier> {
    const plane = await openPlane(plan);
    return new TwillCarrier(plane, plane.overlay);
  }

  prepare(lengthBytes: number): void {
    this.#template = packetTo('far', lengthBytes);
  }

  send(count: number, first: number): number {
    const batch = this.#out;
    const { memory } = this.#plane.pool;
    let sent = 0;
    while (sent < count) {
      const n = batch.allocate(Math.min(count - sent, batch.capacity), this.#template.length);
      for (let i = 0; i < n; i++) {
        const at = batch.start(i);
        memory.set(this.#template, at);
        setNumber(memory, at, first + sent + i);
      }
      const taken = this.#port.sendBatch(batch);
      batch.release();
      sent += taken;
      if (taken < n || n === 0) break;
    }
    return sent;
  }

  onReturn(listener: (count: number, sum: number) => void): void {
    const batch = this.#in;
    const { memory } = this.#plane.pool;
    this.#port.onReadable(() => {
      while (this.#port.receiveInto(batch) > 0) {
        let sum = 0;
        for (let i = 0; i < batch.count; i++) sum += numberOf(memory, batch.start(i));
        const { count } = batch;
        batch.release();
        listener(count, sum);
      }
    });
  }

  echo(): void {
    const batch = this.#in;
    const { memory } = this.#plane.pool;
    this.#port.onReadable(() => {
      while (this.#port.receiveInto(batch) > 0) {
        for (let i = 0; i < batch.count; i++) turn(memory, batch.start(i));
        this.#port.sendBatch(batch);
        batch.release();
      }
    });
  }

  async close(): Promise<void> {
    await this.#plane.close();
  }
}
