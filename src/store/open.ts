/** From `--store` to the store that it names. */
import { TwillError } from '../errors.js';
import { DirectoryStore } from './directory.js';
import type { Store } from './store.js';

/** `dir:PATH`. Throws ERR_TWILL_USAGE or ERR_TWILL_STORE. */
export function openStore(spec: string): Promise<Store> {
  if (spec.startsWith('dir:') && spec.length > 4) return DirectoryStore.open(spec.slice(4));
  throw new TwillError('ERR_TWILL_USAGE', `store ${JSON.stringify(spec)} is unknown: write dir:PATH`);
}
