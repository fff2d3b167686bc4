/** From what `--store` and flannel's flags name to the store. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { EtcdOptions, StoreOptions } from '../config/store-options.js';
import { DirectoryStore } from './directory.js';
import { LastGoodStore } from './last-good.js';
import type { Store } from './store.js';

export interface OpenStoreOptions {
  /** Where the last good snapshot of a store elsewhere is kept; `''`: nowhere. */
  readonly stateDirectory: string;
  /** For people: what has happened to that snapshot. */
  readonly say: (message: string) => void;
}

/** Throws ERR_TWILL_STORE. */
export async function openStore(
  options: StoreOptions,
  { stateDirectory, say }: OpenStoreOptions = { stateDirectory: '', say: () => {} },
): Promise<Store> {
  switch (options.kind) {
    case 'directory':
      return DirectoryStore.open(options.path);
    case 'etcd': {
      // Nobody else shall pay for the gRPC library: 50 ms and 15 MiB.
      const { EtcdStore } = await import('./etcd/etcd-store.js');
      const store = new EtcdStore(options);
      if (stateDirectory === '') return store;
      return LastGoodStore.open(store, { path: join(stateDirectory, lastGoodName(options)), say });
    }
  }
}

/** Several agents of a machine may follow several clusters. */
function lastGoodName({ endpoints, prefix }: EtcdOptions): string {
  const which = createHash('sha256')
    .update(JSON.stringify([endpoints, prefix]))
    .digest('hex');
  return `last-good-${which.slice(0, 12)}`;
}
