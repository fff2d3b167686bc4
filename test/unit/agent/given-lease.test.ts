/** The lease that a cluster gives: waited for, said again when it is not there, and never changed under running pods. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GivenLease } from '../../../src/agent/given-lease.js';
import { parseNetConf } from '../../../src/config/net-conf.js';
import { TwillError } from '../../../src/errors.js';
import { encodeLeaseValue } from '../../../src/lease/codec.js';
import type { LeaseAttributes } from '../../../src/lease/lease.js';
import { IpAddress } from '../../../src/net/ip.js';
import type { GivingStore, OwnNode, StoreRecord, StoreSnapshot } from '../../../src/store/store.js';
import { FakeClock, recordingLogger } from './fakes.js';

const attributes: LeaseAttributes = {
  publicIp: IpAddress.parse('192.0.2.1'),
  publicIpv6: null,
  backendType: 'vxlan',
  backendData: { VNI: 1, VtepMAC: '02:00:00:00:00:01' },
};

/** A cluster of one node: ours. */
class OneNode implements GivingStore {
  readonly description = 'a cluster';
  key: string | null = '10.5.1.0-24';
  revision = 0;
  fault: Error | null = null;
  announced = 0;
  up = 0;
  asOfMs: number | undefined;
  said = attributes;

  async readConfig(): Promise<string> {
    return '';
  }
  async ownNode(): Promise<OwnNode> {
    return { name: 'n' };
  }
  record(): StoreRecord {
    return {
      ...{ key: this.key ?? '', value: encodeLeaseValue(this.said), revision: String(this.revision) },
      ...{ createdOrder: 1n, holder: 'n', expiresAtMs: Number.POSITIVE_INFINITY },
    };
  }
  async list(): Promise<StoreSnapshot> {
    const asOf = this.asOfMs === undefined ? {} : { asOfMs: this.asOfMs };
    return { records: this.key === null ? [] : [this.record()], unreadable: [], ...asOf };
  }
  async *watch(): AsyncIterable<StoreSnapshot> {}
  async announce(wanted: LeaseAttributes): Promise<StoreRecord> {
    this.announced += 1;
    if (this.fault) throw this.fault;
    if (this.key === null) throw new TwillError('ERR_TWILL_STORE_EMPTY', 'node n has no PodCIDR yet');
    if (encodeLeaseValue(wanted) !== encodeLeaseValue(this.said)) this.revision += 1;
    this.said = wanted;
    return this.record();
  }
  async announceUp(): Promise<void> {
    this.up += 1;
    if (this.fault) throw this.fault;
  }
  async close(): Promise<void> {}
}

function place(network = '10.5.0.0/16') {
  const [store, clock] = [new OneNode(), new FakeClock()];
  const { logger, lines } = recordingLogger();
  const netConf = parseNetConf(JSON.stringify({ Network: network }), { subnets: 'given' });
  const stopping = new AbortController();
  const terms = { store, name: 'n', netConf, attributes, logger, clock, random: () => 0.5 };
  const acquire = () => GivenLease.acquire(terms, stopping.signal);
  return { store, clock, lines, stopping, acquire, signal: stopping.signal };
}

test('a node without PodCIDR is waited for, with one line', async () => {
  const { store, clock, lines, acquire } = place();
  store.key = null;
  const acquired = acquire();
  await clock.advance(10_000);
  assert.ok(store.announced > 3);
  assert.deepEqual(lines, ['warn: waiting for the store: node n has no PodCIDR yet']);
  store.key = '10.5.7.0-24';
  await clock.advance(3000);
  const { lease, renewsAtMs } = await acquired;
  assert.deepEqual([`${lease.subnets.v4}`, renewsAtMs], ['10.5.7.0/24', null]);
});

test('a PodCIDR outside of the network, or of a missing family, ends the start and says why', async () => {
  await assert.rejects(place('10.6.0.0/16').acquire(), {
    code: 'ERR_TWILL_CONFIG',
    message:
      /^PodCIDR 10\.5\.1\.0\/24 of node n lies outside Network 10\.6\.0\.0\/16: let net-conf\.json and --cluster-cidr/,
  });
  // The first subnet and the whole network are as good as any other.
  const { store, acquire } = place('10.5.0.0/24');
  store.key = '10.5.0.0-24';
  assert.equal((await acquire()).lease.key, '10.5.0.0-24');
});

test('a failure is said once, however long it lasts, and again when it is over', async () => {
  const { store, clock, acquire, signal, stopping, lines } = place();
  const lease = await acquire();
  const keeping = lease.keep(signal);
  lease.observe(await store.list());
  store.fault = new TwillError('ERR_TWILL_STORE_UNAVAILABLE', 'no answer');
  store.revision = 5;
  lease.observe({ records: [], unreadable: [] });
  await clock.advance(3_600_000);
  assert.ok(store.announced > 50, `${store.announced} attempts`);
  const told = () => lines.filter((line) => /^(warn|info).*(cannot keep|kept again)/.test(line));
  assert.deepEqual(told(), ['warn: cannot keep what node n says of itself: no answer']);
  store.fault = null;
  await clock.advance(60_000);
  assert.deepEqual(told().slice(1), ['info: what node n says of itself is kept again']);
  stopping.abort();
  await keeping;
});

