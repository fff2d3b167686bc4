/** Packets and datagrams of every kind, hostile ones too, for a node with a few peers: arbitraries of fast-check. */
import fc from 'fast-check';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';
import { internetChecksum } from '../../src/wire/checksum.js';
import type { Datagram, SpecifiedNode, SpecifiedPeer } from '../../src/wire/node.js';
import { PROTOCOL } from '../../src/wire/protocol.js';
import { vtepPayload } from '../../src/wire/vtep.js';
import { ipPacket, parsed } from './packets.js';

export type Encap = 'vxlan' | 'udp';

const ownMac = MacAddress.parse('12:11:22:33:44:55');
/** A VTEP may have one for each family. */
const ownMacV6 = MacAddress.parse('12:11:22:33:44:66');
const peerMacs = ['c6:d2:32:6f:8f:44', '02:00:00:00:00:02'].map((text) => MacAddress.parse(text));
const endpoints = ['192.0.2.2', '192.0.2.3', '2001:db8::2'].map((text) => IpAddress.parse(text));
const PORT = { vxlan: 8472, udp: 8285 } as const;

function peerOf(encap: Encap, subnet: Prefix, endpoint: number, mac: number): SpecifiedPeer {
  return {
    subnet,
    endpoint: { address: endpoints[endpoint] as IpAddress, port: PORT[encap] },
    mac: peerMacs[mac] as MacAddress,
  };
}

export function specifiedNode(encap: Encap, sourceCheck: boolean): SpecifiedNode {
  const peer = (subnet: string, endpoint: number, mac: number) =>
    peerOf(encap, Prefix.parse(subnet), endpoint, mac);
  return {
    ...{ encap, sourceCheck, vni: 1, port: PORT[encap], mac: ownMac, macV6: ownMacV6, mtuBytes: 300 },
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
  ...['10.5.1.9', '10.5.2.9', '10.5.2.200', '10.5.5.5', '10.5.9.9', '192.0.2.1', '192.0.2.2', '192.0.2.3'],
  ...['127.0.0.1', '0.0.0.1', '224.0.0.1', '255.255.255.255'],
];
const interesting6 = [
  ...['fd00:5:0:1::9', 'fd00:5:0:2::9', 'fd00:5:0:3::9', 'fd00:5:0:9::9', '2001:db8::2'],
  ...['::', '::1', '::ffff:10.5.2.9', 'ff02::1'],
];
const addressPair = fc.oneof(
  fc.tuple(fc.constantFrom(...interesting4), fc.constantFrom(...interesting4)),
  fc.tuple(fc.constantFrom(...interesting6), fc.constantFrom(...interesting6)),
);

/** Peers with nested prefixes of any length around the interesting addresses. */
export const anyPeers = (encap: Encap) =>
  fc.uniqueArray(
    fc
      .tuple(
        fc.oneof(
          fc.tuple(fc.constantFrom(...interesting4), fc.nat(32)),
          fc.tuple(fc.constantFrom(...(encap === 'vxlan' ? interesting6 : interesting4)), fc.nat(32)),
        ),
        fc.nat(2),
        fc.nat(1),
      )
      .map(([[text, missing], endpoint, mac]) => {
        const address = IpAddress.parse(text);
        const length = (address.family === 4 ? 32 : 128) - missing;
        return peerOf(encap, Prefix.of(address, length), endpoint, mac);
      }),
    { maxLength: 12, selector: ({ subnet }) => subnet.toString() },
  );

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  // UDP to the tunnel's own ports.
  fc.constantFrom(8472, 8285, 53).map((port) => Uint8Array.from([0, 9, port >> 8, port & 255, 0, 8, 0, 0])),
  fc.uint8Array({ minLength: 250, maxLength: 320 }),
);
const ttl = fc.constantFrom(0, 1, 2, 64, 255);
const tos = fc.nat(255);

const wellFormed = fc
  .record({
    addresses: addressPair,
    protocol: fc.constantFrom(17, 17, 6, 1, 58, 0, 43, 44, 51, 60),
    ...{ ttl, tos, payload },
  })
  .map(({ addresses: [source, destination], ...rest }) => ipPacket({ source, destination, ...rest }));

