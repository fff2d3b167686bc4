/** Who gets which subnet on a shared etcd, and how much a start costs among many leases. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/agent/clock.js';
import { LeaseHolder, type LeaseTerms } from '../../src/agent/lease-holder.js';
import { parseNetConf } from '../../src/config/net-conf.js';
import { encodeLeaseValue } from '../../src/lease/codec.js';
import type { LeaseAttributes, LeaseSubnets } from '../../src/lease/lease.js';
import { IpAddress } from '../../src/net/ip.js';
import { Prefix } from '../../src/net/prefix.js';
import { createLogger } from '../../src/observe/log.js';
import { EtcdStore } from '../../src/store/etcd/etcd-store.js';
import type { Store } from '../../src/store/store.js';
import { type Etcd, etcdPrefix, noEtcd, startEtcd } from '../support/etcd.js';

const skip = noEtcd();
const DAY_MS = 86_400_000;
const logger = createLogger({ level: 'silent' });

function attributes(publicIp: string): LeaseAttributes {
  return { publicIp: IpAddress.parse(publicIp), publicIpv6: null, backendType: '' };
}

function terms(store: Store, publicIp: string, config: object, more: Partial<LeaseTerms> = {}): LeaseTerms {
  return {
    ...{ store, logger, clock: systemClock, random: Math.random, ttlMs: DAY_MS, renewMarginMs: DAY_MS / 24 },
    netConf: parseNetConf(JSON.stringify({ Network: '10.5.0.0/16', ...config })),
    attributes: attributes(publicIp),
    previous: null,
    ...more,
  };
}

const unending = () => new AbortController().signal;

async function subnetOf(wanted: LeaseTerms): Promise<string> {
  return (await LeaseHolder.acquire(wanted, unending())).lease.key;
}

test('100 nodes that start at once get 100 subnets', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  const stores = Array.from({ length: 100 }, () => new EtcdStore(etcd.options()));
  t.after(() => Promise.all(stores.map((store) => store.close())));
  const beganMs = performance.now();
  const subnets = await Promise.all(stores.map((store, i) => subnetOf(terms(store, `192.0.2.${i + 1}`, {}))));
  t.diagnostic(
    `100 subnets in ${Math.round(performance.now() - beganMs)} ms, over 100 connections of one process`,
  );
  assert.equal(new Set(subnets).size, 100);
  const records = await etcd.records();
  assert.deepEqual(
    records.filter((line) => line.startsWith('/')).sort(),
    subnets.map((key) => `${etcdPrefix}/subnets/${key}`).sort(),
  );
  // What was granted for lost races has been revoked: each lease has its key.
  const leases = (await etcd.ctl('lease', 'list')).split('\n').filter((line) => /^[0-9a-f]+$/.test(line));
  assert.equal(leases.length, 100);
});

test('SubnetMin, SubnetMax, SubnetLen, and the subnet of the last run', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  const store = new EtcdStore(etcd.options());
  t.after(() => store.close());
  const few = { SubnetLen: 26, SubnetMin: '10.5.9.0', SubnetMax: '10.5.9.192' };
  const previous = (subnet: string): { previous: LeaseSubnets } => ({
    previous: { v4: Prefix.parse(subnet) },
  });

  assert.equal(
    await subnetOf(terms(store, '192.0.2.1', few, previous('10.5.9.128/26'))),
    '10.5.9.128-26',
    'the subnet of the last run is free',
  );
  assert.equal(await subnetOf(terms(store, '192.0.2.1', few)), '10.5.9.128-26', 'the lease is found again');
  const second = await subnetOf(terms(store, '192.0.2.2', few, previous('10.5.9.128/26')));
  assert.notEqual(second, '10.5.9.128-26', 'it belongs to another node');
  assert.match(second, /^10\.5\.9\.(0|64|192)-26$/);
  assert.match(await subnetOf(terms(store, '192.0.2.3', few, previous('10.5.7.0/26'))), /^10\.5\.9\./);
  assert.match(await subnetOf(terms(store, '192.0.2.4', few)), /^10\.5\.9\./);
  await assert.rejects(subnetOf(terms(store, '192.0.2.5', few)), { code: 'ERR_TWILL_OUT_OF_SUBNETS' });
  // Another configuration: the old lease does not fit and goes.
  assert.equal(
    await subnetOf(terms(store, '192.0.2.1', { SubnetMin: '10.5.20.0', SubnetMax: '10.5.20.0' })),
    '10.5.20.0-24',
  );
  assert.ok(!(await etcd.records()).includes(`${etcdPrefix}/subnets/10.5.9.128-26`));
});

test('a lease of a flannel node is left alone, one of our address is reused', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  const store = new EtcdStore(etcd.options());
  t.after(() => store.close());
  const flannel = '{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"host-gw"}';
  for (const subnet of ['10.5.1.0-24', '10.5.2.0-24']) {
    const publicIp = subnet.startsWith('10.5.1') ? '192.0.2.1' : '192.0.2.2';
    const lease = await etcd.grant(86_400);
    await etcd.put(`subnets/${subnet}`, flannel.replace('192.0.2.1', publicIp), `--lease=${lease}`);
  }
  assert.equal(await subnetOf(terms(store, '192.0.2.2', {})), '10.5.2.0-24');
  const records = await etcd.records();
  assert.ok(records.includes(flannel));
  assert.ok(records.includes(encodeLeaseValue(attributes('192.0.2.2'))));
});

test('a reservation stays one; a lease is renewed by what it was', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  const store = new EtcdStore(etcd.options());
  t.after(() => store.close());
  const fields = (key: string) => etcd.ctl('get', '-w', 'fields', `${etcdPrefix}/subnets/${key}`);
  await etcd.put('subnets/10.5.7.0-24', '{"PublicIP":"192.0.2.7"}');
  const reserved = await LeaseHolder.acquire(terms(store, '192.0.2.7', {}), unending());
  assert.equal(reserved.lease.key, '10.5.7.0-24');
  assert.equal(reserved.lease.expiresAtMs, undefined);
  assert.match(await fields('10.5.7.0-24'), /"Lease" : 0/);
  assert.ok((await etcd.records()).includes('{"PublicIP":"192.0.2.7","PublicIPv6":null}'));

  const stop = new AbortController();
  const holder = await LeaseHolder.acquire(
    terms(store, '192.0.2.8', {}, { ttlMs: 5000, renewMarginMs: 4000 }),
    unending(),
  );
  const leaseOf = async () => /"Lease" : (\d+)/.exec(await fields(holder.lease.key))?.[1] ?? '';
  const before = await leaseOf();
  assert.notEqual(before, '0');
  const kept = holder.keep(stop.signal);
  t.after(async () => {
    stop.abort();
    await kept;
  });
  const endMs = Date.now() + 20_000;
  while ((await leaseOf()) === before) assert.ok(Date.now() < endMs, 'not renewed');
  assert.notEqual(await leaseOf(), '');
});

/** Counts of gRPC calls that etcd has served. */
async function served(etcd: Etcd): Promise<{ [method: string]: number }> {
  const text = await (await fetch(`${etcd.member().clientUrl}/metrics`)).text();
  const counts = text.matchAll(/^grpc_server_started_total\{grpc_method="(\w+)",[^}]*\} (\d+)$/gm);
  return Object.fromEntries([...counts].map(([, method, count]) => [method, Number(count)]));
}

