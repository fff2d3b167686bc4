/**
 * What every store promises the agent, as tests: bring a store, and learn whether it keeps the contract of src/store/store.ts.
 * Ours pass it, and one of somebody else's may be put to the same test.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Store, StoreSnapshot } from '../../src/store/store.js';
import { until } from './namespaces.js';

export interface StoreUnderTest {
  /** Two clients of the same, empty store, whose configuration is `config`. */
  readonly stores: readonly [Store, Store];
}

export const config = '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}\n';
export const value =
  '{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1}}';
const other = `${value.replace('192.0.2.1', '192.0.2.9')} `;
const key = '10.5.1.0-24';
const day = { ttlMs: 86_400_000 };

/** What a watch has said so far. */
export class Follower {
  readonly snapshots: StoreSnapshot[] = [];
  readonly troubles: (Error | null)[] = [];
  readonly #end = new AbortController();
  readonly ended: Promise<void>;

  constructor(t: TestContext, store: Store) {
    this.ended = (async () => {
      const said = store.watch(this.#end.signal, (error) => this.troubles.push(error));
      for await (const snapshot of said) this.snapshots.push(snapshot);
    })();
    this.ended.catch(() => {});
    t.after(() => this.stop());
  }

  get keys(): readonly string[] | undefined {
    return this.snapshots
      .at(-1)
      ?.records.map((record) => record.key)
      .sort();
  }

  async sees(what: string, ...keys: string[]): Promise<void> {
    await until(`the watch sees ${what}`, async () => JSON.stringify(this.keys) === JSON.stringify(keys));
  }

  stop(): Promise<void> {
    this.#end.abort();
    return this.ended;
  }
}

export function storeContract(
  name: string,
  open: (t: TestContext) => Promise<StoreUnderTest>,
  { skip = false as string | false } = {},
): void {
  const check = (what: string, act: (stores: readonly [Store, Store], t: TestContext) => Promise<void>) =>
    test(`${name}: ${what}`, { skip, timeout: 60_000 }, async (t) => {
      const { stores } = await open(t);
      t.after(() => Promise.all(stores.map((store) => store.close())));
      await act(stores, t);
    });

  check('says in words what it is, and gives the configuration byte for byte', async ([store]) => {
    assert.ok(store.description.length > 0 && !store.description.includes('\n'));
    assert.equal(await store.readConfig(), config);
    assert.deepEqual(await store.list(), { records: [], unreadable: [] });
  });

  check('a record is created once, and is what it was, byte for byte, for everybody', async ([a, b]) => {
    const made = await a.create(key, value, day);
    assert.ok(made);
    assert.deepEqual([made.key, made.value], [key, value]);
    assert.equal(await b.create(key, other, day), null);
    assert.equal(await a.create(key, value, day), null);
    for (const store of [a, b]) {
      const { records } = await store.list();
      assert.deepEqual(
        records.map((record) => [record.key, record.value, record.revision]),
        [[key, value, made.revision]],
      );
    }
  });

  check('of many that race for a key one wins', async ([a, b]) => {
    const claims = Array.from({ length: 12 }, (_, i) => (i % 2 ? a : b).create(key, `${value}${i}`, day));
    const won = (await Promise.all(claims)).filter((record) => record !== null);
    assert.equal(won.length, 1);
    assert.equal((await a.list()).records[0]?.value, won[0]?.value);
  });

  check('a record is replaced by whoever has seen it last, and nobody else', async ([a, b]) => {
    const made = await a.create(key, value, day);
    assert.ok(made);
    const changed = await b.replace(key, made.revision, other, day);
    assert.ok(changed);
    assert.notEqual(changed.revision, made.revision, 'another value is another revision');
    assert.equal(changed.createdOrder, made.createdOrder, 'the age of the claim stays');
    assert.equal(await a.replace(key, made.revision, value, day), null, 'the old revision is worth nothing');
    assert.equal((await a.list()).records[0]?.value, other);
    const renewed = await a.replace(key, changed.revision, other, day);
    assert.ok(renewed, 'the same value once more: a renewal');
    const race = [a, b, a, b].map((store, i) => store.replace(key, renewed.revision, `${value}${i}`, day));
    assert.equal((await Promise.all(race)).filter((record) => record !== null).length, 1);
    assert.equal(await a.replace('10.5.9.0-24', renewed.revision, value, day), null, 'what is not there');
  });

  check('a record is removed by whoever has seen it last', async ([a, b]) => {
    const made = await a.create(key, value, day);
    assert.ok(made);
    const changed = await a.replace(key, made.revision, other, day);
    assert.ok(changed);
    assert.equal(await b.remove(key, made.revision), false);
    assert.equal(await b.remove(key, changed.revision), true);
    assert.equal(await a.remove(key, changed.revision), false);
    assert.deepEqual((await a.list()).records, []);
    assert.ok(await b.create(key, value, day), 'the key is free again');
  });

  check('records have an end or none, and an order of age', async ([a, b]) => {
    const first = await a.create('10.5.2.0-24', value, day);
    const second = await b.create('10.5.1.0-24', value, {});
    assert.ok(first && second);
    assert.ok(first.createdOrder <= second.createdOrder, 'the older claim is not the greater');
    assert.equal(second.expiresAtMs, undefined, 'it never ends');
    assert.ok((first.expiresAtMs ?? 0) > Date.now() + 80_000_000, 'it ends in a day');
    const listed = (await b.list()).records;
    const byKey = new Map(listed.map((record) => [record.key, record]));
    assert.equal(byKey.get(second.key)?.expiresAtMs, undefined);
    assert.ok((byKey.get(first.key)?.expiresAtMs ?? 0) > Date.now() + 80_000_000);
    const isOlder = (byKey.get(first.key)?.createdOrder ?? 1n) <= (byKey.get(second.key)?.createdOrder ?? 0n);
    assert.ok(isOlder, 'for whoever lists them, too');
    const kept = await a.replace(first.key, first.revision, value, {});
    assert.ok(kept && kept.expiresAtMs === undefined, 'an end can be taken back');
  });

  check('a record that has ended is gone, or says that it has', async ([a, b]) => {
    const ttlMs = 1500;
    assert.ok(await a.create(key, value, { ttlMs }));
    await until('the record has ended', async () => {
      const [record] = (await b.list()).records;
      return record === undefined || (record.expiresAtMs ?? Number.POSITIVE_INFINITY) < Date.now();
    });
  });

  check('a watch begins with what is there, and tells every change of anybody', async ([a, b], t) => {
    assert.ok(await a.create('10.5.3.0-24', value, day));
    const follower = new Follower(t, b);
    await follower.sees('what was there', '10.5.3.0-24');
    const made = await a.create(key, value, day);
    assert.ok(made);
    await follower.sees('a record come', key, '10.5.3.0-24');
    const changed = await b.replace(key, made.revision, other, day);
    assert.ok(changed);
    await until('the watch sees a record change', async () => {
      const record = follower.snapshots.at(-1)?.records.find((one) => one.key === key);
      return record?.value === other;
    });
    assert.equal(await a.remove(key, changed.revision), true);
    await follower.sees('a record go', '10.5.3.0-24');
    for (const { records } of follower.snapshots)
      assert.ok(
        records.some((record) => record.key === '10.5.3.0-24'),
        'every snapshot is complete',
      );
    assert.ok(follower.troubles.every((trouble) => trouble === null));
  });

  check('two watches of one client; each ends with its own signal, without an error', async ([a, b], t) => {
    const followers = [new Follower(t, a), new Follower(t, a)] as const;
    for (const follower of followers) await follower.sees('nothing');
    await followers[0].stop();
    assert.ok(await b.create(key, value, day));
    await followers[1].sees('a record come', key);
    assert.deepEqual(followers[0].keys, []);
    await followers[1].stop();
  });

  check('a signal that has ended already ends a watch at once', async ([a]) => {
    for await (const _ of a.watch(AbortSignal.abort())) assert.fail('it said something');
  });
}
