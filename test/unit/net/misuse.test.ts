/** Wrong arguments to addresses, prefixes and MACs: an error at once, with its code and the value; and no value changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import vm from 'node:vm';
import { IpAddress } from '../../../src/net/ip.js';
import { MacAddress } from '../../../src/net/mac.js';
import { Prefix } from '../../../src/net/prefix.js';
import {
  ends,
  membersOf,
  type Refusal,
  refused,
  wrong,
  wrongKind,
  wrongRange,
} from '../../support/misuse.js';

const address = IpAddress.parse('192.0.2.1');
const prefix = Prefix.parse('192.0.2.0/24');
const mac = MacAddress.parse('02:00:00:00:00:01');
const address4 = /prefix length 33 of 192\.0\.2\.1: it must be 0 to 32/;

type Wrong = readonly [act: () => unknown, outcome: Refusal | null];
/** Takes no argument. */
const NOTHING: readonly Wrong[] = [];

/** Text: what is none throws, what is the wrong one too, or gives null. */
function text(where: string, parse: (given: string) => unknown, malformed: RegExp | null): Wrong[] {
  const kinds: [unknown, RegExp][] = [
    [undefined, /not undefined$/],
    [null, /not null$/],
    [5, /not 5$/],
    [{ toString: () => '192.0.2.1/24' }, /not \[object Object\]$/],
    [['192.0.2.1'], /not an array of 1$/],
    [new String('192.0.2.1'), /not \[object String\]$/],
  ];
  return [
    ...kinds.map(([given, message]): Wrong => {
      return [
        () => parse(wrong(given)),
        wrongKind(new RegExp(`^${where}: text must be a string, ${message.source}`)),
      ];
    }),
    [() => parse('what is none'), malformed && refused('ERR_TWILL_ADDRESS', malformed)],
    [() => parse('1'.repeat(100_000)), malformed && refused('ERR_TWILL_ADDRESS', /^"1{80}" is not/)],
  ];
}

