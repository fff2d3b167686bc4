/**
 * The native packet path against the specification in src/wire, on random and hostile packets: same verdict, same bytes,
 * same drop reason, same ICMP answer. No privilege, no thread: two user ports and `step`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';
import { type Datagram, decapDatagram, encapPacket, type SpecifiedNode } from '../../src/wire/node.js';
import { encodeVxlan } from '../../src/wire/vxlan.js';
import { ipPacket } from '../support/packets.js';
import { SteppedNode } from '../support/stepped-node.js';

const runs = Number(process.env['TWILL_PROPERTY_RUNS'] ?? 3000);
const ownMac = MacAddress.parse('12:11:22:33:44:55');
const peerMacs = ['c6:d2:32:6f:8f:44', '02:00:00:00:00:02'].map((text) => MacAddress.parse(text));
const endpoints = ['192.0.2.2', '192.0.2.3', '2001:db8::2'].map((text) => IpAddress.parse(text));

function node(encap: 'vxlan' | 'udp', sourceCheck: boolean): SpecifiedNode {
  const peer = (subnet: string, endpoint: number, mac: number) => ({
    subnet: Prefix.parse(subnet),
    endpoint: { address: endpoints[endpoint] as IpAddress, port: encap === 'vxlan' ? 8472 : 8285 },
    mac: peerMacs[mac] as MacAddress,
  });
  return {
    ...{ encap, sourceCheck, vni: 1, port: encap === 'vxlan' ? 8472 : 8285, mac: ownMac, mtuBytes: 300 },
    subnets: [Prefix.parse('10.5.1.0/24'), ...(encap === 'vxlan' ? [Prefix.parse('fd00:5:0:1::/64')] : [])],
    ownAddresses: [IpAddress.parse('192.0.2.1')],
    peers: [
      peer('10.5.2.0/24', 0, 0),
      // Nested on purpose: the longest prefix wins.
      peer('10.5.2.128/25', 1, 1),
      peer('10.5.4.0/22', 1, 1),
      peer('192.0.2.0/28', 0, 0),
      ...(encap === 'vxlan' ? [peer('fd00:5:0:2::/64', 0, 0), peer('fd00:5:0:3::/64', 2, 1)] : []),
    ],
  };
}

const interesting4 = [
  '10.5.1.9',
  '10.5.2.9',
  '10.5.2.200',
  '10.5.5.5',
  '10.5.9.9',
  '192.0.2.1',
  '192.0.2.2',
  '192.0.2.3',
  '127.0.0.1',
  '0.0.0.1',
  '224.0.0.1',
  '255.255.255.255',
];
const interesting6 = [
  'fd00:5:0:1::9',
  'fd00:5:0:2::9',
  'fd00:5:0:3::9',
  'fd00:5:0:9::9',
  '::',
  '::1',
  '::ffff:10.5.2.9',
  'ff02::1',
  '2001:db8::2',
];

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  // UDP to the tunnel's own ports.
  fc.constantFrom(8472, 8285, 53).map((port) => Uint8Array.from([0, 9, port >> 8, port & 255, 0, 8, 0, 0])),
  fc.uint8Array({ minLength: 250, maxLength: 320 }),
);
const wellFormed = fc
  .record({
    addresses: fc.oneof(
      fc.tuple(fc.constantFrom(...interesting4), fc.constantFrom(...interesting4)),
      fc.tuple(fc.constantFrom(...interesting6), fc.constantFrom(...interesting6)),
    ),
    protocol: fc.constantFrom(17, 17, 6, 1, 58, 0, 43, 44, 51, 60),
    ttl: fc.constantFrom(0, 1, 2, 64, 255),
    tos: fc.integer({ min: 0, max: 255 }),
    payload,
  })
  .map(({ addresses: [source, destination], ...rest }) => ipPacket({ source, destination, ...rest }));
/** A good packet with some bytes changed, cut, or padded. */
const damaged = fc
  .tuple(
    wellFormed,
    fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
    fc.integer({ min: -30, max: 30 }),
  )
  .map(([packet, changes, grow]) => {
    const out = new Uint8Array(Math.max(packet.length + grow, 0));
    out.set(packet.subarray(0, out.length));
    for (const [at, value] of changes) if (at < out.length) out[at] = value;
    return out;
  });
/** With IPv4 options: source routes among them. */
const withOptions = fc
  .tuple(
    wellFormed,
    fc.constantFrom(
      [1, 1, 131, 3, 4, 0],
      [137, 7, 4, 0, 0, 0, 0, 0],
      [7, 3, 4, 0],
      [0, 0, 0, 0],
      [131, 0, 0, 0],
      [68, 1, 131, 3],
    ),
  )
  .map(([packet, options]) => {
    if ((packet[0] ?? 0) >> 4 !== 4) return packet;
    const padded = [...options, ...Array<number>((4 - (options.length % 4)) % 4).fill(0)];
    const out = Uint8Array.from([...packet.subarray(0, 20), ...padded, ...packet.subarray(20)]);
    out[0] = 0x45 + padded.length / 4;
    out[2] = out.length >> 8;
    out[3] = out.length & 255;
    return out;
  });
const anyPacket = fc.oneof(
  { weight: 4, arbitrary: wellFormed },
  { weight: 3, arbitrary: damaged },
  { weight: 1, arbitrary: withOptions },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) },
);

