/** The codec against bytes known from elsewhere: RFCs, flannel's contract, and what tshark makes of what it writes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import * as codec from '../../src/codec.js';
import { ETHER_TYPE, IpAddress, MacAddress, PROTOCOL } from '../../src/codec.js';
import { pcapngHeader, pcapngPacket } from '../../src/pcap/pcapng-writer.js';
import { hex } from '../support/packets.js';

const a = IpAddress.parse('10.5.72.2');
const b = IpAddress.parse('10.5.99.9');

test('RFC 1071, section 3: the sum of its example', () => {
  assert.equal(codec.internetChecksum(hex('0001f203f4f5f6f7')), ~0xddf2 & 0xffff);
});

test('RFC 1624, section 4: its example, in which a plainer method would yield 0xffff', () => {
  assert.equal(codec.checksumAfterChange(0xdd2f, 0x5555, 0x3285), 0x0000);
});

test('an IPv4 packet with UDP, worked out by hand', () => {
  const packet = new Uint8Array(32);
  packet.set(hex('61626364'), 28);
  codec.encodeUdp({ sourcePort: 1000, destinationPort: 2000, payloadBytes: 4 }, packet, 20);
  const fields = { source: a, destination: b, protocol: PROTOCOL.udp, payloadBytes: 12 };
  codec.encodeIpv4({ ...fields, identification: 1, dontFragment: true }, packet);
  assert.deepEqual(packet, hex('45000020 00014000 40117bb7 0a054802 0a056309 03e807d0 000c0000 61626364'));
  const payload = new Uint8Array(32);
  assert.equal(codec.encodeFlannelUdp(packet, payload), 32);
  assert.deepEqual(payload, hex('45000020 00014000 3f117cb7 0a054802 0a056309 03e807d0 000c0000 61626364'));
});

test('flannel: net-unreachable as its proxy writes it, and the VXLAN header of its kernel', () => {
  const offender = hex('45000020 00014000 40117bb7 0a054802 0a056309 03e807d0 000c0000 61626364');
  const about = codec.decodeIp(offender) as codec.IpPacket;
  const into = new Uint8Array(codec.ICMP_ERROR_MOST_BYTES);
  const source = IpAddress.parse('10.5.72.0');
  const length = codec.encodeIcmpError({ kind: 'netUnreachable', about, source, ttl: 8 }, into);
  assert.deepEqual(
    into.subarray(0, length),
    hex(
      `45000038 00000000 08010eba 0a054800 0a054802 0300f13b 00000000
       45000020 00014000 40117bb7 0a054802 0a056309 03e807d0 000c0000`,
    ),
  );
  const header = new Uint8Array(22);
  const macs = {
    destination: MacAddress.parse('c6:d2:32:6f:8f:44'),
    source: MacAddress.parse('12:11:22:33:44:55'),
  };
  codec.encodeVxlan({ vni: 1 }, header);
  codec.encodeEthernet({ ...macs, etherType: ETHER_TYPE.ipv4 }, header, 8);
  assert.deepEqual(header, hex('08000000 00000100 c6d2326f8f44 121122334455 0800'));
});

/** Ethernet, IP, UDP and VXLAN outside, an echo inside: all that there is an encoder for. */
function everything(outer: { source: IpAddress; destination: IpAddress }, inner: typeof outer): Uint8Array {
  const ipBytes = (family: 4 | 6) => (family === 4 ? 20 : 40);
  const [outerBytes, innerBytes] = [ipBytes(outer.source.family), ipBytes(inner.source.family)];
  const data = hex('70696e67 21');
  const at = { ip: 14, udp: 14 + outerBytes, vxlan: 22 + outerBytes, frame: 30 + outerBytes };
  const innerAt = at.frame + 14;
  const frame = new Uint8Array(innerAt + innerBytes + 8 + data.length);
  const macs = {
    destination: MacAddress.parse('02:00:00:00:00:02'),
    source: MacAddress.parse('02:00:00:00:00:01'),
  };
  const ip = (ends: typeof outer, protocol: number, where: number, behind: number) => {
    const fields = { ...ends, protocol, payloadBytes: frame.length - behind, ttl: 33, tos: 0x28 };
    if (ends.source.family === 4) codec.encodeIpv4(fields, frame, where);
    else codec.encodeIpv6({ ...fields, flowLabel: 0x12345 }, frame, where);
  };
  const type = ({ source }: typeof outer) => (source.family === 4 ? ETHER_TYPE.ipv4 : ETHER_TYPE.ipv6);
  const icmpAt = innerAt + innerBytes;
  frame.set(data, icmpAt + 8);
  const echo = { kind: 'echoRequest', id: 0x1234, sequence: 7, payloadBytes: data.length } as const;
  codec.encodeIcmpEcho({ ...echo, between: inner }, frame, icmpAt);
  ip(inner, inner.source.family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6, innerAt, icmpAt);
  codec.encodeEthernet({ ...macs, etherType: type(inner) }, frame, at.frame);
  codec.encodeVxlan({ vni: 0xabcdef }, frame, at.vxlan);
  const udp = { sourcePort: 40_000, destinationPort: 4789, payloadBytes: frame.length - at.vxlan };
  codec.encodeUdp({ ...udp, between: outer }, frame, at.udp);
  ip(outer, PROTOCOL.udp, at.ip, at.udp);
  codec.encodeEthernet({ ...macs, etherType: type(outer) }, frame);
  return frame;
}