/** UDP to a tunnel's port at, or beside, a peer's endpoint. */
const ownTunnel = fc
  .record({
    destination: fc.constantFrom('192.0.2.2', '192.0.2.3', '192.0.2.4', '2001:db8::2'),
    port: fc.constantFrom(8472, 8285, 4789),
    more: fc.nat(8),
  })
  .map(({ destination, port, more }) => {
    const source = destination.includes(':') ? '2001:db8::1' : '192.0.2.1';
    const body = Uint8Array.from([0, 9, port >> 8, port & 255, 0, 8, 0, 0]).subarray(0, more);
    return ipPacket({ source, destination, payload: body });
  });

/** IPv4 with a fragment offset or more fragments to come. */
const fragment = fc
  .tuple(wellFormed, fc.constantFrom(0x2000, 0x0001, 0x2010, 0x8000))
  .map(([packet, word]) => {
    if ((packet[0] ?? 0) >> 4 === 4) packet.set([word >> 8, word & 255], 6);
    return packet;
  });

/** IPv6 with a chain of extension headers, sound or not. */
const extended = fc
  .record({
    addresses: fc.tuple(fc.constantFrom(...interesting6), fc.constantFrom(...interesting6)),
    protocols: fc.array(fc.constantFrom(0, 43, 44, 51, 60, 58, 17), { minLength: 1, maxLength: 10 }),
    octets: fc.uint8Array({ minLength: 90, maxLength: 90 }),
    units: fc.constantFrom(0, 0, 0, 1, 255),
    bytes: fc.nat(90),
  })
  .map(({ addresses: [source, destination], protocols, octets, units, bytes }) => {
    const [protocol = 17, ...next] = protocols;
    const chain = next.flatMap((header, i) => [header, units, ...octets.subarray(i * 6, i * 6 + 6)]);
    const rest = Uint8Array.from([...chain, ...octets]).subarray(0, bytes);
    return ipPacket({ source, destination, protocol, payload: rest });
  });

/** TCP or UDP with a checksum that a device was to finish; right now and then, or nearly that. */
const unfinished = fc
  .record({
    addresses: addressPair,
    transport: fc.constantFrom(
      { protocol: 6, at: 16, leastBytes: 20 },
      { protocol: 17, at: 6, leastBytes: 8 },
    ),
    more: fc.uint8Array({ maxLength: 60 }),
    off: fc.constantFrom(0, 0, 0, 1),
  })
  .map(({ addresses: [source, destination], transport, more, off }) => {
    const { protocol, at, leastBytes } = transport;
    const body = Uint8Array.from([...new Uint8Array(leastBytes), ...more]);
    const packet = ipPacket({ source, destination, protocol, payload: body });
    const { family, headerBytes } = parsed(packet);
    const addresses = packet.subarray(family === 4 ? 12 : 8, family === 4 ? 20 : 40);
    const pseudo = (~internetChecksum(addresses, protocol + body.length) & 0xffff) + off;
    packet.set([(pseudo >> 8) & 255, pseudo & 255], headerBytes + at);
    return packet;
  });

/** A good packet with some bytes changed, cut, or padded. */
const damaged = fc
  .tuple(
    wellFormed,
    fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 3 }),
    fc.integer({ min: -30, max: 30 }),
  )
  .map(([packet, changes, grow]) => {
    const out = new Uint8Array(Math.max(packet.length + grow, 0));
    out.set(packet.subarray(0, out.length));
    for (const [at, value] of changes) if (at < out.length) out[at] = value;
    return out;
  });

const ipv4Options = fc.constantFrom(
  [1, 1, 131, 3, 4, 0],
  [137, 7, 4, 0, 0, 0, 0, 0],
  [7, 3, 4, 0],
  [0, 0, 0, 0],
  [131, 0, 0, 0],
  [68, 1, 131, 3],
);

