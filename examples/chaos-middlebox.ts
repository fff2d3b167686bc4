/**
 * The network between two nodes, as bad as you wish: it drops, delays, duplicates and so reorders what they send, by chance,
 * and by the same chance again for the same seed. Nodes and network are all in this process, because a node's underlay may
 * be the program too: so a protocol over the overlay is tested against a bad network without having one.
 *
 *     node dist/examples/chaos-middlebox.js --drop 0.1 --duplicate 0.05 --delay-ms 20 --seed 7 --packets 10000
 *
 * Every packet is accounted for: the exit code is 1 where the counts do not add up.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Dataplane, IpAddress, type PacketBuffer } from 'twill';
import { encodeIpv4, PROTOCOL } from 'twill/codec';

const { values } = parseArgs({
  options: {
    drop: { type: 'string', default: '0.1' },
    duplicate: { type: 'string', default: '0.05' },
    'delay-ms': { type: 'string', default: '20' },
    seed: { type: 'string', default: '7' },
    packets: { type: 'string', default: '10000' },
  },
});
const packets = Number(values.packets);

type Node = Awaited<ReturnType<typeof openNode>>;

async function openNode(own: number) {
  const other = 3 - own;
  const mac = (node: number) => `02:00:00:00:00:0${node}`;
  const endpoint = (node: number) => ({ address: IpAddress.parse(`192.0.2.${node}`), port: 8472 });
  const plane = await Dataplane.open({
    encap: 'vxlan',
    subnets: [`10.244.${own}.0/24`],
    mac: mac(own),
    overlay: { kind: 'user' },
    underlay: { kind: 'user' },
  });
  plane.peers.set({ subnet: `10.244.${other}.0/24`, endpoint: endpoint(other), mac: mac(other) });
  const { overlay, underlay } = plane;
  if (!overlay || !underlay) throw new Error('both sides were to be the program');
  return { plane, overlay, underlay, endpoint: endpoint(own), host: IpAddress.parse(`10.244.${own}.7`) };
}

/** One direction: from an application at one node through the network to one at the other. */
class Path {
  /** `refused`: the other node had no room. */
  readonly network = { came: 0, dropped: 0, duplicated: 0, waiting: 0, refused: 0, handedOver: 0 };
  readonly application = { arrived: 0, reordered: 0 };
  readonly from: Node;
  readonly to: Node;
  readonly #chance: () => number;

  constructor(from: Node, to: Node, seed: number) {
    this.from = from;
    this.to = to;
    this.#chance = seeded(seed);
  }

  /** Numbered packets; where there is no room, later. */
  async send(): Promise<void> {
    const bytes = Buffer.alloc(20 + 4);
    const ends = { source: this.from.host, destination: this.to.host };
    encodeIpv4({ ...ends, protocol: PROTOCOL.udp, payloadBytes: 4 }, bytes);
    for (let number = 0; number < packets; number++) {
      bytes.writeUInt32BE(number, 20);
      // More than this on its way would overflow the queues: loss that is not of our making.
      while (number - this.network.came > 256 || !this.from.overlay.write(bytes)) await setImmediate();
    }
  }

  async carry(): Promise<void> {
    for await (const batch of this.from.underlay) for (const packet of batch) this.#decide(packet);
  }

  #decide(packet: PacketBuffer): void {
    const { network } = this;
    const [drop, duplicate, ...delays] = Array.from({ length: 4 }, this.#chance) as [
      number,
      number,
      ...number[],
    ];
    network.came += 1;
    if (drop < Number(values.drop)) {
      network.dropped += 1;
      packet.release();
      return;
    }
    const copies = duplicate < Number(values.duplicate) ? 2 : 1;
    network.duplicated += copies - 1;
    network.waiting += copies;
    // Until its last copy is gone the packet stays in the sender's pool, and a node without free buffers has to wait.
    const all = delays.slice(0, copies).map(async (delay) => {
      await setTimeout(delay * Number(values['delay-ms']));
      network.waiting -= 1;
      network[this.#handOver(packet) ? 'handedOver' : 'refused'] += 1;
    });
    void Promise.all(all).then(() => packet.release());
  }

  /** Each node has a pool of its own: here alone the bytes are copied, as by a wire. */
  #handOver(packet: PacketBuffer): boolean {
    const copy = this.to.plane.pool.allocate(packet.length);
    if (!copy) return false;
    copy.bytes.set(packet.bytes);
    copy.remote = this.from.endpoint;
    if (this.to.underlay.send([copy]) === 1) return true;
    copy.release();
    return false;
  }

  async receive(): Promise<void> {
    let highest = -1;
    for await (const batch of this.to.overlay) {
      for (const packet of batch) {
        const number = packet.bytes.readUInt32BE(20);
        this.application.arrived += 1;
        if (number < highest) this.application.reordered += 1;
        highest = Math.max(highest, number);
        packet.release();
      }
    }
  }

  /** Nothing is on its way any more, and every count is the one before it. */
  get addsUp(): boolean {
    const { came, dropped, duplicated, waiting, refused, handedOver } = this.network;
    const { received, delivered } = this.to.plane.stats().decap;
    const isAllIn = came === packets && this.from.plane.stats().encap.delivered === came && waiting === 0;
    const isAllOut =
      handedOver === received && received === delivered && delivered === this.application.arrived;
    return isAllIn && isAllOut && came - dropped + duplicated === refused + handedOver;
  }
}

/** Numbers from 0 to 1 (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const [a, b] = await Promise.all([openNode(1), openNode(2)]);
const seed = Number(values.seed);
const paths = [new Path(a, b, seed), new Path(b, a, seed + 1)];
const loops = paths.flatMap((path) => [path.carry(), path.receive()]);
await Promise.all(paths.map((path) => path.send()));
for (let tries = 0; tries < 1000 && !paths.every(({ addsUp }) => addsUp); tries++) await setTimeout(10);
for (const { network, application, addsUp } of paths) {
  console.log(JSON.stringify({ ...network, ...application }));
  if (!addsUp) process.exitCode = 1;
}
await Promise.all([a.plane.close(), b.plane.close()]);
await Promise.all(loops);
