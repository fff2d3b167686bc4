import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PeerTable } from '../../../src/agent/peers.js';
import { createBackend } from '../../../src/backend/create.js';
import { LeaseSet } from '../../../src/lease/lease-set.js';
import { IpAddress } from '../../../src/net/ip.js';
import { MacAddress } from '../../../src/net/mac.js';
import { Prefix } from '../../../src/net/prefix.js';
import { FakeClock, FakePlane, MemoryStore, recordingLogger, settle } from './fakes.js';

const dayMs = 86_400_000;
const macOf = (number: number) => `02:00:00:00:00:${number.toString(16).padStart(2, '0')}`;
const vxlanLease = (publicIp: string, mac: string) =>
  `{"PublicIP":"${publicIp}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`;

function world() {
  const clock = new FakeClock();
  const store = new MemoryStore(clock);
  const plane = new FakePlane();
  const { logger, lines } = recordingLogger();
  const backend = createBackend({ type: 'vxlan', raw: { Type: 'vxlan' } });
  const ownSubnets = { v4: Prefix.parse('10.5.250.0/24') };
  let observed = 0;
  const table = new PeerTable({
    ...{ store, plane, logger, clock, backend },
    node: { publicIp: IpAddress.parse('192.0.2.250'), publicIpv6: null, mac: MacAddress.parse(macOf(250)) },
    leases: new LeaseSet({ networks: [Prefix.parse('10.5.0.0/16')], ownSubnets }),
    onSnapshot: () => {
      observed += 1;
    },
  });
  const stopping = new AbortController();
  const put = (number: number, ttlMs = dayMs) => {
    store.put(`10.5.${number}.0-24`, vxlanLease(`192.0.2.${number}`, macOf(number)), ttlMs);
  };
  const wanted = () =>
    plane.wanted.map(({ subnet, endpoint }) => `${subnet} ${endpoint.address}:${endpoint.port}`);
  return { clock, store, plane, lines, table, stopping, put, wanted, observed: () => observed };
}

async function following(
  run: (w: ReturnType<typeof world>) => Promise<void>,
  prepare?: (w: ReturnType<typeof world>) => void,
) {
  const w = world();
  prepare?.(w);
  const end = w.table.follow(w.stopping.signal);
  await settle();
  try {
    await run(w);
  } finally {
    w.stopping.abort();
    await end;
  }
}

