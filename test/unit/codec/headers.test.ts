/** What each encoder writes its decoder reads, at any place in the bytes, and nothing around it is touched. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as codec from '../../../src/codec.js';
import { IpAddress, MacAddress, PROTOCOL } from '../../../src/codec.js';
import { times } from '../../support/properties.js';

const CANARY = 0xa5;
const at = fc.nat(40);
const u16 = fc.nat(0xffff);
const ipv4 = fc.ipV4().map((text) => IpAddress.parse(text));
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => IpAddress.fromBytes(bytes));
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => MacAddress.fromBytes(bytes));
const ends = fc
  .oneof(fc.tuple(ipv4, ipv4), fc.tuple(ipv6, ipv6))
  .map(([source, destination]) => ({ source, destination }));
const payload = fc.uint8Array({ maxLength: 70 });

/** Encodes between canaries; the bytes that the encoder took, and what follows them. */
function written(
  offset: number,
  behind: Uint8Array,
  headerBytes: number,
  encode: (into: Uint8Array, at: number) => number,
): Uint8Array {
  const end = offset + headerBytes + behind.length;
  const into = new Uint8Array(end + 9).fill(CANARY);
  into.set(behind, offset + headerBytes);
  assert.equal(encode(into, offset), headerBytes);
  assert.ok(
    into.subarray(0, offset).every((byte) => byte === CANARY),
    'nothing before it',
  );
  assert.ok(
    into.subarray(end).every((byte) => byte === CANARY),
    'nothing behind it',
  );
  assert.deepEqual(into.slice(offset + headerBytes, end), behind);
  return into.subarray(offset, end);
}

/** What a getter says of each field, addresses as text. */
function read(view: object, names: readonly string[]): { [name: string]: unknown } {
  const entries = names.map((name) => {
    const value = view[name as keyof typeof view] as unknown;
    const isAddress = value instanceof IpAddress || value instanceof MacAddress;
    return [name, isAddress ? value.toString() : value instanceof Uint8Array ? [...value] : value];
  });
  return Object.fromEntries(entries);
}

function sound<T extends object>(decoded: T | codec.Drop): T {
  assert.ok(!('drop' in decoded), JSON.stringify(decoded));
  return decoded as T;
}

test('IPv4: round trip with every field', () => {
  const fields = fc.record({
    ...{ source: ipv4, destination: ipv4, protocol: fc.nat(255), ttl: fc.nat(255), tos: fc.nat(255) },
    ...{ identification: u16, dontFragment: fc.boolean(), moreFragments: fc.boolean() },
    fragmentOffset: fc.nat(0x1fff).map((units) => units * 8),
    options: fc.nat(10).chain((words) => fc.uint8Array({ minLength: words * 4, maxLength: words * 4 })),
  });
  fc.assert(
    fc.property(fields, payload, at, fc.boolean(), (wanted, behind, offset, asBytes) => {
      const { source, destination } = wanted;
      const given = asBytes ? { source: source.bytes(), destination: destination.bytes() } : {};
      const bytes = written(offset, behind, 20 + wanted.options.length, (into, place) =>
        codec.encodeIpv4({ ...wanted, ...given, payloadBytes: behind.length }, into, place),
      );
      const packet = sound(codec.decodeIpv4(bytes));
      assert.deepEqual(read(packet, Object.keys(wanted)), read(wanted, Object.keys(wanted)));
      assert.deepEqual([packet.family, packet.headerBytes], [4, 20 + wanted.options.length]);
      assert.equal(packet.isChecksumRight, true);
      assert.deepEqual([...packet.payload], [...behind]);
      assert.deepEqual([...packet.ends], [...source.bytes(), ...destination.bytes()]);
    }),
    times(2000),
  );
});

