/** examples/vxlan-sniffer.ts with a feed as a mirror sends it, made here and, if `TWILL_CAPTURES` is set, captured elsewhere. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Example } from '../support/example.js';
import { hex, ipPacket, vxlanPayload } from '../support/packets.js';
import { datagramOf, readPcap } from '../support/pcap.js';

const macs = { destinationMac: '02:00:00:00:00:02', sourceMac: '02:00:00:00:00:01' };
const captures = process.env['TWILL_CAPTURES'] || undefined;

/** What the sniffer says of these datagrams: rows of packets, bytes, VNI and flow; and what is in no flow. */
async function sniff(
  t: TestContext,
  feed: readonly Uint8Array[],
): Promise<{ flows: string[]; others: string[] }> {
  const args = ['--address', '127.0.0.1', '--port', '0', '--datagrams', `${feed.length}`, '--top', '1000'];
  const sniffer = Example.start(t, 'vxlan-sniffer', args);
  const [, port] = /^listening on 127\.0\.0\.1 port (\d+)$/.exec(await sniffer.line()) ?? [];
  const socket = createSocket('udp4');
  // One after the other: what the socket has no room for would be lost.
  for (const datagram of feed)
    await new Promise<void>((resolve, reject) =>
      socket.send(datagram, Number(port), '127.0.0.1', (error) => (error ? reject(error) : resolve())),
    );
  socket.close();
  assert.equal(await sniffer.end(), 0);
  const [, summary = '', header, ...rows] = sniffer.lines;
  assert.match(summary, new RegExp(`^${feed.length} datagrams, \\d+ flows$`));
  assert.equal(header, '   packets         bytes       VNI  flow');
  const cells = rows.map((row) => row.trim().replace(/ +/g, ' '));
  const flows = cells.filter((row) => / > /.test(row));
  return { flows: flows.sort(), others: cells.filter((row) => !/ > /.test(row)).sort() };
}

const tcp = hex('1f90 c350 00000001 00000000 5002 ffff 0000 0000');
const udp = hex('03e8 0035 000c 0000 61626364');

test('sniffer: five-tuples with packets and bytes, each network its own, cut or not, tagged or not', {
  timeout: 60_000,
}, async (t) => {
  const v4 = { source: '10.0.0.1', destination: '10.0.0.2' };
  const v6 = { source: '2001:db8::1', destination: '2001:db8::2' };
  const wrapped = (inner: Uint8Array, vni = 5) => vxlanPayload({ inner, vni, ...macs });
  const long = ipPacket({ ...v4, protocol: 6, payload: Buffer.concat([tcp, Buffer.alloc(1400)]) });
  const later = ipPacket({ ...v4, protocol: 17, payload: udp });
  later[6] = 0x00;
  later[7] = 0x10;
  const tagged = Buffer.from(wrapped(ipPacket({ ...v4, payload: udp })));
  const { flows, others } = await sniff(t, [
    ...Array.from({ length: 3 }, () => wrapped(ipPacket({ ...v4, payload: udp }))),
    wrapped(ipPacket({ ...v4, payload: udp }), 0xffffff),
    wrapped(long),
    // As AWS does with --packet-length: the frame ends anywhere.
    wrapped(long).subarray(0, 8 + 14 + 40),
    wrapped(long).subarray(0, 8 + 14 + 22),
    wrapped(long).subarray(0, 8 + 14 + 19),
    wrapped(later),
    wrapped(ipPacket({ ...v6, payload: udp })),
    wrapped(ipPacket({ ...v6, protocol: 58, payload: hex('8000 0000 00000000') })),
    Buffer.concat([tagged.subarray(0, 20), hex('8100 0064'), tagged.subarray(20)]),
    vxlanPayload({ inner: Buffer.alloc(28), etherType: 0x0806, ...macs }),
    hex('00'),
    hex('0000000000000500'),
    hex('0800000000000500 0200'),
  ]);
  assert.deepEqual(
    flows,
    [
      '4 128 5 udp 10.0.0.1:1000 > 10.0.0.2:53',
      '1 32 16777215 udp 10.0.0.1:1000 > 10.0.0.2:53',
      '2 2880 5 tcp 10.0.0.1:8080 > 10.0.0.2:50000',
      // Cut in front of its ports, and a later fragment.
      '1 1440 5 tcp 10.0.0.1 > 10.0.0.2',
      '1 32 5 udp 10.0.0.1 > 10.0.0.2',
      '1 52 5 udp [2001:db8::1]:1000 > [2001:db8::2]:53',
      '1 48 5 icmp6 2001:db8::1 > 2001:db8::2',
    ].sort(),
  );
  assert.deepEqual(
    others,
    [
      '1 EtherType 0x0806',
      '1 no IP packet (short)',
      '1 no VXLAN (no_vni_flag)',
      '1 no VXLAN (short)',
      '1 no frame (short)',
    ].sort(),
  );
});

if (captures === undefined) {
  console.log('TWILL_CAPTURES is not set: the tests of captured traffic are left out');
} else {
  const payloads = (name: string) =>
    readPcap(readFileSync(join(captures, name))).flatMap((frame) => datagramOf(frame)?.payload ?? []);

  test('sniffer: captured pings and ARP, as tcpdump prints them', { timeout: 60_000 }, async (t) => {
    const { flows, others } = await sniff(t, payloads('tcpdump/vxlan.pcap'));
    assert.deepEqual(flows, [
      '4 336 100 icmp 192.168.203.3 > 192.168.203.5',
      '4 336 100 icmp 192.168.203.5 > 192.168.203.3',
    ]);
    assert.deepEqual(others, ['2 EtherType 0x0806']);
  });

  test('sniffer: one five-tuple in two networks is two flows', { timeout: 60_000 }, async (t) => {
    const vxlan = payloads('zeek/vxlan-overlapping-http-get.pcap').filter(([flags]) => flags === 8);
    const { flows } = await sniff(t, vxlan);
    const networks = flows.map((flow) => flow.split(' ')[2]);
    assert.deepEqual([...new Set(networks)].sort(), ['4242', '4711']);
    const tuples = flows.map((flow) => flow.split(' ').slice(3).join(' '));
    assert.equal(new Set(tuples).size, 2, 'there and back');
    assert.equal(flows.length, 4);
    assert.equal(
      flows.reduce((sum, flow) => sum + Number(flow.split(' ')[0]), 0),
      28,
    );
  });

  test('sniffer: captured HTTP, jumbo packets too', { timeout: 60_000 }, async (t) => {
    const { flows, others } = await sniff(t, payloads('zeek/vxlan-encapsulated-http.pcap'));
    assert.deepEqual(others, []);
    assert.equal(
      flows.reduce((sum, flow) => sum + Number(flow.split(' ')[0]), 0),
      12,
    );
    for (const flow of flows) assert.match(flow, /^\d+ \d+ 1 tcp \S+:\d+ > \S+:\d+$/);
  });
}
