import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { internetChecksum } from '../../../src/wire/checksum.js';
import { asksForSourceRoute, decodeIp, decrementTtl, isMartianSource, setEcn } from '../../../src/wire/ip.js';
import { hex, ipPacket, parsed } from '../../support/packets.js';
import { times } from '../../support/properties.js';

const fields = fc.record({
  addresses: fc.oneof(fc.tuple(fc.ipV4(), fc.ipV4()), fc.tuple(fc.ipV6(), fc.ipV6())),
  protocol: fc.nat(255),
  ttl: fc.nat(255),
  tos: fc.nat(255),
  payload: fc.uint8Array({ maxLength: 100 }),
});
const shape = fields.map(({ addresses: [source, destination], ...rest }) => ({
  source,
  destination,
  ...rest,
}));

test('ip: what is written is read, padding apart', () => {
  fc.assert(
    fc.property(shape, fc.nat(20), (wanted, padding) => {
      const bytes = ipPacket(wanted);
      const inner = parsed(Uint8Array.from([...bytes, ...new Uint8Array(padding)]));
      const { source, destination, ...rest } = wanted;
      assert.deepEqual(
        { protocol: inner.protocol, ttl: inner.ttl, tos: inner.tos, payload: rest.payload },
        { ...rest, payload: Uint8Array.from(inner.bytes.subarray(inner.headerBytes)) },
      );
      assert.deepEqual(Uint8Array.from(inner.bytes), bytes);
      assert.deepEqual(
        parsed(ipPacket({ ...wanted, source: `${inner.source}`, destination: `${inner.destination}` })).bytes,
        bytes,
      );
    }),
    times(2000),
  );
});

test('ip: any bytes are a packet within them, or have a reason', () => {
  const reasons = new Set(['short', 'version', 'length']);
  const damaged = fc
    .tuple(shape, fc.array(fc.tuple(fc.nat(63), fc.nat(255)), { maxLength: 4 }), fc.nat(150))
    .map(([wanted, changes, length]) => {
      const bytes = ipPacket(wanted);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes.subarray(0, length);
    });
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 80 })), (bytes) => {
      const inner = decodeIp(bytes);
      if ('drop' in inner) return assert.ok(reasons.has(inner.drop));
      assert.ok(inner.bytes.length <= bytes.length && inner.headerBytes <= inner.bytes.length);
      asksForSourceRoute(inner);
      isMartianSource(inner);
    }),
    times(5000),
  );
});

test('ip: TTL and ECN change alone, and a right checksum stays right', () => {
  fc.assert(
    fc.property(
      shape.filter(({ ttl }) => ttl > 0),
      fc.nat(3),
      (wanted, ecn) => {
        const inner = parsed(ipPacket(wanted));
        const expected = { ...wanted, ttl: wanted.ttl - 1, tos: (wanted.tos & 0xfc) | ecn };
        decrementTtl(inner);
        setEcn(inner, ecn);
        const changed = inner.bytes;
        const right = ipPacket(expected);
        if (inner.family === 4) {
          assert.equal(internetChecksum(changed.subarray(0, 20)), 0);
          changed.set(right.subarray(10, 12), 10);
        }
        assert.deepEqual(changed, right);
      },
    ),
    times(2000),
  );
});

test('ip: source routes', () => {
  const withOptions = (options: string) => {
    const packet = ipPacket({ source: '10.5.2.9', destination: '10.5.1.9' });
    const bytes = Uint8Array.from([...packet.subarray(0, 20), ...hex(options), ...packet.subarray(20)]);
    bytes[0] = 0x45 + hex(options).length / 4;
    bytes[3] = bytes.length;
    return asksForSourceRoute(parsed(bytes));
  };
  for (const options of ['83070400 00000000', '89030400', '01018303', '07040000 83000000', '83000000'])
    assert.equal(withOptions(options), true, options);
  for (const options of ['', '07040000', '00000083', '07080083 00000000', '07ff0083', '07008300', '01010107'])
    assert.equal(withOptions(options), false, options);
  const chain = (protocol: number, rest: string) =>
    asksForSourceRoute(
      parsed(ipPacket({ source: 'fd00::1', destination: 'fd00::2', protocol, payload: hex(rest) })),
    );
  assert.equal(chain(43, '3b000001 00000000'), true);
  assert.equal(chain(0, '2b000000 00000000 3b000001 00000000'), true);
  assert.equal(chain(43, '3b000201 00000000'), false);
  assert.equal(chain(0, '2bff0000 00000000'), false);
});

test('ip: sources that can be nobody’s', () => {
  const is = (source: string) =>
    isMartianSource(parsed(ipPacket({ source, destination: source.includes(':') ? 'fd00::1' : '10.5.1.9' })));
  for (const source of ['0.1.2.3', '127.0.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', 'ff02::1'])
    assert.equal(is(source), true, source);
  assert.equal(is('::ffff:10.5.2.9'), true);
  for (const source of ['1.0.0.0', '223.255.255.255', '::2', 'fe80::1', '2001:db8::1'])
    assert.equal(is(source), false, source);
});