describe('following the leases of the others', () => {
  test('a lease comes, changes and goes; the plane always gets the whole table', () =>
    following(async ({ put, store, wanted, lines, observed }) => {
      put(1);
      put(2);
      await settle();
      assert.deepEqual(wanted(), ['10.5.1.0/24 192.0.2.1:8472', '10.5.2.0/24 192.0.2.2:8472']);
      store.put('10.5.2.0-24', vxlanLease('192.0.2.22', macOf(2)), dayMs);
      await settle();
      assert.deepEqual(wanted(), ['10.5.1.0/24 192.0.2.1:8472', '10.5.2.0/24 192.0.2.22:8472']);
      store.drop('10.5.1.0-24');
      await settle();
      assert.deepEqual(wanted(), ['10.5.2.0/24 192.0.2.22:8472']);
      assert.ok(observed() >= 3);
      assert.ok(lines.includes('info: Subnet added: 10.5.1.0-24 via 192.0.2.1'));
      assert.ok(lines.includes('info: Subnet changed: 10.5.2.0-24 via 192.0.2.22'));
      assert.ok(lines.includes('info: Subnet removed: 10.5.1.0-24 via 192.0.2.1'));
    }));

  test('what cannot become a peer is quarantined by name, alone', () =>
    following(async ({ put, store, wanted, table, lines }) => {
      put(1);
      store.put('junk', 'x');
      store.put('10.5.2.0-24', '{broken');
      store.put('10.5.3.0-24', '{"PublicIP":"192.0.2.3","PublicIPv6":null,"BackendType":"host-gw"}');
      store.put('10.5.4.0-24', vxlanLease('192.0.2.250', macOf(4)));
      store.put('10.5.5.0-24', vxlanLease('192.0.2.5', macOf(250)));
      await settle();
      assert.deepEqual(wanted(), ['10.5.1.0/24 192.0.2.1:8472']);
      const keys = table.quarantined.map(({ key }) => key).sort();
      assert.deepEqual(keys, ['10.5.2.0-24', '10.5.3.0-24', '10.5.4.0-24', '10.5.5.0-24', 'junk']);
      const reason = (key: string) => table.quarantined.find((entry) => entry.key === key)?.reason ?? '';
      assert.match(reason('10.5.4.0-24'), /public IP 192\.0\.2\.250 is our own/);
      assert.match(reason('10.5.5.0-24'), /VtepMAC 02:00:00:00:00:fa is our own/);
      const told = lines.filter((line) => line.startsWith('warn: quarantined: ')).length;
      store.put('10.5.6.0-24', '{}');
      await settle();
      const toldLater = lines.filter((line) => line.startsWith('warn: quarantined: ')).length;
      assert.ok(told >= 5 && toldLater <= told + 1, 'each reason is told once');
    }));

  test('a listing that lacks most leases is believed only when a second one says so', () =>
    following(
      async ({ store, clock, wanted, lines }) => {
        assert.equal(wanted().length, 8);
        store.records.clear();
        store.drop('nothing');
        await settle();
        assert.equal(wanted().length, 8);
        assert.ok(lines.some((line) => line.includes('suddenly lacks most leases')));
        await clock.advance(2000);
        assert.equal(wanted().length, 0);
      },
      ({ put }) => {
        for (let number = 1; number <= 8; number++) put(number);
      },
    ));

  test('a listing that was wrong for a moment costs no peer', () =>
    following(
      async ({ store, clock, wanted, put }) => {
        store.records.clear();
        store.drop('nothing');
        await settle();
        for (let number = 1; number <= 8; number++) put(number);
        await clock.advance(10_000);
        assert.equal(wanted().length, 8);
      },
      ({ put }) => {
        for (let number = 1; number <= 8; number++) put(number);
      },
    ));

  test('a lease that ends with nothing written leaves the table within two seconds', () =>
    following(
      async ({ clock, wanted }) => {
        await clock.advance(59_000);
        assert.equal(wanted().length, 2);
        await clock.advance(3000);
        assert.deepEqual(wanted(), ['10.5.1.0/24 192.0.2.1:8472']);
      },
      ({ put }) => {
        put(1);
        put(2, 60_000);
      },
    ));

  test('a listing that the watch has overtaken is thrown away', () =>
    following(
      async ({ clock, wanted, store, put }) => {
        let handOut = () => {};
        store.nextListWaits = new Promise((resolve) => {
          handOut = resolve;
        });
        const { lists } = store;
        await clock.advance(61_000);
        assert.equal(store.lists, lists + 1, 'the end of a lease asks for a listing');
        put(3);
        await settle();
        const now = wanted();
        assert.equal(now.length, 2);
        handOut();
        await settle();
        assert.deepEqual(wanted(), now);
      },
      ({ put }) => {
        put(1);
        put(2, 60_000);
      },
    ));

  test('while the store cannot be read peers stay, ended leases too', () =>
    following(
      async ({ clock, wanted, store, table }) => {
        store.fault = new Error('disk on fire');
        await clock.advance(120_000);
        assert.equal(wanted().length, 2);
        assert.equal(table.trouble, 'disk on fire');
        store.fault = null;
        await clock.advance(120_000);
        assert.deepEqual(wanted(), ['10.5.1.0/24 192.0.2.1:8472']);
        assert.equal(table.trouble, null);
      },
      ({ put }) => {
        put(1);
        put(2, 60_000);
      },
    ));

  test('many leases at once are one line of log', () =>
    following(
      async ({ wanted, lines }) => {
        assert.equal(wanted().length, 40);
        assert.ok(lines.includes('info: Subnets: 40 added, 0 changed, 0 removed'));
        assert.equal(lines.filter((line) => line.includes('Subnet added')).length, 0);
      },
      ({ put }) => {
        for (let number = 1; number <= 40; number++) put(number);
      },
    ));
});
