/** From what `--store` and flannel's flags name to the store. */
import type { StoreOptions } from '../config/store-options.js';
import { DirectoryStore } from './directory.js';
import type { Store } from './store.js';

/** Throws ERR_TWILL_STORE. */
export async function openStore(options: StoreOptions): Promise<Store> {
  switch (options.kind) {
    case 'directory':
      return DirectoryStore.open(options.path);
    case 'etcd': {
      // Nobody else shall pay for the gRPC library: 50 ms and 15 MiB.
      const { EtcdStore } = await import('./etcd/etcd-store.js');
      return new EtcdStore(options);
    }
  }
}