test('IPv6: round trip with every field', () => {
  const fields = fc.record({
    ...{ source: ipv6, destination: ipv6, protocol: fc.nat(255), ttl: fc.nat(255), tos: fc.nat(255) },
    flowLabel: fc.nat(0xfffff),
  });
  fc.assert(
    fc.property(fields, payload, at, (wanted, behind, offset) => {
      const bytes = written(offset, behind, 40, (into, place) =>
        codec.encodeIpv6({ ...wanted, payloadBytes: behind.length }, into, place),
      );
      const packet = sound(codec.decodeIpv6(bytes));
      assert.deepEqual(read(packet, Object.keys(wanted)), read(wanted, Object.keys(wanted)));
      assert.deepEqual([packet.family, packet.headerBytes], [6, 40]);
      assert.deepEqual([...packet.payload], [...behind]);
    }),
    times(2000),
  );
});

test('UDP: round trip; the checksum that was asked for is right, and notices any bit that turns', () => {
  fc.assert(
    fc.property(ends, u16, u16, payload, at, fc.boolean(), fc.nat(), (...drawn) => {
      const [between, sourcePort, destinationPort, behind, offset, isChecked, flip] = drawn;
      const bytes = written(offset, behind, 8, (into, place) => {
        const fields = { sourcePort, destinationPort, payloadBytes: behind.length };
        return codec.encodeUdp({ ...fields, ...(isChecked && { between }) }, into, place);
      });
      const datagram = sound(codec.decodeUdp(bytes));
      assert.deepEqual(
        [datagram.sourcePort, datagram.destinationPort, [...datagram.payload]],
        [sourcePort, destinationPort, [...behind]],
      );
      if (!isChecked) return assert.equal(datagram.checksum, 0);
      assert.notEqual(datagram.checksum, 0);
      assert.equal(codec.transportChecksum(between, PROTOCOL.udp, bytes), 0);
      const bit = flip % (bytes.length * 8);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.notEqual(codec.transportChecksum(between, PROTOCOL.udp, bytes), 0);
    }),
    times(2000),
  );
});

test('Ethernet and VXLAN: round trip', () => {
  fc.assert(
    fc.property(mac, mac, u16, fc.nat(0xffffff), payload, at, (...drawn) => {
      const [destination, source, etherType, vni, behind, offset] = drawn;
      const bytes = written(offset, behind, 22, (into, place) => {
        const vxlanBytes = codec.encodeVxlan({ vni }, into, place);
        const fields = { destination, source, etherType };
        return vxlanBytes + codec.encodeEthernet(fields, into, place + vxlanBytes);
      });
      const vxlan = sound(codec.decodeVxlan(bytes));
      assert.deepEqual([vxlan.vni, vxlan.flags, vxlan.hasReservedBits], [vni, 8, false]);
      const frame = sound(codec.decodeEthernet(vxlan.frame));
      assert.deepEqual(
        [`${frame.destination}`, `${frame.source}`, frame.etherType, [...frame.payload]],
        [`${destination}`, `${source}`, etherType, [...behind]],
      );
    }),
    times(2000),
  );
});

test('VXLAN: reserved bits are ignored as RFC 7348 wants, and told', () => {
  for (let bit = 0; bit < 64; bit++) {
    const bytes = new Uint8Array(8);
    codec.encodeVxlan({ vni: 0x123456 }, bytes);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
    const vxlan = codec.decodeVxlan(bytes);
    if (bit === 4) {
      assert.deepEqual(vxlan, { drop: 'no_vni_flag' });
      continue;
    }
    const isVni = bit >= 32 && bit < 56;
    assert.equal(sound(vxlan).hasReservedBits, !isVni, `bit ${bit}`);
    assert.equal(sound(vxlan).vni === 0x123456, !isVni);
  }
});

test('ICMP echoes: round trip, and a right checksum with the family’s own pseudo-header', () => {
  const kinds = fc.constantFrom('echoRequest' as const, 'echoReply' as const);
  fc.assert(
    fc.property(ends, kinds, u16, u16, payload, at, (between, kind, id, sequence, behind, offset) => {
      const bytes = written(offset, behind, 8, (into, place) =>
        codec.encodeIcmpEcho({ kind, id, sequence, payloadBytes: behind.length, between }, into, place),
      );
      const { family } = between.source;
      const message = sound(codec.decodeIcmp(bytes, family));
      assert.deepEqual(
        [message.kind, message.id, message.sequence, [...message.payload]],
        [kind, id, sequence, [...behind]],
      );
      const sum =
        family === 4
          ? codec.internetChecksum(bytes)
          : codec.transportChecksum(between, PROTOCOL.icmpv6, bytes);
      assert.equal(sum, 0);
    }),
    times(2000),
  );
});

