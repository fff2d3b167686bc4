/** What may happen to etcd, and what the store makes of it: no lease is lost, none stays that has gone, and it says what is wrong. */
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { EtcdStore } from '../../src/store/etcd/etcd-store.js';
import { noEtcd, startEtcd } from '../support/etcd.js';
import { FollowedStore } from '../support/followed-store.js';
import { until } from '../support/namespaces.js';
import { Relay } from '../support/relay.js';

const skip = noEtcd();
const lease = (n: number) => `{"PublicIP":"192.0.2.${n}","PublicIPv6":null}`;

test('killed and back: trouble is said, changes since are seen', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  await etcd.put('subnets/10.5.1.0-24', lease(1));
  const followed = FollowedStore.over(t, etcd.options());
  await followed.hasKeys('10.5.1.0-24');
  await etcd.member().kill();
  await until('trouble', async () => followed.trouble !== null);
  assert.match(
    followed.trouble ?? '',
    /^cannot reach etcd at http:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED/,
  );
  assert.equal(followed.keys, '10.5.1.0-24');
  await assert.rejects(followed.store.list(), { code: 'ERR_TWILL_STORE_UNAVAILABLE' });
  await etcd.member().start();
  await etcd.healthy();
  await etcd.put('subnets/10.5.2.0-24', lease(2));
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24');
  assert.equal(followed.trouble, null);
  // Never a listing that lacks what is there.
  assert.ok(followed.snapshots.every(({ records }) => records.length > 0));
});

test('compacted while partitioned: all is compared by content', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  const relay = await Relay.open(t, etcd.member().clientUrl);
  for (const n of [1, 2, 3]) await etcd.put(`subnets/10.5.${n}.0-24`, lease(n));
  const followed = FollowedStore.over(t, etcd.options({ endpoints: [relay.url] }));
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24 10.5.3.0-24');
  relay.cut();
  await until('trouble', async () => followed.trouble !== null);
  await etcd.put('subnets/10.5.2.0-24', lease(22));
  await etcd.remove('subnets/10.5.3.0-24');
  await etcd.put('subnets/10.5.4.0-24', lease(4));
  await etcd.compact();
  relay.heal();
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24 10.5.4.0-24');
  assert.equal(followed.value('10.5.2.0-24'), lease(22));
  await etcd.remove('subnets/10.5.1.0-24');
  await followed.hasKeys('10.5.2.0-24 10.5.4.0-24');
});

test('restored from an older backup: said, and what the backup lacks is gone', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  await etcd.put('subnets/10.5.1.0-24', lease(1));
  const backup = join(etcd.directory, 'backup.db');
  await etcd.ctl('snapshot', 'save', backup);
  for (let n = 2; n < 9; n++) await etcd.put(`subnets/10.5.${n}.0-24`, lease(n));
  await etcd.remove('subnets/10.5.8.0-24');
  const followed = FollowedStore.over(t, etcd.options());
  await until('seven leases', async () => followed.last?.records.length === 7);
  const member = etcd.member();
  await member.kill();
  await rm(member.dataDirectory, { recursive: true });
  await etcd.ctl(
    ...['snapshot', 'restore', backup, `--data-dir=${member.dataDirectory}`, `--name=${member.name}`],
    ...[
      `--initial-cluster=${member.name}=${member.peerUrl}`,
      `--initial-advertise-peer-urls=${member.peerUrl}`,
    ],
  );
  await member.start();
  await followed.hasKeys('10.5.1.0-24');
  assert.ok(
    followed.troubles.some((trouble) => trouble?.includes('as after restoring a backup')),
    followed.troubles.join('\n'),
  );
  await etcd.put('subnets/10.5.9.0-24', lease(9));
  await followed.hasKeys('10.5.1.0-24 10.5.9.0-24');
  assert.equal(followed.trouble, null);
});

