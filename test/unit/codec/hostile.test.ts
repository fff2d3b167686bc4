/** Bytes from anybody: a view or a reason, never an exception, and nothing that lies beside them is read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as codec from '../../../src/codec.js';
import { anyDatagram, anyPacket } from '../../support/arbitrary-packets.js';
import { times } from '../../support/properties.js';

/** Every property of a view and what it says, views as bytes and addresses as text. */
function said(view: object): { [name: string]: unknown } {
  const names = new Set([
    ...Object.keys(view),
    ...Object.getOwnPropertyNames(Object.getPrototypeOf(view)).filter((name) => name !== 'constructor'),
  ]);
  const entries = [...names].map((name) => {
    const value = view[name as keyof typeof view] as unknown;
    if (value instanceof Uint8Array) return [name, Buffer.from(value).toString('hex')];
    return [name, typeof value === 'object' ? String(value) : value];
  });
  return Object.fromEntries(entries);
}

const decoders: { readonly [name: string]: (bytes: Uint8Array) => object } = {
  decodeIp: codec.decodeIp,
  decodeIpv4: codec.decodeIpv4,
  decodeIpv6: codec.decodeIpv6,
  decodeUdp: codec.decodeUdp,
  decodeEthernet: codec.decodeEthernet,
  decodeVxlan: codec.decodeVxlan,
  decodeFlannelUdp: codec.decodeFlannelUdp,
  decodeIcmp4: (bytes) => codec.decodeIcmp(bytes, 4),
  decodeIcmp6: (bytes) => codec.decodeIcmp(bytes, 6),
};
const reasons = ['short', 'version', 'length', 'no_vni_flag', 'ttl_exceeded'];
const anyBytes = fc.oneof(
  anyPacket,
  anyDatagram('vxlan').map(({ payload }) => payload),
  fc.uint8Array({ maxLength: 80 }),
);

/** The same bytes in other surroundings. */
function within(bytes: Uint8Array, surroundings: number): Uint8Array {
  const room = new Uint8Array(bytes.length + 200).fill(surroundings);
  room.set(bytes, 100);
  return room.subarray(100, 100 + bytes.length);
}

for (const [name, decode] of Object.entries(decoders)) {
  test(`${name}: any bytes`, () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const found = decode(bytes);
        if ('drop' in found) assert.ok(reasons.includes(String(found.drop)), String(found.drop));
        // Views lie inside.
        for (const key of ['bytes', 'payload', 'frame', 'options', 'ends']) {
          const view = found[key as keyof typeof found] as unknown;
          if (!(view instanceof Uint8Array)) continue;
          assert.ok(view.byteOffset >= bytes.byteOffset);
          assert.ok(view.byteOffset + view.length <= bytes.byteOffset + bytes.length);
        }
        const told = said(found);
        assert.deepEqual(said(decode(within(bytes, 0x00))), told);
        assert.deepEqual(said(decode(within(bytes, 0xff))), told);
      }),
      times(3000),
    );
  });
}

test('what is done with a decoded packet stays inside it, whatever it is', () => {
  fc.assert(
    fc.property(anyBytes, fc.nat(3), (bytes, ecn) => {
      const place = within(Uint8Array.from(bytes), 0xff);
      const ip = codec.decodeIp(place);
      if ('drop' in ip) return;
      codec.mayAnswerWithIcmp(ip);
      const into = new Uint8Array(codec.ICMP_ERROR_MOST_BYTES);
      const source = new Uint8Array(ip.family === 4 ? 4 : 16);
      const length = codec.encodeIcmpError({ kind: 'timeExceeded', about: ip, source }, into);
      assert.ok(length <= codec.ICMP_ERROR_MOST_BYTES);
      if (ip.ttl > 0) codec.decrementTtl(ip);
      codec.setEcn(ip, ecn);
      codec.encodeFlannelUdp(place, new Uint8Array(place.length));
      const around = new Uint8Array(place.buffer);
      const outside = [...around.subarray(0, 100), ...around.subarray(100 + bytes.length)];
      assert.ok(outside.every((byte) => byte === 0xff));
    }),
    times(3000),
  );
});
