/** From what `--store` and flannel's flags name to the store. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { StoreOptions } from '../config/store-options.js';
import { DirectoryStore } from './directory.js';
import { LastGoodGivingStore, LastGoodStore } from './last-good.js';
import type { AnyStore, Store } from './store.js';

export interface OpenStoreOptions {
  /** Where the last good snapshot of a store elsewhere is kept; `''`: nowhere. */
  readonly stateDirectory: string;
  /** For people: what has happened to that snapshot. */
  readonly say: (message: string) => void;
}

/** Throws ERR_TWILL_STORE. */
export function openStore(
  options: Exclude<StoreOptions, { readonly kind: 'kube' }>,
  more?: OpenStoreOptions,
): Promise<Store>;
export function openStore(options: StoreOptions, more?: OpenStoreOptions): Promise<AnyStore>;
export async function openStore(
  options: StoreOptions,
  { stateDirectory, say }: OpenStoreOptions = { stateDirectory: '', say: () => {} },
): Promise<AnyStore> {
  switch (options.kind) {
    case 'directory':
      return DirectoryStore.open(options.path);
    case 'etcd': {
      // Nobody else shall pay for the gRPC library: 50 ms and 15 MiB.
      const { EtcdStore } = await import('./etcd/etcd-store.js');
      const store = new EtcdStore(options);
      if (stateDirectory === '') return store;
      const path = join(stateDirectory, lastGoodName([options.endpoints, options.prefix]));
      return LastGoodStore.open(store, { path, say });
    }
    case 'kube': {
      const { KubeStore } = await import('./kube/kube-store.js');
      const store = new KubeStore(options, { say });
      if (stateDirectory === '') return store;
      // A pod's name is another one after each start, and its server's address says nothing.
      const { apiUrl = '', kubeconfigFile = '', annotationPrefix, node } = options;
      const name = 'name' in node ? node.name : '';
      const path = join(
        stateDirectory,
        lastGoodName(['kube', apiUrl, kubeconfigFile, annotationPrefix, name]),
      );
      return LastGoodGivingStore.open(store, { path, say });
    }
  }
}

/** Several agents of a machine may follow several clusters. */
function lastGoodName(cluster: readonly unknown[]): string {
  const which = createHash('sha256').update(JSON.stringify(cluster)).digest('hex');
  return `last-good-${which.slice(0, 12)}`;
}