test('a start among many leases is one request for them', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  const lease = await etcd.grant(86_400);
  for (let n = 2; n < 40; n++) {
    await etcd.put(
      `subnets/10.5.${n}.0-24`,
      `{"PublicIP":"192.0.3.${n}","PublicIPv6":null}`,
      `--lease=${lease}`,
    );
  }
  await etcd.put('subnets/10.5.1.0-24', '{"PublicIP":"192.0.2.1"}', `--lease=${lease}`);
  const store = new EtcdStore(etcd.options());
  t.after(() => store.close());
  const before = await served(etcd);
  const listing = await store.list();
  const holder = await LeaseHolder.acquire(terms(store, '192.0.2.1', {}, { listing }), unending());
  assert.equal(holder.lease.key, '10.5.1.0-24');
  const stop = new AbortController();
  for await (const snapshot of store.watch(stop.signal)) {
    holder.observe(snapshot);
    if (snapshot.records.length === 39) stop.abort();
  }
  const after = await served(etcd);
  const made = (method: string) => (after[method] ?? 0) - (before[method] ?? 0);
  assert.deepEqual(
    ['Range', 'Txn', 'LeaseGrant', 'LeaseTimeToLive', 'LeaseRevoke'].map((method) => [method, made(method)]),
    [
      ['Range', 1],
      ['Txn', 1],
      ['LeaseGrant', 1],
      ['LeaseTimeToLive', 0],
      ['LeaseRevoke', 0],
    ],
  );
});
