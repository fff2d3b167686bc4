import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { arpText, decodeLink } from '../../../src/wire/link-frame.js';
import { summarizePacket, summaryText } from '../../../src/wire/summary.js';
import { decodeTunnel } from '../../../src/wire/tunnel-frame.js';
import { anyDatagram, anyPacket } from '../../support/arbitrary-packets.js';
import { hex, ipPacket, udpPacket, vxlanPayload } from '../../support/packets.js';
import { times } from '../../support/properties.js';

const v4 = { source: '10.244.1.9', destination: '10.244.2.7' };
const v6 = { source: 'fd00::9', destination: 'fd00::7' };
const tell = (bytes: Uint8Array) => summaryText(summarizePacket(bytes));

const cases: [what: string, packet: Uint8Array, text: string][] = [
  [
    'a SYN with its MSS',
    ipPacket({ ...v4, protocol: 6, payload: hex('10d80050 00000007 00000000 6002faf0 00000000 020405b4') }),
    '10.244.1.9:4312 > 10.244.2.7:80 tcp S seq 7 win 64240 mss 1460 len 0',
  ],
  [
    'TCP data over IPv6, congestion experienced',
    ipPacket({
      ...v6,
      tos: 3,
      protocol: 6,
      payload: hex('10d80050 00000007 00000009 5018faf0 00000000 616263'),
    }),
    '[fd00::9]:4312 > [fd00::7]:80 tcp P. seq 7 ack 9 win 64240 len 3 ce',
  ],
  ['UDP', ipPacket({ ...v4, tos: 2 }), '10.244.1.9:1000 > 10.244.2.7:2000 udp len 4 ect0'],
  [
    'an echo request',
    ipPacket({ ...v4, protocol: 1, payload: hex('08000000 050c0001 6162') }),
    '10.244.1.9 > 10.244.2.7 icmp echo request id 1292 seq 1 len 10',
  ],
  [
    'fragmentation needed, and about what',
    ipPacket({
      ...v4,
      protocol: 1,
      payload: Uint8Array.from([...hex('03040000 00000578'), ...ipPacket(v4)]),
    }),
    '10.244.1.9 > 10.244.2.7 icmp fragmentation needed, MTU 1400 about 10.244.1.9:1000 > 10.244.2.7:2000 udp len 4',
  ],
  [
    'packet too big',
    ipPacket({ ...v6, protocol: 58, payload: hex('02000000 00000578') }),
    'fd00::9 > fd00::7 icmp6 packet too big, MTU 1400',
  ],
  [
    'a neighbour solicitation',
    ipPacket({ ...v6, protocol: 58, payload: hex('87000000 00000000 fd000000000000000000000000000007') }),
    'fd00::9 > fd00::7 icmp6 neighbour solicitation fd00::7',
  ],
  [
    'another protocol',
    ipPacket({ ...v4, protocol: 47, payload: hex('0000') }),
    '10.244.1.9 > 10.244.2.7 proto 47 len 2',
  ],
  ['nothing', new Uint8Array(), 'empty'],
  ['a cut header', hex('450000'), 'IPv4 header cut after 3 bytes'],
  ['no IP', hex('0000000000'), 'no IP packet: version 0, 5 bytes'],
];
for (const [what, packet, text] of cases) test(`summary: ${what}`, () => assert.equal(tell(packet), text));

test('summary: fragments', () => {
  const first = ipPacket(v4);
  first.set([0x20, 0], 6);
  assert.match(tell(first), /udp len 4 fragment 0 at 0\+$/);
  const later = ipPacket(v4);
  later.set([0, 185], 6);
  assert.equal(tell(later), '10.244.1.9 > 10.244.2.7 udp fragment 0 at 1480');
});

test('a tunnel frame: VXLAN and flannel udp by their ports, other datagrams are none', () => {
  const inner = ipPacket(v4);
  const macs = { destinationMac: 'da:81:2c:2a:bb:a9', sourceMac: '0e:2a:00:00:00:50' };
  const outside = { source: '192.0.2.1', destination: '192.0.2.2' };
  const datagram = (payload: Uint8Array, port: number) => {
    const udp = Buffer.from([0x9c, 0x40, port >> 8, port & 255, 0, 8 + payload.length, 0, 0]);
    return ipPacket({ ...outside, tos: 1, payload: Buffer.concat([udp, payload]) });
  };
  const vxlan = decodeTunnel(datagram(vxlanPayload({ inner, vni: 7, ...macs }), 8472));
  assert.ok(vxlan);
  assert.deepEqual(
    [
      vxlan.encap,
      vxlan.vni,
      `${vxlan.macs?.source}`,
      `${vxlan.macs?.destination}`,
      vxlan.etherType,
      vxlan.outer.ecn,
    ],
    ['vxlan', 7, macs.sourceMac, macs.destinationMac, 0x0800, 1],
  );
  assert.deepEqual(Buffer.from(vxlan.inner), Buffer.from(inner));
  assert.equal(vxlan.outer.sourcePort, 40_000);
  const bare = decodeTunnel(datagram(inner, 8285));
  assert.deepEqual([bare?.encap, Buffer.from(bare?.inner ?? [])], ['udp', Buffer.from(inner)]);
  assert.equal(decodeTunnel(datagram(inner, 53)), null);
  assert.match(decodeTunnel(datagram(hex('0c000000 00000100'), 8472))?.oddity ?? '', /inner frame cut/);
  assert.equal(
    decodeTunnel(udpPacket({ ...outside, port: 8472, text: '' }))?.oddity,
    'header cut after 0 bytes',
  );
});

test('link types: Ethernet with tags, cooked Linux frames, loopback, raw', () => {
  const packet = ipPacket(v4);
  const heads: [number, string][] = [
    [1, '000000000000 000000000000 0800'],
    [1, '000000000000 000000000000 8100 0005 88a8 0006 0800'],
    [113, '0000 0001 0006 000000000000 0000 0800'],
    [276, '0800 0000 00000001 0001 00 06 0000000000000000'],
    [0, '02000000'],
    [101, ''],
  ];
  for (const [linkType, head] of heads) {
    const frame = decodeLink(linkType, Buffer.concat([hex(head), packet]));
    assert.deepEqual(
      [frame?.etherType, Buffer.from(frame?.payload ?? [])],
      [0x0800, Buffer.from(packet)],
      `${linkType}`,
    );
    if (head !== '') assert.equal(decodeLink(linkType, hex(head).subarray(0, 3)), null);
  }
  assert.equal(decodeLink(147, packet), null);
});

test('summary: hostile bytes never end it, never reach a terminal', () => {
  const bytes = fc.oneof(
    anyPacket,
    fc.uint8Array({ maxLength: 120 }),
    anyDatagram('vxlan').map(({ payload }) => {
      const udp = [0x9c, 0x40, 0x21, 0x18, 0, (8 + payload.length) & 255, 0, 0];
      return ipPacket({
        source: '192.0.2.1',
        destination: '192.0.2.2',
        payload: Uint8Array.from([...udp, ...payload]),
      });
    }),
  );
  fc.assert(
    fc.property(bytes, fc.nat(130), (packet, length) => {
      const cut = packet.subarray(0, length);
      const tunnel = decodeTunnel(cut);
      const texts = [tell(cut), arpText(cut), tunnel ? tell(tunnel.inner) : '', tunnel?.oddity ?? ''];
      for (const linkType of [0, 1, 12, 101, 113, 276])
        texts.push(tell(decodeLink(linkType, cut)?.payload ?? cut));
      for (const text of texts) assert.match(text, /^[\x20-\x7e]*$/);
    }),
    times(4000),
  );
});
