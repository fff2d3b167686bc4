/** The two encapsulations: what one end writes the other reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MacAddress } from '../../../src/net/mac.js';
import { combinedEcn, outerEcn } from '../../../src/wire/ecn.js';
import { decodeFlannelUdp, encodeFlannelUdp } from '../../../src/wire/flannel-udp.js';
import { acceptAtVtep, vtepPayload } from '../../../src/wire/vtep.js';
import { ipPacket } from '../../support/packets.js';
import { times } from '../../support/properties.js';

const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => MacAddress.local(bytes));
const frame = fc.record({
  vni: fc.nat(0xffffff),
  destination: mac,
  source: mac,
  family: fc.constantFrom(4 as const, 6 as const),
  packet: fc.uint8Array({ maxLength: 100 }),
});

test('vxlan: round trip', () => {
  fc.assert(
    fc.property(
      frame.filter(({ source, destination }) => !source.equals(destination)),
      (wanted) => {
        const got = acceptAtVtep(vtepPayload(wanted), { vni: wanted.vni, mac: wanted.destination });
        assert.ok(!('drop' in got), JSON.stringify(got));
        assert.deepEqual(
          [got.vni, `${got.destination}`, `${got.source}`, got.family, Uint8Array.from(got.packet)],
          [wanted.vni, `${wanted.destination}`, `${wanted.source}`, wanted.family, wanted.packet],
        );
      },
    ),
    times(2000),
  );
});

test('vxlan: of 64 header bits, 39 are reserved, 24 the VNI, one the flag', () => {
  const own = { vni: 0x5a5a5a, mac: MacAddress.parse('12:11:22:33:44:55') };
  const source = MacAddress.parse('c6:d2:32:6f:8f:44');
  const packet = ipPacket({ source: '10.5.2.9', destination: '10.5.1.9' });
  const counts: Record<string, number> = {};
  for (let bit = 0; bit < 64; bit++) {
    const payload = vtepPayload({ vni: own.vni, destination: own.mac, source, family: 4, packet });
    payload[bit >> 3] = (payload[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
    const got = acceptAtVtep(payload, own);
    const name = 'drop' in got ? got.drop : 'delivered';
    counts[name] = (counts[name] ?? 0) + 1;
  }
  assert.deepEqual(counts, { no_vni_flag: 1, reserved_bits: 39, vni: 24 });
});

test('vxlan: any bytes are a frame or have a reason', () => {
  const reasons = [
    'short',
    'no_vni_flag',
    'reserved_bits',
    'vni',
    'mac_source',
    'mac_destination',
    'ethertype',
  ];
  const damaged = fc
    .tuple(frame, fc.array(fc.tuple(fc.nat(21), fc.nat(255)), { maxLength: 2 }), fc.nat(60))
    .map(([wanted, changes, length]) => {
      const payload = vtepPayload({ ...wanted, vni: 1 });
      for (const [at, value] of changes) payload[at] = value;
      return { payload: payload.subarray(0, length), own: { vni: 1, mac: wanted.destination } };
    });
  fc.assert(
    fc.property(damaged, ({ payload, own }) => {
      const got = acceptAtVtep(payload, own);
      if ('drop' in got) assert.ok(reasons.includes(got.drop), got.drop);
      else assert.equal(got.packet.length, payload.length - 22);
    }),
    times(5000),
  );
});

test('flannel udp: each end takes one from the TTL, and changes nothing else', () => {
  const shape = fc.record({
    source: fc.ipV4(),
    destination: fc.ipV4(),
    ttl: fc.nat(255),
    tos: fc.nat(255),
    payload: fc.uint8Array({ maxLength: 100 }),
  });
  fc.assert(
    fc.property(shape, fc.boolean(), (wanted, isInPlace) => {
      const packet = ipPacket(wanted);
      const into = isInPlace ? packet : new Uint8Array(packet.length + 3);
      const at = isInPlace ? 0 : 3;
      const sent = encodeFlannelUdp(packet, into, at);
      if (wanted.ttl <= 1) return assert.deepEqual(sent, { drop: 'ttl_exceeded' });
      assert.equal(sent, packet.length);
      const payload = into.subarray(at);
      assert.deepEqual(Uint8Array.from(payload), ipPacket({ ...wanted, ttl: wanted.ttl - 1 }));
      const got = decodeFlannelUdp(payload);
      if (wanted.ttl === 2) return assert.deepEqual(got, { drop: 'ttl_exceeded' });
      assert.ok('bytes' in got);
      assert.equal(got.ttl, wanted.ttl - 1);
      if (!isInPlace) assert.deepEqual(packet, ipPacket(wanted));
    }),
    times(2000),
  );
});

test('flannel udp: what it does not carry', () => {
  const six = ipPacket({ source: 'fd00::1', destination: 'fd00::2' });
  assert.deepEqual(encodeFlannelUdp(six, new Uint8Array(100)), { drop: 'version' });
  assert.deepEqual(decodeFlannelUdp(six), { drop: 'version' });
  assert.deepEqual(decodeFlannelUdp(new Uint8Array()), { drop: 'short' });
});

test('ecn: the kernel’s tables', () => {
  // Each not-ECT, ECT(1), ECT(0), CE.
  assert.deepEqual([0, 1, 2, 3].map(outerEcn), [0, 1, 2, 2]);
  const byOuter = [0, 1, 2, 3].map((outer) => [0, 1, 2, 3].map((inner) => combinedEcn(outer, inner)));
  assert.deepEqual(byOuter, [
    [0, 1, 2, 3],
    [0, 1, 1, 3],
    [0, 1, 2, 3],
    [null, 3, 3, 3],
  ]);
});
