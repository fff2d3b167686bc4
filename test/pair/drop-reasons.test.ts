/** One packet for every drop reason that needs no failing system, against engine and specification. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';
import { decapDatagram, encapPacket, type SpecifiedNode } from '../../src/wire/node.js';
import { vtepPayload } from '../../src/wire/vtep.js';
import { hex, ipPacket } from '../support/packets.js';
import { SteppedNode } from '../support/stepped-node.js';

const own = MacAddress.parse('12:11:22:33:44:55');
const theirs = MacAddress.parse('c6:d2:32:6f:8f:44');
const peerAddress = IpAddress.parse('192.0.2.2');

function node(encap: 'vxlan' | 'udp', sourceCheck = true): SpecifiedNode {
  const port = encap === 'vxlan' ? 8472 : 8285;
  const peer = (subnet: string, address = peerAddress) => ({
    subnet: Prefix.parse(subnet),
    endpoint: { address, port },
    mac: theirs,
  });
  return {
    ...{ encap, port, sourceCheck, vni: 1, mac: own, mtuBytes: 300 },
    subnets: [Prefix.parse('10.5.1.0/24'), Prefix.parse('fd00:5:0:1::/64')],
    ownAddresses: [IpAddress.parse('192.0.2.1')],
    peers: [
      peer('10.5.2.0/24'),
      peer('10.5.3.0/24', IpAddress.parse('192.0.2.3')),
      peer('192.0.2.0/28'),
      ...(encap === 'vxlan' ? [peer('fd00:5:0:2::/64')] : []),
    ],
  };
}

const good = { source: '10.5.2.9', destination: '10.5.1.9' };
const good6 = { source: 'fd00:5:0:2::9', destination: 'fd00:5:0:1::9' };
const vxlan = (
  packet: Uint8Array,
  change: Partial<{ vni: number; destination: MacAddress; source: MacAddress; family: 4 | 6 }> = {},
) => vtepPayload({ vni: 1, destination: own, source: theirs, family: 4, packet, ...change });
const patched = (bytes: Uint8Array, at: number, ...values: number[]) => {
  const copy = Uint8Array.from(bytes);
  copy.set(values, at);
  return copy;
};
/** 28 bytes of header, of them one option of 7 bytes, and 8 bytes of UDP. */
const sourceRoute = (type: number) =>
  hex(`47000024 00014000 40110000 0a050209 0a050109 ${type.toString(16).padStart(2, '0')}070400000001 00
       03e807d0 00080000`);
const routingHeader = (type: number) =>
  ipPacket({ ...good6, protocol: 43, payload: Uint8Array.from([17, 2, type, 1, ...Array(20).fill(0)]) });

