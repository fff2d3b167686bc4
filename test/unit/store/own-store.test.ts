/** A store that a program brings: whatever its methods do, it is told by their names, and hides no other record. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IpAddress } from '../../../src/net/ip.js';
import { ownStore } from '../../../src/store/own-store.js';
import type { AnyStore, GivingStore, Store, StoreSnapshot } from '../../../src/store/store.js';
import { ends, refused, wrong, wrongKind } from '../../support/misuse.js';

const record = { key: '10.5.1.0-24', value: '{}', revision: '1', createdOrder: 1n };
const signal = new AbortController().signal;
const none = Promise.resolve(null);

/** A store whose methods do nothing wrong but what is given. */
function storeWith(methods: object, kind: 'taking' | 'giving' = 'taking'): AnyStore {
  const source = {
    description: 'the shelf',
    readConfig: async () => '{}',
    list: async () => ({ records: [record], unreadable: [] }),
    watch: async function* () {},
    close: async () => {},
  };
  const taking = { create: () => none, replace: () => none, remove: async () => true };
  const node = { name: 'node-1', publicIp: IpAddress.parse('192.0.2.1') };
  const giving = { ownNode: async () => node, announce: async () => record, announceUp: async () => {} };
  return ownStore('store', { ...source, ...(kind === 'taking' ? taking : giving), ...methods });
}

async function all(snapshots: AsyncIterable<StoreSnapshot>): Promise<StoreSnapshot[]> {
  const found: StoreSnapshot[] = [];
  for await (const snapshot of snapshots) found.push(snapshot);
  return found;
}

test('what lacks a method, or a description, is refused by it', async () => {
  for (const method of ['readConfig', 'list', 'watch', 'close', 'create', 'replace', 'remove'])
    await ends(
      method,
      wrongKind(new RegExp(`^store must be text, or a Store with ${method}\\(\\), not`)),
      () => storeWith({ [method]: undefined }),
    );
  for (const method of ['ownNode', 'announceUp'])
    await ends(method, wrongKind(new RegExp(`with ${method}\\(\\), not \\[object Object\\]$`)), () =>
      storeWith({ [method]: 5 }, 'giving'),
    );
  await ends('description', wrongKind(/a Store with a description, not/), () =>
    storeWith({ description: 5 }),
  );
  await ends('null', wrongKind(/^store must be text, or a Store with readConfig\(\), not null$/), () =>
    ownStore('store', null),
  );
});

test('what is right passes as it is, and keeps its `this`', async () => {
  const snapshot = { records: [record], unreadable: [{ key: 'x', reason: 'y' }], asOfMs: 5 };
  class Shelf {
    readonly #snapshot = snapshot;
    readonly description = 'the shelf';
    readConfig = async () => '{}';
    list = async () => this.#snapshot;
    async *watch() {
      yield this.#snapshot;
    }
    create = async () => record;
    replace = () => none;
    remove = async () => false;
    close = async () => {};
  }
  const store = ownStore('store', new Shelf()) as Store;
  assert.equal(store.description, 'the shelf');
  assert.deepEqual(await store.list(), snapshot);
  assert.deepEqual(await all(store.watch(signal)), [snapshot]);
  assert.equal(await store.create('k', 'v', {}), record);
  assert.deepEqual([await store.replace('k', '1', 'v', {}), await store.remove('k', '1')], [null, false]);
  const giving = storeWith({}, 'giving') as GivingStore;
  assert.equal((await giving.ownNode()).name, 'node-1');
  assert.equal(await giving.announce(wrong({})), record);
});

