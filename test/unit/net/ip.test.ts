import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { IpAddress } from '../../../src/net/ip.js';
import { MacAddress } from '../../../src/net/mac.js';
import { Prefix } from '../../../src/net/prefix.js';

test('addresses: text round trip, in the form of RFC 5952', () => {
  for (const text of [
    '0.0.0.0',
    '255.255.255.255',
    '::',
    '::1',
    '2001:db8::1',
    'fe80::1:0:0:1',
    '::ffff:192.0.2.1',
  ]) {
    assert.equal(IpAddress.parse(text).toString(), text);
  }
  assert.equal(IpAddress.parse('2001:DB8:0:0:1:0:0:1').toString(), '2001:db8::1:0:0:1');
  assert.equal(IpAddress.parse('1:0:2:3:4:5:6:7').toString(), '1:0:2:3:4:5:6:7');
});

test('addresses: what Node accepts we accept, and nothing else (zones apart)', () => {
  const hostile = fc.stringMatching(/^[0-9a-f:.]{0,40}$/);
  fc.assert(
    fc.property(fc.oneof(hostile, fc.ipV4(), fc.ipV6()), (text) => {
      assert.equal(IpAddress.tryParse(text) !== null, isIP(text) !== 0, text);
    }),
    { numRuns: 5000 },
  );
});

test('addresses: bytes round trip', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(bytes, (raw) => {
      const address = IpAddress.fromBytes(raw);
      assert.deepEqual(address.bytes(), raw);
      assert.ok(IpAddress.parse(address.toString()).equals(address));
    }),
  );
});

test('prefixes: host bits are masked, containment and overlap', () => {
  const prefix = Prefix.parse('10.5.72.1/24');
  assert.equal(prefix.toString(), '10.5.72.0/24');
  assert.equal(prefix.last.toString(), '10.5.72.255');
  assert.ok(prefix.contains(IpAddress.parse('10.5.72.9')));
  assert.ok(!prefix.contains(IpAddress.parse('10.5.73.0')));
  assert.ok(Prefix.parse('10.5.0.0/16').overlaps(prefix));
  assert.throws(() => Prefix.parse('10.5.0.0/33'), { code: 'ERR_TWILL_ADDRESS', message: /10\.5\.0\.0\/33/ });
});

test('MAC addresses: text, locally administered', () => {
  assert.equal(MacAddress.parse('AA:bb:cc:dd:ee:0f').toString(), 'aa:bb:cc:dd:ee:0f');
  assert.equal(MacAddress.local(Uint8Array.of(0xff, 1, 2, 3, 4, 5)).toString(), 'fe:01:02:03:04:05');
  assert.equal(MacAddress.tryParse('aa:bb:cc:dd:ee'), null);
});