type Case = [reason: string, payload: Uint8Array, more?: { tos?: number; from?: string; trusting?: boolean }];
const fromUnderlay: { readonly vxlan: Case[]; readonly udp: Case[] } = {
  vxlan: [
    ['delivered', vxlan(ipPacket(good))],
    ['delivered', vxlan(ipPacket(good6), { family: 6 })],
    ['delivered', vxlan(ipPacket({ ...good, source: '192.0.2.2' }))],
    ['delivered', vxlan(Uint8Array.from([...ipPacket(good), ...Array(14).fill(0)]))],
    ['unknown_peer', vxlan(ipPacket(good)), { from: '203.0.113.9' }],
    ['delivered', vxlan(ipPacket(good)), { from: '203.0.113.9', trusting: true }],
    ['short', new Uint8Array(0)],
    ['short', vxlan(ipPacket(good)).subarray(0, 7)],
    ['short', vxlan(ipPacket(good)).subarray(0, 21)],
    ['no_vni_flag', patched(vxlan(ipPacket(good)), 0, 0)],
    ['reserved_bits', patched(vxlan(ipPacket(good)), 0, 0x88)],
    ['reserved_bits', patched(vxlan(ipPacket(good)), 0, 0x0c)],
    ['reserved_bits', patched(vxlan(ipPacket(good)), 3, 1)],
    ['reserved_bits', patched(vxlan(ipPacket(good)), 7, 1)],
    ['vni', vxlan(ipPacket(good), { vni: 2 })],
    ['mac_source', vxlan(ipPacket(good), { source: own })],
    ['mac_source', vxlan(ipPacket(good), { source: MacAddress.parse('00:00:00:00:00:00') })],
    ['mac_source', vxlan(ipPacket(good), { source: MacAddress.parse('01:00:5e:00:00:01') })],
    ['mac_destination', vxlan(ipPacket(good), { destination: theirs })],
    ['mac_destination', vxlan(ipPacket(good), { destination: MacAddress.parse('ff:ff:ff:ff:ff:ff') })],
    ['ethertype', patched(vxlan(ipPacket(good)), 20, 0x08, 0x06)],
    ['ethertype', patched(vxlan(ipPacket(good)), 20, 0x81, 0x00)],
    ['inner_short', vxlan(ipPacket(good).subarray(0, 19))],
    ['inner_short', vxlan(new Uint8Array(0))],
    ['inner_short', vxlan(ipPacket(good6).subarray(0, 39), { family: 6 })],
    ['inner_version', vxlan(ipPacket(good), { family: 6 })],
    ['inner_version', vxlan(patched(ipPacket(good), 0, 0x55))],
    ['inner_length', vxlan(patched(ipPacket(good), 0, 0x44))],
    ['inner_length', vxlan(patched(ipPacket(good), 0, 0x4f))],
    ['inner_length', vxlan(patched(ipPacket(good), 2, 0, 19))],
    ['inner_length', vxlan(patched(ipPacket(good), 2, 1, 0))],
    ['inner_length', vxlan(patched(ipPacket(good6), 4, 1, 0), { family: 6 })],
    ...['0.0.0.1', '127.0.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'].map(
      (source): Case => ['martian', vxlan(ipPacket({ ...good, source }))],
    ),
    ...['::', '::1', '::ffff:10.5.2.9', 'ff02::1'].map(
      (source): Case => ['martian', vxlan(ipPacket({ ...good6, source }), { family: 6 })],
    ),
    ['own_source', vxlan(ipPacket({ ...good, source: '10.5.1.7' }))],
    ['own_source', vxlan(ipPacket({ ...good, source: '192.0.2.1' }))],
    ['src_mismatch', vxlan(ipPacket({ ...good, source: '10.5.3.9' }))],
    ['src_mismatch', vxlan(ipPacket({ ...good, source: '198.51.100.1' }))],
    ['not_for_us', vxlan(ipPacket({ ...good, destination: '10.5.3.9' }))],
    ['not_for_us', vxlan(ipPacket({ ...good, destination: '198.51.100.1' }))],
    ['source_route', vxlan(sourceRoute(131))],
    ['source_route', vxlan(sourceRoute(137))],
    ['delivered', vxlan(sourceRoute(7))],
    ['source_route', vxlan(routingHeader(0), { family: 6 })],
    ['delivered', vxlan(routingHeader(2), { family: 6 })],
    ['ecn', vxlan(ipPacket(good)), { tos: 3 }],
    ['delivered', vxlan(ipPacket({ ...good, ttl: 0 }))],
  ],
  udp: [
    ['delivered', ipPacket(good)],
    ['short', new Uint8Array(0)],
    ['inner_short', ipPacket(good).subarray(0, 19)],
    ['inner_version', ipPacket(good6)],
    ['inner_length', ipPacket(good).subarray(0, 25)],
    ['ttl_exceeded', ipPacket({ ...good, ttl: 1 })],
    ['ttl_exceeded', ipPacket({ ...good, ttl: 0 })],
    ['delivered', ipPacket(good), { tos: 3 }],
    ['unknown_peer', ipPacket(good), { from: '203.0.113.9' }],
  ],
};
const fromOverlay: { readonly vxlan: [string, Uint8Array][]; readonly udp: [string, Uint8Array][] } = {
  vxlan: [
    ['sent', ipPacket({ source: '10.5.1.9', destination: '10.5.2.9' })],
    ['sent', ipPacket({ source: 'fd00:5:0:1::9', destination: 'fd00:5:0:2::9' })],
    ['sent', ipPacket({ source: '10.5.1.9', destination: '10.5.2.9', ttl: 0 })],
    ['no_route', ipPacket({ source: '10.5.1.9', destination: '10.5.9.9' })],
    ['no_route', ipPacket({ source: 'fd00:5:0:1::9', destination: 'fd00:5:0:9::9' })],
    ['too_big', ipPacket({ source: '10.5.1.9', destination: '10.5.2.9', payload: new Uint8Array(300) })],
    [
      'too_big',
      ipPacket({ source: 'fd00:5:0:1::9', destination: 'fd00:5:0:2::9', payload: new Uint8Array(300) }),
    ],
    ['loop', ipPacket({ source: '192.0.2.1', destination: '192.0.2.2', payload: hex('a0002118 00080000') })],
    ['sent', ipPacket({ source: '10.5.1.9', destination: '192.0.2.4', payload: hex('a0002118 00080000') })],
    ['inner_short', new Uint8Array(3).fill(0x45)],
    ['inner_version', new Uint8Array(40).fill(0x15)],
    ['inner_length', patched(ipPacket({ source: '10.5.1.9', destination: '10.5.2.9' }), 2, 9, 9)],
  ],
  udp: [
    ['sent', ipPacket({ source: '10.5.1.9', destination: '10.5.2.9' })],
    ['family', ipPacket({ source: 'fd00:5:0:1::9', destination: 'fd00:5:0:2::9' })],
    ['ttl_exceeded', ipPacket({ source: '10.5.1.9', destination: '10.5.2.9', ttl: 1 })],
    ['ttl_exceeded', ipPacket({ source: '10.5.1.9', destination: '10.5.2.9', ttl: 0 })],
    // flannel looks for the route first.
    ['no_route', ipPacket({ source: '10.5.1.9', destination: '10.5.9.9', ttl: 1 })],
  ],
};