test('what is not there any more is said again, at once and once', async () => {
  const { store, clock, acquire, signal, stopping, lines } = place();
  const lease = await acquire();
  const keeping = lease.keep(signal);
  lease.observe(await store.list());
  await clock.advance(60_000);
  assert.equal(store.announced, 1);
  // Registered anew.
  store.revision = 5;
  const gone: StoreSnapshot = { records: [], unreadable: [] };
  lease.observe(gone);
  await clock.advance(0);
  assert.equal(store.announced, 2);
  assert.match(lines.at(-1) ?? '', /node n has been written anew/);
  // Others change: that is no reason.
  for (let i = 0; i < 50; i++) lease.observe(gone);
  lease.observe(await store.list());
  await clock.advance(60_000);
  assert.equal(store.announced, 2);
  stopping.abort();
  await keeping;
});

test('while it cannot be said it is tried again, less and less often', async () => {
  const { store, clock, acquire, signal, stopping } = place();
  const lease = await acquire();
  const keeping = lease.keep(signal);
  store.fault = new TwillError('ERR_TWILL_STORE_UNAVAILABLE', 'cannot reach it');
  store.revision = 1;
  lease.observe(await store.list());
  await clock.advance(600_000);
  assert.ok(store.announced > 8 && store.announced < 25, `${store.announced}`);
  store.fault = null;
  await clock.advance(61_000);
  const after = store.announced;
  await clock.advance(600_000);
  assert.equal(store.announced, after);
  stopping.abort();
  await keeping;
});

test('another subnet ends it', async () => {
  const { store, clock, acquire, signal } = place();
  const lease = await acquire();
  const keeping = lease.keep(signal);
  keeping.catch(() => {});
  store.key = '10.5.2.0-24';
  store.revision = 1;
  lease.observe(await store.list());
  await clock.advance(0);
  await assert.rejects(keeping, {
    code: 'ERR_TWILL_LEASE_LOST',
    message:
      /our lease 10\.5\.1\.0-24 is lost: the cluster gives node n another subnet: 10\.5\.2\.0-24; a new start takes it/,
  });
});

test('that it carries is told once, again where the node was registered anew, and until it is heard', async () => {
  const { store, clock, acquire, signal, stopping } = place();
  const lease = await acquire();
  const keeping = lease.keep(signal);
  await clock.advance(60_000);
  assert.equal(store.up, 0);
  store.fault = new TwillError('ERR_TWILL_STORE_UNAVAILABLE', 'cannot reach it');
  lease.carries();
  await clock.advance(5000);
  assert.ok(store.up >= 2);
  store.fault = null;
  await clock.advance(60_000);
  const heard = store.up;
  lease.carries();
  await clock.advance(60_000);
  assert.equal(store.up, heard);
  store.revision = 9;
  lease.observe(await store.list());
  await clock.advance(10_000);
  assert.equal(store.up, heard + 1);
  stopping.abort();
  await keeping;
});

test('with the cluster away it goes on with what was its own, and says so when it is back', async () => {
  const { store, clock, acquire, signal, stopping, lines } = place();
  store.asOfMs = 1;
  const lease = await acquire();
  assert.equal(store.announced, 0);
  assert.match(
    lines[0] ?? '',
    /^warn: going on with 10\.5\.1\.0-24, which was ours when the store last answered$/,
  );
  const keeping = lease.keep(signal);
  await clock.advance(0);
  assert.equal(store.announced, 1);
  stopping.abort();
  await keeping;
});

test('a node that moves says so, as soon as it can', async () => {
  const { store, clock, acquire, signal, stopping, lines } = place();
  const lease = await acquire();
  const keeping = lease.keep(signal);
  store.fault = new TwillError('ERR_TWILL_STORE_UNAVAILABLE', 'down');
  const moved = { ...attributes, publicIp: IpAddress.parse('192.0.2.11') };
  lease.readdress(moved);
  await clock.advance(1000);
  assert.equal(store.said, attributes);
  store.fault = null;
  await clock.advance(10_000);
  assert.equal(store.said, moved);
  assert.equal(`${lease.lease.attributes.publicIp}`, '192.0.2.11');
  assert.ok(lines.includes('info: node n is at 192.0.2.11 now: it says so'));
  const { announced } = store;
  lease.readdress({ ...moved });
  lease.observe(await store.list());
  await clock.advance(60_000);
  assert.equal(store.announced, announced);
  stopping.abort();
  await keeping;
});
