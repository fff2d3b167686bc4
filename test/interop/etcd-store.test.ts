/** The etcd store against real etcd: the contract of the Store interface, and records byte for byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EtcdStore } from '../../src/store/etcd/etcd-store.js';
import type { StoreSnapshot } from '../../src/store/store.js';
import { etcdPrefix, noEtcd, startEtcd } from '../support/etcd.js';

const skip = noEtcd();
const value = '{"PublicIP":"192.168.1.10","PublicIPv6":null}';

test('config and leases of etcd', { skip }, async (t) => {
  const etcd = await startEtcd(t);
  const store = new EtcdStore(etcd.options());
  t.after(() => store.close());

  await t.test('a missing configuration is named with the key to write', async () => {
    await assert.rejects(store.readConfig(), /there is no \/coreos\.com\/network\/config in etcd/);
  });

  await t.test('the configuration is the text as it stands', async () => {
    await etcd.put('config', '{"Network":"10.5.0.0/16"}');
    assert.equal(await store.readConfig(), '{"Network":"10.5.0.0/16"}');
  });

  await t.test('a lease is created once, listed, replaced by its revision alone, removed by it', async () => {
    const key = '10.5.1.0-24';
    const before = Date.now();
    const record = await store.create(key, value, { ttlMs: 86_400_000 });
    assert.ok(record);
    assert.equal(record.value, value);
    assert.ok(record.expiresAtMs !== undefined && record.expiresAtMs >= before + 86_400_000);
    assert.equal(await store.create(key, value, { ttlMs: 86_400_000 }), null);
    assert.deepEqual(await store.list(), { records: [record], unreadable: [] });
    assert.deepEqual(await etcd.records(), [
      `${etcdPrefix}/config`,
      '{"Network":"10.5.0.0/16"}',
      `${etcdPrefix}/subnets/${key}`,
      value,
    ]);

    const renewed = await store.replace(key, record.revision, value, { ttlMs: 86_400_000 });
    assert.ok(renewed && renewed.revision !== record.revision);
    assert.equal(renewed.createdOrder, record.createdOrder);
    assert.equal(await store.replace(key, record.revision, value, { ttlMs: 86_400_000 }), null);
    assert.equal(await store.remove(key, record.revision), false);
    assert.equal(await store.remove(key, renewed.revision), true);
    assert.deepEqual(await store.list(), { records: [], unreadable: [] });
    assert.equal(await store.replace(key, renewed.revision, value, {}), null);
  });

  await t.test('a key without an etcd lease is a reservation and stays one', async () => {
    await etcd.put('subnets/10.5.2.0-24', value);
    const [record] = (await store.list()).records;
    assert.ok(record && !('expiresAtMs' in record));
    const replaced = await store.replace(record.key, record.revision, value, {});
    assert.ok(replaced && !('expiresAtMs' in replaced));
    assert.match(await etcd.ctl('get', '-w', 'fields', `${etcdPrefix}/subnets/10.5.2.0-24`), /"Lease" : 0/);
    await store.remove(replaced.key, replaced.revision);
  });

  await t.test('a watch brings what is there, then each change, then the end of a lease', async () => {
    await etcd.put('subnets/10.5.3.0-24', value);
    const store = new EtcdStore(etcd.options());
    t.after(() => store.close());
    const stop = new AbortController();
    const seen: StoreSnapshot[] = [];
    const keys = ({ records }: StoreSnapshot) => records.map(({ key }) => key).join(' ');
    for await (const snapshot of store.watch(stop.signal)) {
      seen.push(snapshot);
      if (seen.length === 1) {
        const lease = await etcd.grant(2);
        await etcd.put('subnets/10.5.4.0-24', value, `--lease=${lease}`);
      }
      if (seen.length > 1 && !keys(snapshot).includes('10.5.4.0-24')) stop.abort();
    }
    assert.deepEqual(seen.map(keys), ['10.5.3.0-24', '10.5.3.0-24 10.5.4.0-24', '10.5.3.0-24']);
  });
});