/** IPv4 with options: source routes among them. */
function withOptions(packet: Uint8Array, options: readonly number[]): Uint8Array {
  if ((packet[0] ?? 0) >> 4 !== 4) return packet;
  const padded = [...options, ...Array<number>((4 - (options.length % 4)) % 4).fill(0)];
  const out = Uint8Array.from([...packet.subarray(0, 20), ...padded, ...packet.subarray(20)]);
  out[0] = 0x45 + padded.length / 4;
  out[2] = out.length >> 8;
  out[3] = out.length & 255;
  return out;
}

/** What may come out of a TUN. */
export const anyPacket = fc.oneof(
  { weight: 4, arbitrary: wellFormed },
  { weight: 3, arbitrary: damaged },
  { weight: 1, arbitrary: fc.tuple(wellFormed, ipv4Options).map((both) => withOptions(...both)) },
  { weight: 2, arbitrary: ownTunnel },
  { weight: 1, arbitrary: fragment },
  { weight: 1, arbitrary: extended },
  { weight: 1, arbitrary: unfinished },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) },
);

const frame = fc
  .record({
    packet: anyPacket,
    vni: fc.constantFrom(1, 1, 1, 1, 2, 0xffffff),
    destination: fc.constantFrom(
      ownMac,
      ownMac,
      ownMacV6,
      ownMacV6,
      peerMacs[0] as MacAddress,
      MacAddress.parse('ff:ff:ff:ff:ff:ff'),
    ),
    source: fc.constantFrom(
      ...peerMacs,
      ...peerMacs,
      ownMac,
      ownMacV6,
      MacAddress.parse('00:00:00:00:00:00'),
      MacAddress.parse('01:00:5e:00:00:01'),
    ),
    family: fc.constantFrom(4 as const, 6 as const),
    matches: fc.boolean(),
    change: fc.option(fc.tuple(fc.constantFrom(0, 1, 3, 7, 20, 21), fc.nat(255)), { nil: null, freq: 4 }),
    length: fc.option(fc.nat(30), { nil: null, freq: 6 }),
  })
  .map(({ change, length, matches, ...rest }) => {
    const family = matches && (rest.packet[0] ?? 0) >> 4 === 6 ? 6 : matches ? 4 : rest.family;
    const bytes = vtepPayload({ ...rest, family });
    if (change) bytes[change[0]] = change[1];
    return length === null ? bytes : bytes.subarray(0, length);
  });

const remote = fc
  .constantFrom(...endpoints, ...endpoints, IpAddress.parse('203.0.113.9'))
  .map((address) => ({ address, port: 40_000 }));

const hostile = (encap: Encap): fc.Arbitrary<Datagram> =>
  fc.record({
    payload:
      encap === 'vxlan'
        ? fc.oneof({ weight: 9, arbitrary: frame }, { weight: 1, arbitrary: anyPacket })
        : anyPacket,
    ...{ remote, tos },
  });

/** Sound outside, from and to anybody inside. */
const anyInside = (encap: Encap): fc.Arbitrary<Datagram> =>
  fc
    .record({ packet: anyPacket, remote, tos })
    .map(({ packet, ...rest }) => ({ payload: carried(encap, packet), ...rest }));

/** What a peer may send, with any mark outside and inside, its checksum finished or not. */
const legitimate = (encap: Encap): fc.Arbitrary<Datagram> =>
  fc
    .record({
      to: fc.constantFrom('10.5.1.9', '192.0.2.1', '10.5.9.9', 'fd00:5:0:1::9'),
      own: fc.boolean(),
      tos,
      outerTos: tos,
      ttl: fc.constantFrom(1, 2, 64),
      body: fc.option(unfinished, { nil: null }),
    })
    .map(({ to, own, tos, outerTos, ttl, body }) => {
      const isV6 = to.includes(':') && encap === 'vxlan';
      const source = isV6 ? 'fd00:5:0:2::7' : own ? '10.5.1.7' : '10.5.2.7';
      const destination = isV6 || !to.includes(':') ? to : '10.5.1.9';
      const inner = body && parsed(body);
      const packet = ipPacket({
        ...{ source, destination, tos, ttl },
        ...(inner && { protocol: inner.protocol, payload: inner.bytes.subarray(inner.headerBytes) }),
      });
      return {
        payload: carried(encap, packet),
        remote: { address: first(endpoints), port: 40_000 },
        tos: outerTos,
      };
    });

