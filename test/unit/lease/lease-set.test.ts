import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LeaseSet } from '../../../src/lease/lease-set.js';
import type { LeaseListing, LeaseRecord } from '../../../src/lease/record.js';
import { Prefix } from '../../../src/net/prefix.js';

const networks = [Prefix.parse('10.5.0.0/16'), Prefix.parse('fd00:5::/48')];
const ownSubnets = { v4: Prefix.parse('10.5.1.0/24') };

interface Wish {
  ip?: string;
  mac?: string;
  order?: number;
  value?: string;
  endsMs?: number;
}

function record(
  key: string,
  { ip = `192.0.2.${key.split('.')[2]}`, mac, order = 1, value, endsMs }: Wish = {},
): LeaseRecord {
  const data = mac ? `,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}` : '';
  return {
    key,
    value: value ?? `{"PublicIP":"${ip}","PublicIPv6":null${data}}`,
    revision: '1',
    createdOrder: BigInt(order),
    ...(endsMs !== undefined && { expiresAtMs: endsMs }),
  };
}

const listing = (...records: LeaseRecord[]): LeaseListing => ({ records, unreadable: [] });
const keys = (leases: readonly { key: string }[]) => leases.map(({ key }) => key).sort();
const fresh = () => new LeaseSet({ networks, ownSubnets });

test('differences are told by content; our own record and a renewal are none', () => {
  const set = fresh();
  const own = record('10.5.1.0-24');
  const first = set.apply(listing(own, record('10.5.2.0-24'), record('10.5.3.0-24')), 0);
  assert.deepEqual(
    [keys(first.added), first.changed, first.removed, first.held],
    [['10.5.2.0-24', '10.5.3.0-24'], [], [], false],
  );
  const renewed = set.apply(listing(own, record('10.5.2.0-24', { endsMs: 99 }), record('10.5.3.0-24')), 1);
  assert.deepEqual([renewed.added, renewed.changed, renewed.removed], [[], [], []]);
  assert.equal(
    set.leases.find(({ key }) => key === '10.5.2.0-24')?.expiresAtMs,
    99,
    'but its new end is known',
  );
  const moved = set.apply(listing(own, record('10.5.2.0-24', { ip: '192.0.2.99' })), 2);
  assert.deepEqual([keys(moved.changed), keys(moved.removed)], [['10.5.2.0-24'], ['10.5.3.0-24']]);
});

const refusedLeases: [string, LeaseRecord, RegExp][] = [
  ['PublicIP unspecified', record('10.5.2.0-24', { ip: '0.0.0.0' }), /PublicIP 0\.0\.0\.0 is unspecified/],
  ['PublicIP missing', record('10.5.2.0-24', { value: '{}' }), /unspecified/],
  ['PublicIP loopback', record('10.5.2.0-24', { ip: '127.0.0.1' }), /loopback/],
  ['PublicIP multicast', record('10.5.2.0-24', { ip: '224.0.0.1' }), /multicast/],
  ['PublicIP broadcast', record('10.5.2.0-24', { ip: '255.255.255.255' }), /not usable/],
  ['PublicIP of this network', record('10.5.2.0-24', { ip: '0.1.2.3' }), /not usable/],
  [
    'PublicIP in the overlay',
    record('10.5.2.0-24', { ip: '10.5.9.9' }),
    /lies in the overlay network 10\.5\.0\.0\/16/,
  ],
  ['subnet outside', record('10.6.2.0-24'), /outside the overlay network/],
  ['subnet around', record('10.0.0.0-8', { ip: '192.0.2.1' }), /outside the overlay network/],
  ['subnet is all', record('10.5.0.0-16', { ip: '192.0.2.1' }), /is the whole overlay network/],
  ['subnet holds ours', record('10.5.0.0-23'), /overlaps our own 10\.5\.1\.0\/24/],
  ['subnet in ours', record('10.5.1.128-25'), /overlaps our own/],
  ['IPv6 without address', record('0.0.0.0-0&fd00:5:0:1::-64', { ip: '192.0.2.1' }), /no PublicIPv6/],
  [
    'IPv6 link-local',
    record('0.0.0.0-0&fd00:5:0:1::-64', { value: '{"PublicIP":"0.0.0.0","PublicIPv6":"fe80::1"}' }),
    /link-local/,
  ],
  ['key', record('10.5.2.0-24x', { ip: '192.0.2.1' }), /no lease key/],
  ['value', record('10.5.2.0-24', { value: '{"PublicIP":' }), /not JSON/],
];
for (const [name, bad, why] of refusedLeases) {
  test(`quarantined alone: ${name}`, () => {
    const set = fresh();
    set.apply(listing(bad, record('10.5.7.0-24')), 0);
    assert.deepEqual(keys(set.leases), ['10.5.7.0-24']);
    assert.deepEqual(keys(set.quarantined), [bad.key]);
    assert.match(set.quarantined[0]?.reason ?? '', why);
  });
}

