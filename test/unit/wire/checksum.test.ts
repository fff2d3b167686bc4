import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  checksumAfterChange,
  checksumAfterTtlDecrement,
  internetChecksum,
} from '../../../src/wire/checksum.js';
import { times } from '../../support/properties.js';

test('checksum agrees with a running sum, for every length 0 to 9001', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 9001, maxLength: 9001 }), (bytes) => {
      // One's complement: the sum of all words modulo 65,535, where a whole multiple is 0xffff unless all are zero.
      let sum = 0;
      let isZero = true;
      for (let length = 0; length <= bytes.length; length++) {
        if (length > 0) {
          const byte = bytes[length - 1] ?? 0;
          sum += length % 2 === 1 ? byte * 256 : byte;
          isZero &&= byte === 0;
        }
        const folded: number = isZero ? 0 : sum % 65_535 || 65_535;
        assert.equal(internetChecksum(bytes.subarray(0, length)), 65_535 - folded, `length ${length}`);
      }
    }),
    { ...times(3), numRuns: 3 },
  );
});

test('checksum: the worked example of RFC 1071, section 3', () => {
  assert.equal(
    internetChecksum(Uint8Array.from([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])),
    0xffff - 0xddf2,
  );
  assert.equal(internetChecksum(new Uint8Array()), 0xffff);
  assert.equal(internetChecksum(new Uint8Array(), 0x12345), 0xffff - 0x2346);
});

test('checksum: a sum goes on from another', () => {
  const parts = fc.tuple(fc.array(fc.nat(0xffff)), fc.uint8Array({ maxLength: 200 }));
  fc.assert(
    fc.property(parts, ([words, rest]) => {
      const first = Uint8Array.from(words.flatMap((word) => [word >> 8, word & 255]));
      const sum = ~internetChecksum(first) & 0xffff;
      assert.equal(internetChecksum(rest, sum), internetChecksum(Uint8Array.from([...first, ...rest])));
    }),
    times(2000),
  );
});

test('checksum patches: right to a receiver for any header, any word and any TTL', () => {
  const edge = fc.oneof(fc.constantFrom(0, 255), fc.nat(255));
  const header = fc.array(edge, { minLength: 20, maxLength: 20 });
  fc.assert(
    fc.property(header, fc.nat(9), fc.nat(0xffff), (octets, word, after) => {
      const bytes = Uint8Array.from(octets);
      const view = new DataView(bytes.buffer);
      view.setUint16(10, 0);
      view.setUint16(10, internetChecksum(bytes));
      if (word !== 5) {
        const patched = checksumAfterChange(view.getUint16(10), view.getUint16(word * 2), after);
        view.setUint16(word * 2, after);
        view.setUint16(10, patched);
        assert.equal(internetChecksum(bytes), 0);
      }
      if (view.getUint8(8) > 0) {
        const patched = checksumAfterTtlDecrement(view.getUint16(10));
        view.setUint8(8, view.getUint8(8) - 1);
        view.setUint16(10, patched);
        assert.equal(internetChecksum(bytes), 0);
      }
    }),
    times(5000),
  );
});
