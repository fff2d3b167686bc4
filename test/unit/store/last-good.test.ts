/** The last good snapshot of a store: what it stands in for, when, and what a damaged one is worth. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TwillError } from '../../../src/errors.js';
import { IpAddress } from '../../../src/net/ip.js';
import { LastGoodGivingStore, LastGoodStore } from '../../../src/store/last-good.js';
import { readLastGood, writeLastGood } from '../../../src/store/last-good-file.js';
import type { GivingStore, StoreSnapshot } from '../../../src/store/store.js';
import { FakeClock, MemoryStore } from '../agent/fakes.js';

const value = '{"PublicIP":"192.0.2.1"}';
const down = new TwillError('ERR_TWILL_STORE_UNAVAILABLE', 'cannot reach it');
const saved: StoreSnapshot = {
  records: [
    { key: '10.5.1.0-24', value, revision: '7', createdOrder: 2n ** 62n, expiresAtMs: 1_800_000_000_000 },
    { key: '10.5.2.0-24', value, revision: '8', createdOrder: 3n, expiresAtMs: Number.POSITIVE_INFINITY },
    { key: '10.5.3.0-24', value, revision: '9', createdOrder: 4n },
  ],
  unreadable: [{ key: 'x', reason: 'not UTF-8 text' }],
};

async function place(t: TestContext): Promise<{ path: string; directory: string; said: string[] }> {
  const directory = await mkdtemp(join(tmpdir(), 'twill-last-good-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return { directory, path: join(directory, 'deep', 'last-good'), said: [] };
}

test('what was written is read, to the last bit, with its age', async (t) => {
  const { path } = await place(t);
  assert.equal(await readLastGood(path), null);
  await writeLastGood(path, { config: '{}', snapshot: saved });
  const then = new Date(1_700_000_000_000);
  await utimes(path, then, then);
  assert.deepEqual(await readLastGood(path), {
    config: '{}',
    snapshot: { ...saved, asOfMs: 1_700_000_000_000 },
  });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test('a file that is damaged, another one or no file is of no use, and that is said', async (t) => {
  const { path, directory, said } = await place(t);
  await writeLastGood(path, { config: '{}', snapshot: saved });
  const good = await readFile(path, 'utf8');
  const inner = new MemoryStore(new FakeClock());
  inner.fault = down;
  for (const bad of [
    '',
    '\n',
    'x',
    good.slice(0, -2),
    good.replace('192.0.2.1', '192.0.2.2'),
    good.replace('-1 ', '-2 '),
  ]) {
    await writeFile(path, bad);
    const store = await LastGoodStore.open(inner, { path, say: (line) => said.push(line) });
    await assert.rejects(store.list(), down);
    await store.close();
  }
  assert.equal(said.length, 6);
  assert.ok(said.every((line) => line.startsWith(`the last good snapshot ${path} is of no use: `)));
  await rm(path);
  await symlink(join(directory, 'elsewhere'), path);
  await writeLastGood(join(directory, 'elsewhere'), { config: '{}', snapshot: saved });
  await assert.rejects(readLastGood(path), { code: 'ELOOP' });
});

test('it stands in until the store has answered, never after', async (t) => {
  const { path, said } = await place(t);
  await writeLastGood(path, { config: '{"old":1}', snapshot: saved });
  const inner = new MemoryStore(new FakeClock());
  inner.fault = down;
  const store = await LastGoodStore.open(inner, { path, say: (line) => said.push(line) });
  assert.equal(await store.readConfig(), '{"old":1}');
  assert.equal((await store.list()).records.length, 3);
  assert.ok(((await store.list()).asOfMs ?? 0) > 0);
  assert.equal(said.length, 1, said.join('\n'));
  assert.match(said[0] ?? '', /^cannot reach it; going on with what was known at \d{4}-.*Z \(/);
  inner.fault = null;
  assert.deepEqual(await store.list(), { records: [], unreadable: [] });
  inner.fault = down;
  await assert.rejects(store.list(), down);
  await assert.rejects(store.readConfig(), down);
  await store.close();
});

test('it does not stand in for a store that refuses us, or has no configuration', async (t) => {
  const { path, said } = await place(t);
  await writeLastGood(path, { config: '{}', snapshot: saved });
  const inner = new MemoryStore(new FakeClock());
  const store = await LastGoodStore.open(inner, { path, say: (line) => said.push(line) });
  for (const code of ['ERR_TWILL_STORE', 'ERR_TWILL_STORE_EMPTY'] as const) {
    inner.fault = new TwillError(code, 'no');
    await assert.rejects(store.readConfig(), { code });
  }
  assert.deepEqual(said, []);
});

test('a watch begins with it while the store is silent, and goes on with the store', async (t) => {
  const { path } = await place(t);
  await writeLastGood(path, { config: '{}', snapshot: saved });
  const inner = new MemoryStore(new FakeClock());
  let answer: () => void = () => {};
  inner.nextListWaits = new Promise((resolve) => {
    answer = resolve;
  });
  const store = await LastGoodStore.open(inner, { path, say: assert.fail });
  const stop = new AbortController();
  const seen: StoreSnapshot[] = [];
  for await (const snapshot of store.watch(stop.signal)) {
    seen.push(snapshot);
    if (seen.length === 1) answer();
    else stop.abort();
  }
  assert.deepEqual(
    seen.map(({ records, asOfMs }) => [records.length, asOfMs !== undefined]),
    [
      [3, true],
      [0, false],
    ],
  );
  await store.close();
});

test('what the store says is written at the end at the latest; where it cannot be, that is said once', async (t) => {
  const { path, directory, said } = await place(t);
  const inner = new MemoryStore(new FakeClock());
  inner.put('10.5.1.0-24', value);
  const store = await LastGoodStore.open(inner, { path, say: (line) => said.push(line) });
  await store.readConfig();
  await store.list();
  await store.close();
  const written = await readLastGood(path);
  assert.equal(written?.config, '{"Network":"10.5.0.0/16"}');
  assert.deepEqual(written?.snapshot.records, [...inner.records.values()]);
  assert.equal(said.length, 0);
  assert.deepEqual(await readdir(join(directory, 'deep')), ['last-good']);

  await rm(join(directory, 'deep'), { recursive: true });
  await writeFile(join(directory, 'deep'), 'in the way');
  const other = await LastGoodStore.open(inner, { path, say: (line) => said.push(line) });
  await other.readConfig();
  await other.list();
  await other.close();
  assert.ok(
    said.some((line) => line.startsWith('cannot keep the last good snapshot: ')),
    said.join('\n'),
  );
});

test('of a cluster that gives subnets our own record is kept as soon as it is announced', async (t) => {
  const { path } = await place(t);
  const own = { key: '10.5.9.0-24', value, revision: 'r', createdOrder: 1n, holder: 'n' };
  const inner: GivingStore = {
    description: 'a cluster',
    readConfig: async () => '{}',
    // As it was before we had said anything.
    list: async () => ({ records: [], unreadable: [] }),
    async *watch() {},
    ownNode: async () => ({ name: 'n', publicIp: IpAddress.parse('192.0.2.7') }),
    announce: async () => own,
    announceUp: async () => {},
    close: async () => {},
  };
  const store = await LastGoodGivingStore.open(inner, { path, say: assert.fail });
  await store.readConfig();
  await store.ownNode();
  await store.list();
  await store.announce({ publicIp: IpAddress.parse('192.0.2.7'), publicIpv6: null, backendType: 'vxlan' });
  await store.close();
  const kept = await readLastGood(path);
  assert.deepEqual(kept?.snapshot.records, [own]);
  assert.equal(kept?.ownNode?.name, 'n');
  // And it stands in while the cluster is away, though the configuration can be read.
  const away: GivingStore = {
    ...inner,
    list: () => Promise.reject(down),
    ownNode: () => Promise.reject(down),
  };
  const said: string[] = [];
  const next = await LastGoodGivingStore.open(away, { path, say: (line) => said.push(line) });
  assert.equal(await next.readConfig(), '{}');
  assert.equal(`${(await next.ownNode()).publicIp}`, '192.0.2.7');
  assert.deepEqual((await next.list()).records, [own]);
  await next.close();
});