test('ICMP errors: what is written about a packet is read of it', () => {
  const kinds = fc.constantFrom('fragmentationNeeded' as const, 'timeExceeded' as const);
  fc.assert(
    fc.property(ends, kinds, fc.integer({ min: 68, max: 65_535 }), payload, at, (...drawn) => {
      const [between, kind, mtuBytes, behind, offset] = drawn;
      const { family } = between.source;
      const packet = new Uint8Array((family === 4 ? 20 : 40) + behind.length);
      const fields = { ...between, protocol: PROTOCOL.udp, payloadBytes: behind.length };
      if (family === 4) codec.encodeIpv4(fields, packet);
      else codec.encodeIpv6(fields, packet);
      packet.set(behind, packet.length - behind.length);
      const about = sound(codec.decodeIp(packet));
      const into = new Uint8Array(offset + codec.ICMP_ERROR_MOST_BYTES).fill(CANARY);
      const source = between.destination;
      const length = codec.encodeIcmpError({ kind, about, source, mtuBytes }, into, offset);
      assert.ok(into.subarray(offset + length).every((byte) => byte === CANARY));
      const error = sound(codec.decodeIp(into.subarray(offset)));
      assert.equal(error.bytes.length, length);
      const message = sound(codec.decodeIcmp(error.payload, error.family));
      assert.equal(message.kind, kind);
      if (kind === 'fragmentationNeeded') assert.equal(message.mtuBytes, mtuBytes);
      assert.deepEqual([...message.payload], [...packet.subarray(0, message.payload.length)]);
    }),
    times(2000),
  );
});

test('views read the bytes where they are: a change shows, and nothing was copied', () => {
  const packet = new Uint8Array(28);
  const source = IpAddress.parse('10.5.2.9');
  codec.encodeIpv4({ source, destination: source, protocol: 17, payloadBytes: 8 }, packet);
  const ip = sound(codec.decodeIp(packet));
  assert.equal(ip.payload.buffer, packet.buffer);
  packet[8] = 7;
  assert.equal(ip.ttl, 7);
  codec.decrementTtl(ip);
  assert.equal(packet[8], 6);
});

test('IP packets that were cut: read as far as they go, and only where that was asked for', () => {
  const [source, destination] = ['10.0.0.1', '10.0.0.2'].map(IpAddress.parse) as [IpAddress, IpAddress];
  const [source6, destination6] = ['fd00::1', 'fd00::2'].map(IpAddress.parse) as [IpAddress, IpAddress];
  const whole = { 4: new Uint8Array(1024), 6: new Uint8Array(1040) };
  codec.encodeIpv4(
    { source, destination, protocol: 17, payloadBytes: 1000, options: new Uint8Array(4) },
    whole[4],
  );
  codec.encodeIpv6(
    { source: source6, destination: destination6, protocol: 17, payloadBytes: 1000 },
    whole[6],
  );
  for (const [family, headerBytes] of [
    [4, 24],
    [6, 40],
  ] as const) {
    for (const length of [0, 1, 19, 20, 23, 24, 39, 40, 41, 500]) {
      const bytes = whole[family].subarray(0, length);
      assert.ok('drop' in codec.decodeIp(bytes), `${length} bytes are no whole packet`);
      const ip = codec.decodeIp(bytes, { cut: true });
      assert.equal('drop' in ip, length < headerBytes, `IPv${family}, ${length} bytes`);
      if (!('drop' in ip))
        assert.deepEqual([ip.totalBytes, ip.payload.length], [headerBytes + 1000, length - headerBytes]);
    }
  }
});
