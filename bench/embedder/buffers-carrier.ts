/** Twill's user port, with an object for each packet: what a program writes that does not count microseconds. */
import type { Dataplane } from '../../src/dataplane/dataplane.js';
import type { PacketBuffer } from '../../src/dataplane/packet-buffer.js';
import type { UserPort } from '../../src/dataplane/user-port.js';
import type { Carrier, CarrierPlan } from './carrier.js';
import { numberOf, packetTo, setNumber, turn } from './packet.js';
import { openPlane } from './twill-carrier.js';

export class BuffersCarrier implements Carrier {
  readonly window = 512;
  readonly #plane: Dataplane;
  readonly #port: UserPort;
  #template: Uint8Array = new Uint8Array();

  private constructor(plane: Dataplane, port: UserPort) {
    this.#plane = plane;
    this.#port = port;
  }

  static async open(plan: CarrierPlan): Promise<BuffersCarrier> {
    const plane = await openPlane(plan);
    return new BuffersCarrier(plane, plane.overlay);
  }

  prepare(lengthBytes: number): void {
    this.#template = packetTo('far', lengthBytes);
  }

  send(count: number, first: number): number {
    const packets: PacketBuffer[] = [];
    while (packets.length < count) {
      const packet = this.#plane.pool.allocate(this.#template.length);
      if (!packet) break;
      const { bytes } = packet;
      bytes.set(this.#template);
      setNumber(bytes, 0, first + packets.length);
      packets.push(packet);
    }
    return this.#hand(packets);
  }

  onReturn(listener: (count: number, sum: number) => void): void {
    this.#port.onReadable(() => {
      const packets = this.#port.receive();
      let sum = 0;
      for (const packet of packets) {
        sum += numberOf(packet.bytes, 0);
        packet.release();
      }
      if (packets.length > 0) listener(packets.length, sum);
    });
  }

  echo(): void {
    this.#port.onReadable(() => {
      const packets = this.#port.receive();
      for (const { bytes } of packets) turn(bytes, 0);
      this.#hand(packets);
    });
  }

  async close(): Promise<void> {
    await this.#plane.close();
  }

  #hand(packets: readonly PacketBuffer[]): number {
    const taken = this.#port.send(packets);
    for (const packet of packets.slice(taken)) packet.release();
    return taken;
  }
}