test('another cluster behind the same address is noticed, even one with a longer history', {
  skip,
}, async (t) => {
  const [etcd, other] = await Promise.all([startEtcd(t), startEtcd(t)]);
  await etcd.put('subnets/10.5.1.0-24', lease(1));
  await etcd.put('subnets/10.5.2.0-24', lease(2));
  for (let n = 0; n < 10; n++) await other.put('subnets/10.5.2.0-24', lease(22));
  const relay = await Relay.open(t, etcd.member().clientUrl);
  const followed = FollowedStore.over(t, etcd.options({ endpoints: [relay.url] }));
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24');
  relay.turnTo(other.member().clientUrl);
  relay.cut();
  relay.heal();
  await followed.hasKeys('10.5.2.0-24');
  assert.equal(followed.value('10.5.2.0-24'), lease(22));
  assert.ok(followed.troubles.some((trouble) => trouble?.includes("etcd's history is another one")));
  assert.equal(followed.trouble, null);
});

test('a frozen member is noticed and the next one taken', { skip }, async (t) => {
  const etcd = await startEtcd(t, { members: 3 });
  await etcd.put('subnets/10.5.1.0-24', lease(1));
  const followed = FollowedStore.over(t, etcd.options());
  await followed.hasKeys('10.5.1.0-24');
  etcd.member(0).freeze();
  const frozenAtMs = performance.now();
  await until(
    'the two others serve',
    () =>
      etcd.ctlAt(etcd.endpoints.slice(1), 'put', '/coreos.com/network/subnets/10.5.2.0-24', lease(2)).then(
        () => true,
        () => false,
      ),
    30_000,
  );
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24', 30_000);
  t.diagnostic(`caught up ${Math.round(performance.now() - frozenAtMs)} ms after the freeze`);
  etcd.member(0).thaw();
});

test('a frozen single member: calls end, and all goes on when it thaws', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  await etcd.put('subnets/10.5.1.0-24', lease(1));
  const followed = FollowedStore.over(t, etcd.options());
  await followed.hasKeys('10.5.1.0-24');
  etcd.member().freeze();
  const frozenAtMs = performance.now();
  await assert.rejects(followed.store.create('10.5.2.0-24', lease(2), { ttlMs: 60_000 }), {
    code: 'ERR_TWILL_STORE_UNAVAILABLE',
  });
  await until('trouble', async () => followed.trouble !== null, 30_000);
  t.diagnostic(`noticed ${Math.round(performance.now() - frozenAtMs)} ms after the freeze`);
  // A new connection to it is accepted by the kernel and never answered.
  const other = new EtcdStore(etcd.options());
  await assert.rejects(other.list(), /no answer in time/);
  await other.close();
  etcd.member().thaw();
  await until('well again', async () => followed.trouble === null);
  await etcd.put('subnets/10.5.3.0-24', lease(3));
  await until('the new lease', async () => followed.value('10.5.3.0-24') !== undefined);
});

test('a member of three is lost: the next one serves within a second', { skip }, async (t) => {
  const etcd = await startEtcd(t, { members: 3 });
  await etcd.put('subnets/10.5.1.0-24', lease(1));
  const followed = FollowedStore.over(t, etcd.options());
  await followed.hasKeys('10.5.1.0-24');
  await etcd.member(0).kill();
  const killedAtMs = performance.now();
  // Calls and the watch alike.
  await until('a call is served', () =>
    followed.store.list().then(
      () => true,
      () => false,
    ),
  );
  t.diagnostic(`a call was served ${Math.round(performance.now() - killedAtMs)} ms after the kill`);
  await until('a write is served', () =>
    etcd.put('subnets/10.5.2.0-24', lease(2)).then(
      () => true,
      () => false,
    ),
  );
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24');
  // Without a majority a member has no leader: nothing is served, and nothing forgotten.
  await etcd.member(1).kill();
  await until('trouble', async () => followed.trouble !== null, 30_000);
  assert.equal(followed.keys, '10.5.1.0-24 10.5.2.0-24');
  await etcd.member(0).start();
  await until('well again', async () => followed.trouble === null, 30_000);
});

