/** The contract of stores, kept by the directory store and by that of the example. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { LeaseServer } from '../../../examples/custom-store/lease-server.js';
import { SocketStore } from '../../../examples/custom-store/socket-store.js';
import { openDirectoryStore } from '../../../src/agent.js';
import { config, storeContract } from '../../support/store-contract.js';

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
