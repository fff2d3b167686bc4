/** The contract of stores, kept by the directory store and by that of the example. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LeaseServer } from '../../../examples/custom-store/lease-server.js';
import { SocketStore } from '../../../examples/custom-store/socket-store.js';
import { openDirectoryStore } from '../../../src/agent.js';
import { until } from '../../support/namespaces.js';
import { config, Follower, storeContract, value } from '../../support/store-contract.js';

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'twill-contract-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

storeContract('directory', async (t) => {
  const path = await folder(t);
  await writeFile(join(path, 'config'), config);
  return { stores: [await openDirectoryStore(path), await openDirectoryStore(path)] };
});

storeContract('a store of one’s own', async (t) => {
  const path = join(await folder(t), 'leases.sock');
  const server = new LeaseServer(config);
  await server.listen(path);
  t.after(() => server.close());
  return { stores: [new SocketStore(path), new SocketStore(path)] };
});

test('a store of one’s own: a watch outlives its server, and tells when it has none', async (t) => {
  const path = join(await folder(t), 'leases.sock');
  const first = new LeaseServer(config);
  await first.listen(path);
  const store = new SocketStore(path);
  t.after(() => store.close());
  const follower = new Follower(t, store);
  await follower.sees('nothing');
  await first.close();
  await until('the watch tells trouble', async () => follower.troubles.at(-1) instanceof Error);
  await assert.rejects(store.list(), { code: 'ERR_TWILL_STORE_UNAVAILABLE' });
  const second = new LeaseServer(config);
  await second.listen(path);
  t.after(() => second.close());
  assert.ok(await store.create('10.5.1.0-24', value, {}));
  await follower.sees('what the new server has', '10.5.1.0-24');
  assert.equal(follower.troubles.at(-1), null);
});
