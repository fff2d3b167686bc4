import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DirectoryStore } from '../../../src/store/directory.js';
import { openStore } from '../../../src/store/open.js';
import type { StoreSnapshot } from '../../../src/store/store.js';
import { until } from '../agent/fakes.js';

const value = '{"PublicIP":"192.0.2.1","PublicIPv6":null}';
const key = '10.5.1.0-24';

async function fresh(
  t: TestContext,
): Promise<{ store: DirectoryStore; path: string; record: (name: string) => string }> {
  const path = await mkdtemp(join(tmpdir(), 'twill-store-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return { store: await DirectoryStore.open(path), path, record: (name) => join(path, 'subnets', name) };
}

const keys = ({ records }: StoreSnapshot) => records.map((record) => record.key);

test('create, replace, remove: each only on what was seen; the file is the value, byte for byte', async (t) => {
  const { store, record } = await fresh(t);
  const made = await store.create(key, value, { ttlMs: 60_000 });
  assert.ok(made?.expiresAtMs && Math.abs(made.expiresAtMs - Date.now() - 60_000) < 5000);
  assert.equal(await readFile(record(key), 'utf8'), value);
  assert.equal(await store.create(key, 'other', {}), null, 'a second claim fails');
  assert.deepEqual((await store.list()).records, [made]);

  assert.equal(await store.replace(key, 'no such revision', 'other', {}), null);
  const changed = await store.replace(key, made.revision, '{"PublicIP":"192.0.2.9"}', { ttlMs: 90_000 });
  assert.ok(changed && changed.revision !== made.revision);
  assert.equal(changed.createdOrder, made.createdOrder, 'the age of the claim stays');
  assert.equal(
    await store.replace(key, made.revision, 'other', {}),
    null,
    'the old revision is worth nothing',
  );

  const renewed = await store.replace(key, changed.revision, changed.value, { ttlMs: 120_000 });
  assert.ok(renewed?.expiresAtMs && changed.expiresAtMs && renewed.expiresAtMs > changed.expiresAtMs);
  assert.equal(renewed.revision, changed.revision, 'a renewal is no change');
  assert.equal(await store.remove(key, made.revision), false);
  assert.equal(await store.remove(key, renewed.revision), true);
  assert.deepEqual((await store.list()).records, []);
});

test('a record written by hand lasts for ever, also over the expiry that an earlier one left', async (t) => {
  const { store, path, record } = await fresh(t);
  await writeFile(join(path, 'expiry', key), '2020-01-01T00:00:00Z\n');
  await utimes(join(path, 'expiry', key), new Date('2020-01-01'), new Date('2020-01-01'));
  await writeFile(record(key), `${value}\n`);
  const [byHand] = (await store.list()).records;
  assert.deepEqual([byHand?.value, byHand?.expiresAtMs], [`${value}\n`, undefined]);
  // A hand may set the end, too.
  await writeFile(join(path, 'expiry', key), '2031-01-01T00:00:00+01:00\n');
  assert.equal((await store.list()).records[0]?.expiresAtMs, Date.parse('2030-12-31T23:00:00Z'));
});

test('what cannot be read is named, alone', async (t) => {
  const { store, path, record } = await fresh(t);
  await store.create(key, value, {});
  await mkdir(record('a-folder'));
  await writeFile(record('binary'), Buffer.from([0xff, 0xfe, 0x00]));
  await writeFile(record('large'), Buffer.alloc(300 * 1024, 'x'));
  await symlink(record(key), record('link'));
  await symlink('/nowhere', record('dangling'));
  await writeFile(record('.hidden'), 'x');
  await writeFile(record('10.5.2.0-24'), value);
  await writeFile(join(path, 'expiry', '10.5.2.0-24'), 'soon');
  const { promise, fifo } = makeFifo(record('fifo'));
  await promise;
  assert.ok(fifo);
  const snapshot = await store.list();
  assert.deepEqual(keys(snapshot), [key]);
  const why = Object.fromEntries(snapshot.unreadable.map((bad) => [bad.key, bad.reason]));
  assert.deepEqual(Object.keys(why).sort(), [
    '10.5.2.0-24',
    'a-folder',
    'binary',
    'dangling',
    'fifo',
    'large',
    'link',
  ]);
  assert.match(why['a-folder'] ?? '', /not a regular file/);
  assert.match(why['binary'] ?? '', /not UTF-8/);
  assert.match(why['large'] ?? '', /larger than/);
  assert.match(why['link'] ?? '', /symbolic link/);
  assert.match(why['fifo'] ?? '', /not a regular file/);
  assert.match(why['10.5.2.0-24'] ?? '', /expiry.*holds "soon"/);
});

function makeFifo(path: string): { promise: Promise<unknown>; fifo: boolean } {
  return { promise: once(spawn('mkfifo', [path]), 'exit'), fifo: true };
}

test('watch: the present first, then each change by whatever hand; a rename is one change', async (t) => {
  const { store, path, record } = await fresh(t);
  const seen: StoreSnapshot[] = [];
  const stop = new AbortController();
  const following = (async () => {
    for await (const snapshot of store.watch(stop.signal)) seen.push(snapshot);
  })();
  await until('the first listing', () => seen.length === 1);
  await writeFile(record(key), value);
  await until('a file by hand', () => keys(seen.at(-1) as StoreSnapshot).includes(key));
  await writeFile(join(path, 'new'), '{"PublicIP":"192.0.2.7"}');
  await rename(join(path, 'new'), record(key));
  await until('a rename over it', () => seen.at(-1)?.records[0]?.value.includes('192.0.2.7') === true);
  const held = seen.at(-1)?.records[0];
  await store.replace(key, held?.revision ?? '', held?.value ?? '', { ttlMs: 1000 });
  await until('a renewal', () => seen.at(-1)?.records[0]?.expiresAtMs !== undefined);
  await rm(record(key));
  await until('a removal', () => seen.at(-1)?.records.length === 0);
  stop.abort();
  await following;
});

test('watch: a folder that vanishes is trouble, never an empty listing; it recovers by itself', async (t) => {
  const { store, path } = await fresh(t);
  await store.create(key, value, {});
  const seen: StoreSnapshot[] = [];
  const troubles: (Error | null)[] = [];
  const stop = new AbortController();
  const following = (async () => {
    for await (const snapshot of store.watch(stop.signal, (error) => troubles.push(error)))
      seen.push(snapshot);
  })();
  await until('the first listing', () => seen.length === 1);
  await rename(join(path, 'subnets'), join(path, 'away'));
  await until('trouble', () => troubles.some((error) => error?.message.includes('cannot list') === true));
  await rename(join(path, 'away'), join(path, 'subnets'));
  await until('well again', () => troubles.at(-1) === null);
  await store.create('10.5.2.0-24', value, {});
  await until('and it watches again', () => seen.at(-1)?.records.length === 2);
  assert.ok(seen.every(({ records }) => records.length > 0));
  stop.abort();
  await following;
});

test('of many processes that race for one key exactly one wins', async (t) => {
  const { path } = await fresh(t);
  const script = fileURLToPath(new URL('../../support/race-for-key.js', import.meta.url));
  const outcomes = await Promise.all(
    Array.from({ length: 6 }, async (_, i) => {
      const child = spawn(process.execPath, [script, path, String(i)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let out = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        out += text;
      });
      await once(child, 'close');
      return (JSON.parse(out) as string[]).map((won) => `${won} by ${i}`);
    }),
  );
  const won = outcomes.flat();
  assert.equal(won.length, 20, 'each of the twenty keys was won once');
  assert.equal((await readdir(join(path, 'subnets'))).length, 20);
  assert.deepEqual(await readdir(join(path, '.tmp')), [], 'nothing is left over');
});

test('wrong places are named', async (t) => {
  const { store, path } = await fresh(t);
  await assert.rejects(store.readConfig(), {
    code: 'ERR_TWILL_STORE',
    message: /there is no .*config: write the network configuration/,
  });
  await mkdir(join(path, 'config'));
  await assert.rejects(store.readConfig(), { code: 'ERR_TWILL_STORE', message: /cannot read .*config/ });
  await writeFile(join(path, 'file'), '');
  await assert.rejects(openStore({ kind: 'directory', path: join(path, 'file') }), {
    code: 'ERR_TWILL_STORE',
    message: /cannot use store directory/,
  });
  for (const bad of ['../config', 'a/b', '..', '.lock', 'x'.repeat(200)])
    await assert.rejects(store.create(bad, value, {}), {
      code: 'ERR_TWILL_STORE',
      message: /is no lease key/,
    });
});
