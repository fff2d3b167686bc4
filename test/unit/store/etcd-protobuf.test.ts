/** The protocol buffers that etcd's messages are made of, against bytes worked out by hand and against themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as m from '../../../src/store/etcd/messages.js';
import {
  bool,
  bytes,
  int32,
  int64,
  message,
  nested,
  repeated,
  text,
} from '../../../src/store/etcd/protobuf.js';
import { times } from '../../support/properties.js';

const inner = message({ name: text(1) });
const all = message({
  id: int64(1),
  kind: int32(2),
  yes: bool(3),
  raw: bytes(4),
  name: text(15),
  one: nested(16, inner),
  many: repeated(2047, inner),
});

test('a message is its fields in order, without those that are zero', () => {
  assert.equal(all.encode({}).toString('hex'), '');
  assert.equal(all.encode({ id: 0n, kind: 0, yes: false, raw: Buffer.alloc(0), name: '' }).length, 0);
  assert.equal(all.encode({ id: 150n }).toString('hex'), '089601');
  assert.equal(all.encode({ id: -1n }).toString('hex'), '08ffffffffffffffffff01');
  assert.equal(
    all.encode({ yes: true, name: 'a', one: {}, many: [{ name: 'b' }, {}] }).toString('hex'),
    '1801' + '7a0161' + '820100' + 'fa7f030a0162' + 'fa7f00',
  );
});

test('a request as etcdctl sends it', () => {
  // Range of "a" up to "b".
  assert.equal(
    m.rangeRequest.encode({ key: Buffer.from('a'), rangeEnd: Buffer.from('b') }).toString('hex'),
    '0a0161120162',
  );
  // "version of k is 0": the zeros are left out, result and target too.
  assert.equal(m.txnRequest.encode({ compare: [{ key: Buffer.from('k') }] }).toString('hex'), '0a031a016b');
});

test('what is missing is zero, what is unknown is passed over', () => {
  const empty = all.decode(Buffer.alloc(0));
  assert.deepEqual(empty, {
    id: 0n,
    kind: 0,
    yes: false,
    raw: new Uint8Array(),
    name: '',
    one: undefined,
    many: [],
  });
  // Field 5 in each wire type, field 1 as bytes, then the one that counts.
  const strange = Buffer.from(
    '2801' + '290000000000000000' + '2a0161' + '2d00000000' + '0a0161' + '0805',
    'hex',
  );
  assert.deepEqual(all.decode(strange), { ...empty, id: 5n });
});

for (const [what, hex] of [
  ['ends in a number', '08ff'],
  ['ends in a text', '7a0561'],
  ['has a number of eleven bytes', `08${'ff'.repeat(10)}01`],
  ['has a group', '0b0c'],
  ['has a length beyond all', '22ffffffffffffffffff01'],
] as const) {
  test(`a message that ${what} is refused`, () => {
    assert.throws(() => all.decode(Buffer.from(hex, 'hex')), /ends too early|more than ten bytes|wire type/);
  });
}

test('property: what is written is read, 64-bit numbers to the last bit', () => {
  const name = fc.string({ unit: 'grapheme' });
  fc.assert(
    fc.property(
      fc.record({
        id: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        kind: fc.integer(),
        yes: fc.boolean(),
        raw: fc.uint8Array(),
        name,
        one: fc.option(fc.record({ name }, { noNullPrototype: true }), { nil: undefined }),
        many: fc.array(fc.record({ name }, { noNullPrototype: true })),
      }),
      (value) => {
        const read = all.decode(all.encode(value));
        assert.deepEqual({ ...read, raw: [...read.raw] }, { ...value, raw: [...value.raw] });
      },
    ),
    times(300),
  );
});

test('property: any bytes are a message or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (from) => {
      for (const codec of [all, m.watchResponse, m.rangeResponse, m.txnResponse]) {
        try {
          codec.decode(from);
        } catch (error) {
          assert.match((error as Error).message, /ends too early|more than ten bytes|wire type/);
        }
      }
    }),
    times(300),
  );
});