test('a record that goes bad keeps its last good lease until that ends', () => {
  const set = fresh();
  set.apply(listing(record('10.5.2.0-24', { endsMs: 100 })), 0);
  for (const bad of [
    listing(record('10.5.2.0-24', { value: '{' })),
    listing(record('10.5.2.0-24', { ip: '127.0.0.1' })),
    { records: [], unreadable: [{ key: '10.5.2.0-24', reason: 'no permission' }] },
  ]) {
    const { changed, removed } = set.apply(bad, 50);
    assert.deepEqual([changed, removed, keys(set.leases)], [[], [], ['10.5.2.0-24']]);
    assert.match(set.quarantined[0]?.reason ?? '', /last good lease stays in force/);
  }
  set.apply(listing(record('10.5.2.0-24', { value: '{' })), 100);
  assert.deepEqual(set.leases, []);
});

const mac = '02:00:00:00:00:0a';
const rivals: [string, LeaseRecord, LeaseRecord, RegExp][] = [
  [
    'the same range',
    record('10.5.2.0-24', { order: 1 }),
    record('10.5.2.0-25', { order: 2, ip: '192.0.2.9' }),
    /overlaps that of the older lease 10\.5\.2\.0-24/,
  ],
  [
    'a range around',
    record('10.5.2.0-24', { order: 1 }),
    record('10.5.2.0-23', { order: 2, ip: '192.0.2.9' }),
    /overlaps/,
  ],
  [
    'the public IP',
    record('10.5.2.0-24', { order: 1 }),
    record('10.5.3.0-24', { order: 2, ip: '192.0.2.2' }),
    /PublicIP 192\.0\.2\.2 is that of the older/,
  ],
  [
    'the MAC',
    record('10.5.2.0-24', { order: 1, mac }),
    record('10.5.3.0-24', { order: 2, mac: mac.toUpperCase() }),
    /VtepMAC 02:00:00:00:00:0a is that/,
  ],
  [
    'the MAC, one of them in a field written as Go also reads it',
    record('10.5.2.0-24', { order: 1, mac }),
    record('10.5.3.0-24', {
      order: 2,
      value: `{"PublicIP":"192.0.2.3","BackendType":"vxlan","backenddata":{"vtepmac":"${mac}"}}`,
    }),
    /VtepMAC 02:00:00:00:00:0a is that/,
  ],
];
for (const [name, older, newer, why] of rivals) {
  test(`two claim ${name}: the older wins, in either order of listing; the one in force wins over both`, () => {
    for (const records of [
      [older, newer],
      [newer, older],
    ]) {
      const set = fresh();
      set.apply(listing(...records), 0);
      assert.deepEqual([keys(set.leases), keys(set.quarantined)], [[older.key], [newer.key]]);
      assert.match(set.quarantined[0]?.reason ?? '', why);
    }
    const set = fresh();
    set.apply(listing(newer), 0);
    set.apply(listing(newer, older), 1);
    assert.deepEqual([keys(set.leases), keys(set.quarantined)], [[newer.key], [older.key]]);
    set.apply(listing(older), 2);
    assert.deepEqual(keys(set.leases), [older.key], 'once it has gone, the other may');
  });
}