test('what a method should not give is told by its name', async () => {
  const told = (what: RegExp) => refused('ERR_TWILL_STORE', what);
  const rows: [object, (store: Store & GivingStore) => unknown, RegExp, ('taking' | 'giving')?][] = [
    [
      { readConfig: async () => ({}) },
      (s) => s.readConfig(),
      /^the shelf: what readConfig gives must be the text/,
    ],
    [
      { list: async () => undefined },
      (s) => s.list(),
      /what list gives must be \{ records, unreadable \}, not undef/,
    ],
    [
      { list: async () => [record] },
      (s) => s.list(),
      /what list gives must be \{ records.*, not an array of 1$/,
    ],
    [
      { list: () => ({ ...record }) },
      (s) => s.list(),
      /what list gives must be \{ records.*, not \[object Object/,
    ],
    [
      { create: async () => true },
      (s) => s.create('k', 'v', {}),
      /what create gives must be a record \(it is no obj/,
    ],
    [
      { replace: async () => ({ ...record, revision: 5 }) },
      (s) => s.replace('k', '1', 'v', {}),
      /what replace gives must be a record \(its revision is no string\)/,
    ],
    [
      { remove: async () => undefined },
      (s) => s.remove('k', '1'),
      /what remove gives must be true or false, not undef/,
    ],
    [
      { watch: () => null },
      (s) => all(s.watch(signal)),
      /what watch gives must be an async iterable, not null$/,
    ],
    [
      {
        watch: async function* () {
          yield 5;
        },
      },
      (s) => all(s.watch(signal)),
      /what watch gives must be \{ records, unreadable \}, not 5$/,
    ],
    [{ ownNode: async () => undefined }, (s) => s.ownNode(), /what ownNode gives must be a node/, 'giving'],
    [
      { ownNode: async () => ({ name: 'n', publicIp: '192.0.2.1' }) },
      (s) => s.ownNode(),
      /IpAddresses/,
      'giving',
    ],
    [
      { announce: () => none },
      (s) => s.announce(wrong({})),
      /what announce gives must be a record/,
      'giving',
    ],
  ];
  for (const [methods, act, message, kind] of rows)
    await ends(`${message}`, told(message), () => act(storeWith(methods, kind) as Store & GivingStore));
});

test('what a method throws is an Error, and stays itself where it is one', async () => {
  const mine = new Error('mine');
  const rows: [unknown, object][] = [
    [mine, { name: 'Error', message: 'mine' }],
    [
      'text',
      { code: 'ERR_TWILL_STORE', message: 'the shelf: what list throws must be an Error, not "text"' },
    ],
    [
      undefined,
      { code: 'ERR_TWILL_STORE', message: 'the shelf: what list throws must be an Error, not undefined' },
    ],
  ];
  for (const [thrown, expected] of rows) {
    const list = () => {
      throw thrown;
    };
    await assert.rejects(storeWith({ list }).list(), expected);
    await assert.rejects(storeWith({ list: () => Promise.reject(thrown) }).list(), expected);
  }
  const watch = async function* () {
    yield { records: [], unreadable: [] };
    throw 'text';
  };
  await assert.rejects(
    all(storeWith({ watch }).watch(signal)),
    /what watch throws must be an Error, not "text"/,
  );
});

test('a record that is none is named, and hides no other', async () => {
  const records = [
    null,
    { ...record, key: 5 },
    { ...record, value: undefined },
    { ...record, createdOrder: 1 },
    { ...record, expiresAtMs: Number.NaN },
    { ...record, expiresAtMs: Number.POSITIVE_INFINITY },
    { ...record, holder: 5 },
    record,
  ];
  const found = await storeWith({ list: async () => ({ records, unreadable: [] }) }).list();
  assert.deepEqual(found.records, [records[5], record]);
  assert.deepEqual(found.unreadable, [
    { key: 'record 0', reason: 'it is no object' },
    { key: 'record 1', reason: 'its key is no string' },
    { key: record.key, reason: 'its value is no string' },
    { key: record.key, reason: 'its createdOrder is no bigint' },
    { key: record.key, reason: 'its expiresAtMs is no number' },
    { key: record.key, reason: 'its holder is no string' },
  ]);
});

test('troubles that are none of an Error are told as one', async () => {
  const troubles: unknown[] = [];
  const watch = async function* (_: AbortSignal, onTrouble: (trouble: unknown) => void) {
    for (const trouble of ['text', null, new Error('mine')]) onTrouble(trouble);
    yield { records: [], unreadable: [] };
  };
  const store = storeWith({ watch });
  for await (const _ of store.watch(signal, (trouble) => troubles.push(trouble?.message ?? null)));
  assert.deepEqual(troubles, ['the shelf: what watch throws must be an Error, not "text"', null, 'mine']);
});
