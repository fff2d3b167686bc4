/**
 * The native packet path against the specification in src/wire, on random and hostile packets: same verdict, same bytes,
 * same drop reason, same ICMP answer; one by one, in batches, and through changes of the peer table. No privilege, no
 * thread: two user ports and `step`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Datagram, decapDatagram, encapPacket, type SpecifiedNode } from '../../src/wire/node.js';
import { anyDatagram, anyPacket, anyPeers, specifiedNode } from '../support/arbitrary-packets.js';
import { times } from '../support/properties.js';
import { type Outcome, SteppedNode } from '../support/stepped-node.js';

const RUNS = 4000;

/** What the specification says of all these, in their order. */
function specified(
  node: SpecifiedNode,
  { datagrams = [], packets = [] }: { datagrams?: readonly Datagram[]; packets?: readonly Uint8Array[] },
): Outcome {
  const out = { datagrams: [] as Datagram[], packets: [] as Uint8Array[], drops: [] as string[] };
  for (const datagram of datagrams) {
    const verdict = decapDatagram(node, datagram);
    if ('drop' in verdict) out.drops.push(verdict.drop);
    else out.packets.push(Uint8Array.from(verdict.packet));
  }
  for (const packet of packets) {
    const verdict = encapPacket(node, packet);
    if ('drop' in verdict) {
      out.drops.push(verdict.drop);
      if (verdict.answer) out.packets.push(verdict.answer);
    } else {
      const { payload, remote, tos } = verdict;
      const to = { address: remote.address, port: remote.port };
      out.datagrams.push({ payload: Uint8Array.from(payload), remote: to, tos });
    }
  }
  return { ...out, drops: out.drops.sort() };
}

/** The engine's ICMP errors have a limit per second: a fresh engine before it is reached. */
class Unlimited {
  readonly #node: SpecifiedNode;
  #engine: SteppedNode;
  #answers = 0;

  private constructor(node: SpecifiedNode, engine: SteppedNode) {
    this.#node = node;
    this.#engine = engine;
  }

  static async open(node: SpecifiedNode): Promise<Unlimited> {
    return new Unlimited(node, await SteppedNode.open(node));
  }

  async fromOverlay(packets: readonly Uint8Array[]): Promise<Outcome> {
    this.#answers += packets.length;
    if (this.#answers > 80) {
      await this.close();
      this.#engine = await SteppedNode.open(this.#node);
      this.#answers = packets.length;
    }
    return this.#engine.fromOverlay(...packets);
  }

  close(): Promise<void> {
    return this.#engine.dataplane.close();
  }
}

const checks = [
  ...['unknown_peer', 'martian', 'own_source', 'src_mismatch', 'not_for_us'],
  ...['inner_short', 'inner_version', 'inner_length', 'source_route'],
];
/** What the generators must reach, so that a rule cannot change unseen; each rule by itself: drop-reasons.test.ts. */
const reached = {
  vxlan: [
    ...['delivered', 'sent', 'no_route', 'loop', 'too_big', 'ecn', 'vni', 'short', 'reserved_bits'],
    ...['no_vni_flag', 'mac_source', 'mac_destination', 'ethertype', ...checks],
  ],
  udp: ['delivered', 'sent', 'no_route', 'loop', 'too_big', 'family', 'ttl_exceeded', ...checks],
};

for (const encap of ['vxlan', 'udp'] as const) {
  const met = new Set<string>();

  for (const sourceCheck of [true, false]) {
    test(`underlay to overlay: ${encap}, source check ${sourceCheck ? 'on' : 'off'}`, async () => {
      const node = specifiedNode(encap, sourceCheck);
      const engine = await SteppedNode.open(node);
      fc.assert(
        fc.property(anyDatagram(encap), (datagram) => {
          const wanted = specified(node, { datagrams: [datagram] });
          for (const name of wanted.drops) met.add(name);
          if (wanted.packets.length > 0) met.add('delivered');
          assert.deepEqual(engine.fromUnderlay(datagram), wanted);
        }),
        times(RUNS),
      );
      await engine.dataplane.close();
    });
  }

  test(`overlay to underlay: ${encap}`, async () => {
    const node = specifiedNode(encap, true);
    const engine = await Unlimited.open(node);
    await fc.assert(
      fc.asyncProperty(anyPacket, async (packet) => {
        const wanted = specified(node, { packets: [packet] });
        for (const name of wanted.drops) met.add(name);
        if (wanted.datagrams.length > 0) met.add('sent');
        assert.deepEqual(await engine.fromOverlay([packet]), wanted);
      }),
      times(RUNS),
    );
    await engine.close();
  });

  const isCutShort = times(RUNS).numRuns < RUNS && 'TWILL_PROPERTY_RUNS asks for too few runs';
  test(`the generators reach every rule: ${encap}`, { skip: isCutShort }, () => {
    assert.deepEqual(
      reached[encap].filter((name) => !met.has(name)),
      [],
    );
  });

  test(`batches: ${encap}: every packet has the fate that it has alone, in order`, async () => {
    const node = specifiedNode(encap, true);
    const engine = await SteppedNode.open(node);
    fc.assert(
      fc.property(fc.array(anyDatagram(encap), { maxLength: 150, size: 'max' }), (datagrams) => {
        assert.deepEqual(engine.fromUnderlay(...datagrams), specified(node, { datagrams }));
      }),
      times(100),
    );
    await engine.dataplane.close();
    const outward = await Unlimited.open(node);
    await fc.assert(
      fc.asyncProperty(fc.array(anyPacket, { maxLength: 70, size: 'max' }), async (packets) => {
        assert.deepEqual(await outward.fromOverlay(packets), specified(node, { packets }));
      }),
      times(100),
    );
    await outward.close();
  });

  test(`peers that come, move and go: ${encap}: any table is found in as the list is`, async () => {
    const engine = await SteppedNode.open({ ...specifiedNode(encap, true), peers: [] });
    const step = fc.record({
      peers: anyPeers(encap),
      datagrams: fc.array(anyDatagram(encap), { maxLength: 8 }),
      // Without answers: those have their limit.
      packets: fc.array(anyPacket, { maxLength: 8 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 5 }), (steps) => {
        for (const { peers, datagrams, packets } of steps) {
          const node = { ...specifiedNode(encap, true), peers };
          engine.dataplane.peers.replace(peers);
          assert.deepEqual(engine.fromUnderlay(...datagrams), specified(node, { datagrams }));
          const sendable = packets.filter((packet) => !('answer' in encapPacket(node, packet)));
          assert.deepEqual(engine.fromOverlay(...sendable), specified(node, { packets: sendable }));
        }
      }),
      times(400),
    );
    await engine.dataplane.close();
  });
}