test("a living peer's record that reaches for another's public IP keeps what it had", () => {
  const set = fresh();
  set.apply(listing(record('10.5.2.0-24', { order: 1 }), record('10.5.3.0-24', { order: 2 })), 0);
  set.apply(
    listing(record('10.5.2.0-24', { order: 1, ip: '192.0.2.3' }), record('10.5.3.0-24', { order: 2 })),
    1,
  );
  assert.deepEqual(set.leases.map(({ key, attributes }) => `${key} ${attributes.publicIp}`).sort(), [
    '10.5.2.0-24 192.0.2.2',
    '10.5.3.0-24 192.0.2.3',
  ]);
  assert.deepEqual(keys(set.quarantined), ['10.5.2.0-24']);
});

test('a listing that lacks most leases is held until a later one agrees', () => {
  const all = [2, 3, 4, 5].map((n) => record(`10.5.${n}.0-24`));
  const [only] = all;
  assert.ok(only);
  const set = fresh();
  set.apply(listing(...all), 0);
  for (const nowMs of [10, 30]) {
    const { held, removed } = set.apply(listing(only), nowMs);
    assert.deepEqual([held, removed, set.leases.length, set.held], [true, [], 4, 3]);
  }
  assert.equal(set.apply(listing(...all), 100).held, false, 'all is well again');
  assert.equal(set.apply(listing(only), 5000).held, true, 'so the next one is suspected anew');
  const { held, removed } = set.apply(listing(only), 7000);
  assert.deepEqual([held, removed.length, keys(set.leases), set.held], [false, 3, ['10.5.2.0-24'], 0]);
});

test('half of the leases, or a few of a small set, may go at once', () => {
  const set = fresh();
  set.apply(listing(...[2, 3, 4, 5].map((n) => record(`10.5.${n}.0-24`))), 0);
  assert.equal(set.apply(listing(record('10.5.2.0-24'), record('10.5.3.0-24')), 1).removed.length, 2);
  assert.equal(set.apply(listing(), 2).removed.length, 2);
});

test('ended records are no leases', () => {
  const set = fresh();
  set.apply(listing(record('10.5.2.0-24', { endsMs: 10 }), record('10.5.3.0-24', { endsMs: 11 })), 10);
  assert.deepEqual(keys(set.leases), ['10.5.3.0-24']);
});

test('whatever is listed, leases in force never overlap and never share a public IP (against every pair)', () => {
  const wish = fc.record({
    third: fc.integer({ min: 0, max: 15 }),
    length: fc.integer({ min: 20, max: 26 }),
    ip: fc.integer({ min: 1, max: 9 }),
    order: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(fc.array(wish, { maxLength: 12 }), { maxLength: 4 }), (rounds) => {
      const set = fresh();
      for (const [at, wishes] of rounds.entries()) {
        const records = new Map(
          wishes.map(({ third, length, ip, order }) => {
            const subnet = Prefix.parse(`10.5.${third}.0/${length}`);
            const key = `${subnet.address}-${length}`;
            return [key, record(key, { ip: `192.0.2.${ip}`, order })];
          }),
        );
        set.apply(listing(...records.values()), at * 10_000);
        const { leases } = set;
        for (const [i, a] of leases.entries()) {
          for (const b of leases.slice(i + 1)) {
            assert.ok(!(a.subnets.v4 && b.subnets.v4?.overlaps(a.subnets.v4)), `${a.key} overlaps ${b.key}`);
            assert.ok(
              !a.attributes.publicIp.equals(b.attributes.publicIp),
              `${a.key} and ${b.key} share an address`,
            );
          }
        }
      }
    }),
  );
});
