/** From what `--store` and flannel's flags name to the store. */
import type { StoreOptions } from '../config/store-options.js';
import { TwillError } from '../errors.js';
import { DirectoryStore } from './directory.js';
import type { Store } from './store.js';

/** Throws ERR_TWILL_STORE. */
export async function openStore(options: StoreOptions): Promise<Store> {
  switch (options.kind) {
    case 'directory':
      return DirectoryStore.open(options.path);
    case 'etcd':
      throw new TwillError('ERR_TWILL_STORE', 'this version has no etcd store yet');
  }
}