const table: { readonly [type: string]: { readonly [member: string]: readonly Wrong[] } } = {
  IpAddress: {
    'static of': [
      [() => IpAddress.of(wrong(5), 0n), wrongRange(/of: family must be 4 or 6, not 5$/)],
      [() => IpAddress.of(wrong('4'), 0n), wrongRange(/of: family must be 4 or 6, not "4"$/)],
      [() => IpAddress.of(4, wrong(1)), wrongKind(/of: value must be a bigint, not 1$/)],
    ],
    'static parse': text('IpAddress.parse', IpAddress.parse, /^"what is none" is not an IP address/),
    'static tryParse': text('IpAddress.parse', IpAddress.tryParse, null),
    'static fromBytes': [
      [
        () => IpAddress.fromBytes(wrong('1234')),
        wrongKind(/fromBytes: bytes must be a Uint8Array, not "1234"$/),
      ],
      [() => IpAddress.fromBytes(wrong([1, 2, 3, 4])), wrongKind(/not an array of 4$/)],
      [() => IpAddress.fromBytes(new Uint8Array(5)), refused('ERR_TWILL_ADDRESS', /4 or 16 bytes, not 5$/)],
    ],
    bytes: NOTHING,
    equals: [
      [() => address.equals(wrong('192.0.2.1')), wrongKind(/equals: other must be an IpAddress, not "192/)],
    ],
    compare: [
      [() => address.compare(wrong(null)), wrongKind(/compare: other must be an IpAddress, not null$/)],
    ],
    add: [
      [() => address.add(wrong('1')), wrongKind(/add: offset must be a bigint or a number, not "1"$/)],
      [() => address.add(0.5), wrongRange(/add: offset must be an integer, not 0\.5$/)],
      [() => address.add(Number.NaN), wrongRange(/not NaN$/)],
    ],
    isUnspecified: NOTHING,
    isLoopback: NOTHING,
    isMulticast: NOTHING,
    isLinkLocal: NOTHING,
    toString: NOTHING,
  },
  Prefix: {
    'static of': [
      [
        () => Prefix.of(wrong('10.0.0.0'), 8),
        wrongKind(/of: address must be an IpAddress, not "10\.0\.0\.0"$/),
      ],
      [() => Prefix.of(address, wrong('8')), wrongKind(/of: length must be a number, not "8"$/)],
      [() => Prefix.of(address, 33), refused('ERR_TWILL_ADDRESS', address4)],
      [() => Prefix.of(address, -1), refused('ERR_TWILL_ADDRESS', /prefix length -1 of/)],
    ],
    'static parse': text('Prefix.parse', Prefix.parse, /^"what is none" is not a prefix/),
    'static tryParse': text('Prefix.parse', Prefix.tryParse, null),
    family: NOTHING,
    first: NOTHING,
    last: NOTHING,
    contains: [
      [
        () => prefix.contains(wrong('192.0.2.1')),
        wrongKind(/other must be an IpAddress or a Prefix, not "192/),
      ],
    ],
    overlaps: [
      [() => prefix.overlaps(wrong(address)), wrongKind(/overlaps: other must be a Prefix, not \[object/)],
    ],
    equals: [
      [() => prefix.equals(wrong('192.0.2.0/24')), wrongKind(/equals: other must be a Prefix, not "192/)],
    ],
    compare: [
      [() => prefix.compare(wrong(undefined)), wrongKind(/compare: other must be a Prefix, not undefined$/)],
    ],
    toString: NOTHING,
  },
  MacAddress: {
    'static parse': text('MacAddress.parse', MacAddress.parse, /^"what is none" is not a MAC address/),
    'static tryParse': text('MacAddress.parse', MacAddress.tryParse, null),
    'static fromBytes': [
      [() => MacAddress.fromBytes(wrong('123456')), wrongKind(/bytes must be a Uint8Array, not "123456"$/)],
      [() => MacAddress.fromBytes(new Uint8Array(5)), refused('ERR_TWILL_ADDRESS', /has 6 bytes, not 5$/)],
    ],
    'static local': [
      [() => MacAddress.local(wrong(undefined)), wrongKind(/bytes must be a Uint8Array, not undefined$/)],
      [() => MacAddress.local(new Uint8Array(7)), refused('ERR_TWILL_ADDRESS', /has 6 bytes, not 7$/)],
    ],
    bytes: NOTHING,
    isMulticast: NOTHING,
    isZero: NOTHING,
    equals: [[() => mac.equals(wrong(`${mac}`)), wrongKind(/equals: other must be a MacAddress, not "02:/)]],
    toString: NOTHING,
  },
};

for (const type of [IpAddress, Prefix, MacAddress]) {
  const rows = table[type.name] ?? {};
  test(`${type.name}: each of its members has a row`, () => {
    assert.deepEqual(Object.keys(rows).sort(), membersOf(type).sort());
  });
  for (const [member, wrongs] of Object.entries(rows)) {
    if (wrongs.length === 0) continue;
    test(`${type.name}: ${member}`, async () => {
      for (const [act, outcome] of wrongs) await ends(`${act}`, outcome, act);
    });
  }
}

test('values do not change, whoever else holds them', () => {
  const change = (value: object) => Object.assign(value, { length: 1, value: 1n, family: 6 });
  assert.throws(() => change(address), TypeError);
  assert.throws(() => change(prefix), TypeError);
  assert.deepEqual([`${address}`, `${prefix}`], ['192.0.2.1', '192.0.2.0/24']);
  mac.bytes().fill(0);
  address.bytes().fill(0);
  assert.deepEqual([`${mac}`, `${address}`], ['02:00:00:00:00:01', '192.0.2.1']);
});

test('bytes of another realm are bytes', () => {
  const bytes = vm.runInNewContext('Uint8Array.of(192, 0, 2, 1)') as Uint8Array;
  assert.equal(`${IpAddress.fromBytes(bytes)}`, '192.0.2.1');
});