const frame = fc
  .record({
    packet: anyPacket,
    vni: fc.constantFrom(1, 1, 1, 1, 2, 0xffffff),
    destination: fc.constantFrom(
      ownMac,
      ownMac,
      ownMac,
      peerMacs[0] as MacAddress,
      MacAddress.parse('ff:ff:ff:ff:ff:ff'),
    ),
    source: fc.constantFrom(
      ...peerMacs,
      ...peerMacs,
      ownMac,
      MacAddress.parse('00:00:00:00:00:00'),
      MacAddress.parse('01:00:5e:00:00:01'),
    ),
    family: fc.constantFrom(4 as const, 6 as const),
    matches: fc.boolean(),
    change: fc.option(fc.tuple(fc.constantFrom(0, 1, 3, 7, 20, 21), fc.integer({ min: 0, max: 255 })), {
      nil: null,
      freq: 4,
    }),
    length: fc.option(fc.nat(30), { nil: null, freq: 6 }),
  })
  .map(({ change, length, matches, ...rest }) => {
    const family = matches && (rest.packet[0] ?? 0) >> 4 === 6 ? 6 : matches ? 4 : rest.family;
    const bytes = encodeVxlan({ ...rest, family });
    if (change) bytes[change[0]] = change[1];
    return length === null ? bytes : bytes.subarray(0, length);
  });

const remote = fc
  .constantFrom(...endpoints, ...endpoints, IpAddress.parse('203.0.113.9'))
  .map((address) => ({ address, port: 40_000 }));

const hostile = (encap: 'vxlan' | 'udp') =>
  fc.record({
    payload:
      encap === 'vxlan'
        ? fc.oneof({ weight: 9, arbitrary: frame }, { weight: 1, arbitrary: anyPacket })
        : anyPacket,
    remote,
    tos: fc.integer({ min: 0, max: 255 }),
  });

/** What a peer may send, with any mark outside and inside. */
const legitimate = (encap: 'vxlan' | 'udp') =>
  fc
    .record({
      to: fc.constantFrom('10.5.1.9', '192.0.2.1', '10.5.9.9', 'fd00:5:0:1::9'),
      own: fc.boolean(),
      tos: fc.integer({ min: 0, max: 255 }),
      outerTos: fc.integer({ min: 0, max: 255 }),
      ttl: fc.constantFrom(1, 2, 64),
    })
    .map(({ to, own, tos, outerTos, ttl }): Datagram => {
      const isV6 = to.includes(':') && encap === 'vxlan';
      const source = isV6 ? 'fd00:5:0:2::7' : own ? '10.5.1.7' : '10.5.2.7';
      const packet = ipPacket({ source, destination: isV6 || !to.includes(':') ? to : '10.5.1.9', tos, ttl });
      const family = isV6 ? 6 : 4;
      const frame = {
        vni: 1,
        destination: ownMac,
        source: peerMacs[0] as MacAddress,
        family,
        packet,
      } as const;
      const payload = encap === 'vxlan' ? encodeVxlan(frame) : packet;
      return { payload, remote: { address: endpoints[0] as IpAddress, port: 40_000 }, tos: outerTos };
    });

for (const encap of ['vxlan', 'udp'] as const) {
  for (const sourceCheck of [true, false]) {
    const label = `${encap}, source check ${sourceCheck ? 'on' : 'off'}`;
    test(`underlay to overlay: ${label}`, async () => {
      const specified = node(encap, sourceCheck);
      const engine = await SteppedNode.open(specified);
      const seen = new Set<string>();
      const datagram = fc.oneof(
        { weight: 1, arbitrary: legitimate(encap) },
        { weight: 4, arbitrary: hostile(encap) },
      );
      fc.assert(
        fc.property(datagram, (input) => {
          const wanted = decapDatagram(specified, input);
          const got = engine.fromUnderlay(input);
          seen.add('drop' in wanted ? wanted.drop : 'delivered');
          if ('drop' in wanted) assert.deepEqual(got, { datagrams: [], packets: [], drops: [wanted.drop] });
          else assert.deepEqual(got, { datagrams: [], packets: [Uint8Array.from(wanted.packet)], drops: [] });
        }),
        { numRuns: runs },
      );
      // Each rule by itself: drop-reasons.test.ts. Here: that the generators reach behind the first ones.
      assert.ok(seen.has('delivered') && seen.size > 5, `only met: ${[...seen]}`);
      await engine.dataplane.close();
    });

    if (!sourceCheck) continue;
    test(`overlay to underlay: ${encap}`, async () => {
      const specified = node(encap, true);
      const seen = new Set<string>();
      let engine = await SteppedNode.open(specified);
      let answers = 0;
      const property = fc.asyncProperty(anyPacket, async (input) => {
        // A fresh engine before its limiter of ICMP errors would speak.
        if (answers >= 80) {
          await engine.dataplane.close();
          engine = await SteppedNode.open(specified);
          answers = 0;
        }
        const wanted = encapPacket(specified, input);
        const got = engine.fromOverlay(input);
        seen.add('drop' in wanted ? wanted.drop : 'sent');
        if ('drop' in wanted) {
          const packets = wanted.answer ? [wanted.answer] : [];
          answers += packets.length;
          assert.deepEqual(got, { datagrams: [], packets, drops: [wanted.drop] });
        } else {
          assert.deepEqual(got, { datagrams: [plain(wanted)], packets: [], drops: [] });
        }
      });
      await fc.assert(property, { numRuns: runs });
      assert.ok(seen.has('sent') && seen.size > 3, `only met: ${[...seen]}`);
      await engine.dataplane.close();
    });
  }
}

function plain({ payload: bytes, remote: to, tos }: Datagram): Datagram {
  return { payload: Uint8Array.from(bytes), remote: { address: to.address, port: to.port }, tos };
}