/** Those that only a failing system brings about; the namespace tests meet them. */
const elsewhere = [
  'device_header',
  'truncated',
  'no_underlay',
  'send_no_buffer',
  'send_unreachable',
  'send_denied',
  'send_too_big',
  'send_error',
  'device_busy',
  'device_error',
];

for (const encap of ['vxlan', 'udp'] as const) {
  test(`underlay to overlay, ${encap}: every reason`, async () => {
    for (const [reason, payload, { tos = 0, from = '192.0.2.2', trusting = false } = {}] of fromUnderlay[
      encap
    ]) {
      const specified = node(encap, !trusting);
      const engine = await SteppedNode.open(specified);
      const datagram = { payload, tos, remote: { address: IpAddress.parse(from), port: 5000 } };
      const got = engine.fromUnderlay(datagram);
      const shown = `${reason}: ${Buffer.from(payload).toString('hex')}`;
      assert.deepEqual(got.drops, reason === 'delivered' ? [] : [reason], shown);
      const wanted = decapDatagram(specified, datagram);
      assert.deepEqual(got.packets, 'drop' in wanted ? [] : [Uint8Array.from(wanted.packet)], shown);
      await engine.dataplane.close();
    }
  });

  test(`overlay to underlay, ${encap}: every reason, and its ICMP answer`, async () => {
    for (const [reason, packet] of fromOverlay[encap]) {
      const specified = node(encap);
      const engine = await SteppedNode.open(specified);
      const got = engine.fromOverlay(packet);
      const shown = `${reason}: ${Buffer.from(packet).toString('hex')}`;
      assert.deepEqual(got.drops, reason === 'sent' ? [] : [reason], shown);
      assert.equal(got.datagrams.length, reason === 'sent' ? 1 : 0, shown);
      const wanted = encapPacket(specified, packet);
      const answers = 'drop' in wanted && wanted.answer ? [wanted.answer] : [];
      assert.deepEqual(got.packets, answers, shown);
      assert.equal(answers.length, ['no_route', 'too_big', 'ttl_exceeded'].includes(reason) ? 1 : 0, shown);
      await engine.dataplane.close();
    }
  });
}

test('every name that the engine counts is met here, or named as met elsewhere', () => {
  const definitions = readFileSync(new URL('../../../native/base/drop_reasons.def', import.meta.url), 'utf8');
  const names = [...definitions.matchAll(/^DROP\(\w+, "(\w+)"/gm)].map((match) => match[1] ?? '');
  const met = [...fromUnderlay.vxlan, ...fromUnderlay.udp, ...fromOverlay.vxlan, ...fromOverlay.udp].map(
    ([reason]) => reason,
  );
  assert.deepEqual(names.filter((name) => !met.includes(name)).sort(), [...elsewhere].sort());
});

test('ICMP errors are never about ICMP errors, later fragments, groups or nobody; about echo requests they are', async () => {
  const engine = await SteppedNode.open(node('vxlan'));
  const base = { source: '10.5.1.9', destination: '10.5.9.9' };
  const icmp = (type: number) =>
    ipPacket({ ...base, protocol: 1, payload: Uint8Array.from([type, 0, 0, 0, 0, 0, 0, 0]) });
  const fragment = patched(ipPacket(base), 6, 0x00, 0x10);
  const silent = [
    icmp(3),
    icmp(5),
    icmp(11),
    icmp(12),
    fragment,
    ipPacket({ ...base, destination: '224.0.0.5' }),
    ipPacket({ ...base, source: '0.0.0.0' }),
    ipPacket({ ...base, source: '127.0.0.1' }),
  ];
  for (const packet of silent)
    assert.deepEqual(engine.fromOverlay(packet).packets, [], Buffer.from(packet).toString('hex'));
  for (const packet of [icmp(8), icmp(0), patched(ipPacket(base), 6, 0x20, 0x00)])
    assert.equal(engine.fromOverlay(packet).packets.length, 1);
  await engine.dataplane.close();
});

test('ICMP errors are limited by source and in all, and what is held back is counted', async () => {
  const engine = await SteppedNode.open(node('vxlan'));
  const flood = (source: string, count: number) => {
    let answers = 0;
    for (let i = 0; i < count; i++)
      answers += engine.fromOverlay(ipPacket({ source, destination: '10.5.9.9' })).packets.length;
    return answers;
  };
  const startMs = performance.now();
  const first = flood('10.5.1.9', 500);
  // A slow machine may have seen several seconds begin.
  const seconds = () => Math.floor((performance.now() - startMs) / 1000) + 1;
  assert.ok(first >= 100 && first <= 100 * seconds(), `${first} answers to one source`);
  assert.ok(flood('10.5.1.10', 1) === 1, 'another source still gets one');
  const { icmpSent, icmpSuppressed, encap } = engine.dataplane.stats();
  assert.deepEqual([icmpSent + icmpSuppressed, encap.drops['no_route']], [501, 501]);
  await engine.dataplane.close();
});