/** Unfinished TCP and UDP from a peer's pod to one of ours. */
const fromPod = (encap: Encap): fc.Arbitrary<Datagram> =>
  fc.record({ body: unfinished, isV6: fc.boolean() }).map(({ body, isV6 }) => {
    const inner = parsed(body);
    const six = isV6 && encap === 'vxlan';
    const [source, destination] = six ? ['fd00:5:0:2::7', 'fd00:5:0:1::9'] : ['10.5.2.7', '10.5.1.9'];
    const at = inner.protocol === PROTOCOL.tcp ? 16 : 6;
    const payload = Uint8Array.from(inner.bytes.subarray(inner.headerBytes));
    const packet = ipPacket({ source, destination, protocol: inner.protocol, payload });
    const { headerBytes } = parsed(packet);
    const addresses = packet.subarray(six ? 8 : 12, six ? 40 : 20);
    const pseudo = ~internetChecksum(addresses, inner.protocol + payload.length) & 0xffff;
    packet.set([pseudo >> 8, pseudo & 255], headerBytes + at);
    return { payload: carried(encap, packet), remote: { address: first(endpoints), port: 40_000 }, tos: 0 };
  });

/** From a peer's pod to one of ours, by a route of its own choice or with other options. */
const routed = (encap: Encap): fc.Arbitrary<Datagram> =>
  fc
    .record({
      isV6: fc.boolean(),
      options: ipv4Options,
      before: fc.nat(1),
      type: fc.constantFrom(0, 0, 2, 4),
    })
    .map(({ isV6, options, before, type }) => {
      const routing = [17, 0, type, 1, 0, 0, 0, 0, ...Array<number>(8).fill(0)];
      const packet =
        isV6 && encap === 'vxlan'
          ? ipPacket({
              ...{ source: 'fd00:5:0:2::7', destination: 'fd00:5:0:1::9', protocol: before ? 60 : 43 },
              payload: Uint8Array.from(before ? [43, 0, 1, 4, 0, 0, 0, 0, ...routing] : routing),
            })
          : withOptions(ipPacket({ source: '10.5.2.7', destination: '10.5.1.9' }), options);
      return { payload: carried(encap, packet), remote: { address: first(endpoints), port: 40_000 }, tos: 0 };
    });

/** What was good, with bytes changed anywhere, cut or with more behind. */
const mutated = (encap: Encap): fc.Arbitrary<Datagram> =>
  fc
    .tuple(
      fc.oneof(legitimate(encap), fromPod(encap), routed(encap)),
      fc.array(fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(255)), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.oneof(fc.constant(0), fc.integer({ min: -60, max: 20 })),
    )
    .map(([datagram, changes, grow]) => {
      const bytes = new Uint8Array(Math.max(datagram.payload.length + grow, 0));
      bytes.set(datagram.payload.subarray(0, bytes.length));
      for (const [where, value] of changes)
        if (bytes.length > 0) bytes[Math.floor(where * bytes.length)] = value;
      return { ...datagram, payload: bytes };
    });

/** What may come from the underlay. */
export const anyDatagram = (encap: Encap): fc.Arbitrary<Datagram> =>
  fc.oneof(
    { weight: 2, arbitrary: legitimate(encap) },
    { weight: 1, arbitrary: fromPod(encap) },
    { weight: 1, arbitrary: routed(encap) },
    { weight: 3, arbitrary: mutated(encap) },
    { weight: 4, arbitrary: anyInside(encap) },
    { weight: 4, arbitrary: hostile(encap) },
  );

function carried(encap: Encap, packet: Uint8Array): Uint8Array {
  if (encap === 'udp') return packet;
  const family = (packet[0] ?? 0) >> 4 === 6 ? 6 : 4;
  const destination = family === 6 ? ownMacV6 : ownMac;
  return vtepPayload({ vni: 1, destination, source: first(peerMacs), family, packet });
}

function first<T>(values: readonly T[]): T {
  return values[0] as T;
}