const fields = [
  ...['frame.protocols', 'ip.dst', 'ipv6.dst', 'ip.ttl', 'ipv6.hlim', 'ip.checksum.status'],
  ...['udp.checksum.status', 'udp.dstport', 'vxlan.vni', 'icmp.ident', 'icmpv6.echo.identifier'],
  ...['icmp.checksum.status', 'icmpv6.checksum.status', '_ws.malformed'],
];
const skip = existsSync('/usr/bin/tshark') ? false : 'needs tshark';

test('tshark reads what is written as it is meant, and finds every checksum right', { skip }, async (t) => {
  const v4 = { source: a, destination: b };
  const v6 = { source: IpAddress.parse('2001:db8::1'), destination: IpAddress.parse('2001:db8::2') };
  const folder = await mkdtemp(join(tmpdir(), 'twill-codec-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'codec.pcapng');
  const pairs = [v4, v6].flatMap((outer) => [v4, v6].map((inner) => [outer, inner] as const));
  const packets = pairs.map(([outer, inner]) => {
    const bytes = everything(outer, inner);
    return pcapngPacket({ timeNs: 0n, bytes, originalBytes: bytes.length });
  });
  const wire = { linkType: 1, name: 'eth0', description: '', snapBytes: 0 };
  await writeFile(path, Buffer.concat([pcapngHeader('test', wire), ...packets]));
  const asked = fields.flatMap((name) => ['-e', name]);
  const checks = ['ip.check_checksum', 'udp.check_checksum'].flatMap((name) => ['-o', `${name}:TRUE`]);
  const argv = ['-r', path, ...checks, '-T', 'json', ...asked];
  const { stdout } = await promisify(execFile)('tshark', argv, { maxBuffer: 1 << 24 });
  const frames = JSON.parse(stdout) as { _source: { layers: { [name: string]: string[] } } }[];
  assert.equal(frames.length, 4);
  for (const [i, { _source }] of frames.entries()) {
    const { layers } = _source;
    const [outer, inner] = pairs[i] as (typeof pairs)[number];
    const name = (ends: typeof v4) => (ends.source.family === 4 ? 'ip' : 'ipv6');
    const icmp = inner.source.family === 4 ? 'icmp' : 'icmpv6';
    const chain = ['eth:ethertype', name(outer), 'udp:vxlan:eth:ethertype', name(inner), icmp].join(':');
    assert.match(layers['frame.protocols']?.[0] ?? '', new RegExp(`^${chain}`));
    for (const ends of [outer, inner])
      assert.ok(layers[`${name(ends)}.dst`]?.includes(`${ends.destination}`), JSON.stringify(layers));
    const ttls = [...(layers['ip.ttl'] ?? []), ...(layers['ipv6.hlim'] ?? [])];
    assert.deepEqual(ttls, ['33', '33']);
    // 1: good.
    const states = fields.filter((field) => field.endsWith('checksum.status'));
    const sums = states.flatMap((field) => layers[field] ?? []);
    const ipv4s = [outer, inner].filter(({ source }) => source.family === 4).length;
    assert.deepEqual(sums, Array(2 + ipv4s).fill('1'));
    assert.deepEqual(layers['udp.dstport'], ['4789']);
    assert.equal(Number(layers['vxlan.vni']?.[0]), 0xabcdef);
    const id = layers[icmp === 'icmp' ? 'icmp.ident' : 'icmpv6.echo.identifier']?.[0];
    assert.equal(Number(id), 0x1234);
    assert.equal(layers['_ws.malformed'], undefined);
  }
});
