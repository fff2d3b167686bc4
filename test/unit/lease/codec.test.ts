import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeLease, encodeLeaseValue, leaseKey, parseLeaseKey } from '../../../src/lease/codec.js';
import { IpAddress } from '../../../src/net/ip.js';
import { Prefix } from '../../../src/net/prefix.js';

/** Values exactly as nodes of flannel write them. */
const written = {
  udp: '{"PublicIP":"192.168.1.10","PublicIPv6":null}',
  hostGw: '{"PublicIP":"192.168.1.10","PublicIPv6":null,"BackendType":"host-gw"}',
  vxlan:
    '{"PublicIP":"192.168.64.3","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"}}',
  dual: '{"PublicIP":"192.168.64.3","PublicIPv6":"2001:db8::1","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:44"},"BackendV6Data":{"VNI":1,"VtepMAC":"c6:d2:32:6f:8f:45"}}',
};

for (const [name, value] of Object.entries(written)) {
  test(`a value of flannel's ${name} comes back byte for byte`, () => {
    const lease = decodeLease({ key: '10.5.1.0-24', value });
    assert.equal(encodeLeaseValue(lease.attributes), value);
  });
}

test('a value of flannel v0.11, which knows no IPv6, is read; fields match in any case', () => {
  const value =
    '{"publicip":"192.0.2.1","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:01"}}';
  const { attributes } = decodeLease({ key: '10.5.1.0-24', value });
  assert.equal(`${attributes.publicIp}`, '192.0.2.1');
  assert.equal(attributes.publicIpv6, null);
  assert.deepEqual(attributes.backendData, { VtepMAC: '02:00:00:00:00:01' });
});

test('keys go both ways', () => {
  const dual = { v4: Prefix.parse('10.5.1.0/24'), v6: Prefix.parse('fd00:12:13::/56') };
  assert.equal(leaseKey(dual), '10.5.1.0-24&fd00:12:13::-56');
  assert.equal(leaseKey({ v6: dual.v6 }), '0.0.0.0-0&fd00:12:13::-56');
  fc.assert(
    fc.property(
      fc.option(fc.tuple(fc.bigInt(0n, 2n ** 32n - 1n), fc.integer({ min: 1, max: 31 })), { nil: null }),
      fc.option(fc.tuple(fc.bigInt(0n, 2n ** 128n - 1n), fc.integer({ min: 1, max: 127 })), { nil: null }),
      (four, six) => {
        fc.pre(four !== null || six !== null);
        const subnets = {
          ...(four && { v4: Prefix.of(IpAddress.of(4, four[0]), four[1]) }),
          ...(six && { v6: Prefix.of(IpAddress.of(6, six[0]), six[1]) }),
        };
        assert.deepEqual(parseLeaseKey(leaseKey(subnets)), subnets);
      },
    ),
  );
});

const badKeys = [
  '',
  'junk',
  '10',
  '10.12.13.0',
  '10.12.13-24',
  '10.12.13.300-24',
  '10.12.13.0-24hi',
  '&2001::-56',
  '10.5.1.0-24&:12:13:-56',
  '10.5.1.0-24&20011::-56',
  '10.5.1.0-24&2001-56',
  '10.5.1.0-24&2001::',
  '10.5.1.0-24&2001::-56hi',
  '10.5.1.0-0',
  '10.5.1.0-32',
  '10.5.1.0-33',
  '10.5.1.0--1',
  '10.5.1.0-024',
  '010.5.1.0-24',
  '10.5.1.1-24',
  '0.0.0.0-0',
  '10.5.1.0-24&fd00::-128',
  '10.5.1.0-24&fd00::-0',
  '10.5.1.0-24&FD00::-56',
  '10.5.1.0-24&fd00::-56&',
  '../10.5.1.0-24',
  '10.5.1.0-24\0',
  '10.5.1.0/24',
  'x'.repeat(1 << 20),
  ' 10.5.1.0-24',
  '10.5.1.0-24\n',
  '10.5.1.0-24&10.5.2.0-24',
  'fd00::-56',
];
for (const key of badKeys) {
  test(`refused as a key: ${JSON.stringify(key.slice(0, 30))}`, () => {
    assert.throws(() => parseLeaseKey(key), { code: 'ERR_TWILL_LEASE' });
  });
}

const badValues: [string, RegExp][] = [
  ['', /empty/],
  ['{', /not JSON/],
  ['null', /null/],
  ['[]', /an array/],
  ['"x"', /a string/],
  ['\ufeff{}', /not JSON/],
  [`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, /nested deeper/],
  [`{"a":"${'x'.repeat(10 << 20)}"}`, /longer than/],
  ['{"PublicIP":null}', /PublicIP is null/],
  ['{"PublicIP":"2001:db8::1"}', /must be an IPv4/],
  ['{"PublicIP":1}', /PublicIP is 1/],
  ['{"PublicIP":"192.0.2.1","PublicIPv6":"192.0.2.1"}', /PublicIPv6/],
  ['{"PublicIP":"192.0.2.1","BackendType":7}', /a number/],
  [`{"PublicIP":"192.0.2.1","BackendType":"${'x'.repeat(65)}"}`, /65 characters/],
];
for (const [value, why] of badValues) {
  test(`refused as a value: ${JSON.stringify(value.slice(0, 40))}`, () => {
    assert.throws(
      () => decodeLease({ key: '10.5.1.0-24', value }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'ERR_TWILL_LEASE');
        assert.match(error.message, why);
        assert.ok(error.message.length < 400 && !error.message.includes('\n'), 'one line of bounded length');
        return true;
      },
    );
  });
}

test('__proto__ and constructor are data like any other', () => {
  const value = '{"__proto__":{"PublicIP":"192.0.2.66"},"constructor":{},"PublicIP":"192.0.2.1"}';
  const { attributes } = decodeLease({ key: '10.5.1.0-24', value });
  assert.equal(`${attributes.publicIp}`, '192.0.2.1');
  assert.equal(({} as { PublicIP?: string }).PublicIP, undefined);
});

test('what Go escapes is escaped', () => {
  const value = '{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendData":"\\u003ca\\u0026b\\u003e"}';
  assert.equal(encodeLeaseValue(decodeLease({ key: '10.5.1.0-24', value }).attributes), value);
});

test('any text at all is either a lease or refused with our error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), fc.string(), (value, key) => {
      for (const record of [
        { key: '10.5.1.0-24', value },
        { key, value: written.udp },
      ]) {
        try {
          decodeLease(record);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'ERR_TWILL_LEASE');
        }
      }
    }),
  );
});