test('10,000 updates of one key are few snapshots, the last of them true', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  const writer = new EtcdStore(etcd.options());
  t.after(() => writer.close());
  let record = await writer.create('10.5.1.0-24', lease(0), {});
  const followed = FollowedStore.over(t, etcd.options());
  await followed.hasKeys('10.5.1.0-24');
  const beganMs = performance.now();
  for (let n = 1; n <= 10_000 && record; n++) {
    record = await writer.replace('10.5.1.0-24', record.revision, lease(n), {});
  }
  const tookMs = performance.now() - beganMs;
  await until('the last update', async () => followed.value('10.5.1.0-24') === lease(10_000));
  t.diagnostic(`${followed.snapshots.length} snapshots of 10,000 updates in ${Math.round(tookMs)} ms`);
  assert.ok(followed.snapshots.length <= tookMs / 10 + 10);
});

test('a store that takes two seconds for each answer is slow, and no more', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  await etcd.put('subnets/10.5.1.0-24', lease(1));
  const relay = await Relay.open(t, etcd.member().clientUrl);
  const followed = FollowedStore.over(t, etcd.options({ endpoints: [relay.url] }));
  await followed.hasKeys('10.5.1.0-24');
  relay.delayMs = 1000;
  const { store } = followed;
  const record = await store.create('10.5.2.0-24', lease(2), { ttlMs: 60_000 });
  assert.ok(record);
  assert.equal((await store.list()).records.length, 2);
  await followed.hasKeys('10.5.1.0-24 10.5.2.0-24');
  assert.ok(await store.replace(record.key, record.revision, lease(22), { ttlMs: 60_000 }));
  await until('the change', async () => followed.value('10.5.2.0-24') === lease(22));
  assert.deepEqual(followed.troubles, []);
  assert.equal(relay.connections, 1);
});

test('thirty breaks leave no descriptor behind', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  const relay = await Relay.open(t, etcd.member().clientUrl);
  const followed = FollowedStore.over(t, etcd.options({ endpoints: [relay.url] }));
  const open = async () => (await readdir('/proc/self/fd')).length;
  const roundTrip = async (n: number) => {
    await etcd.put('subnets/10.5.1.0-24', lease(n));
    await until('the change', async () => followed.value('10.5.1.0-24') === lease(n));
  };
  await roundTrip(0);
  const before = await open();
  for (let n = 1; n <= 30; n++) {
    relay.cut();
    relay.heal();
    await roundTrip(n);
  }
  await until('as many as before', async () => (await open()) <= before + 2);
  assert.equal(followed.trouble, null);
  // One at a time, and a new one for each break.
  assert.ok(relay.connections >= 31 && relay.connections < 120, `${relay.connections} connections`);
});

test('no room left: said, read on, written again when there is', { skip }, async (t) => {
  const etcd = await startEtcd(t, { flags: ['--quota-backend-bytes=65536'] });
  const followed = FollowedStore.over(t, etcd.options());
  const store = followed.store;
  await until('it is full', () =>
    etcd.put('other', 'x'.repeat(40_000)).then(
      () => false,
      () => true,
    ),
  );
  await assert.rejects(store.create('10.5.1.0-24', lease(1), {}), {
    code: 'ERR_TWILL_STORE_UNAVAILABLE',
    message: /database space exceeded/,
  });
  assert.deepEqual((await store.list()).records, []);
  assert.equal(followed.trouble, null);
  await etcd.remove('other');
  await etcd.compact();
  await etcd.ctl('defrag');
  await etcd.ctl('alarm', 'disarm');
  assert.ok(await store.create('10.5.1.0-24', lease(1), {}));
  await followed.hasKeys('10.5.1.0-24');
});
