/** From the `Backend` section of net-conf to the backend that it names. */
import type { BackendConfig } from '../config/net-conf.js';
import { TwillError } from '../errors.js';
import { allocBackend } from './alloc.js';
import type { Backend } from './backend.js';
import { hostGwBackend } from './host-gw.js';
import { udpBackend } from './udp.js';
import { vxlanBackend } from './vxlan.js';

const backends: { readonly [type: string]: (config: BackendConfig) => Backend } = {
  udp: udpBackend,
  vxlan: vxlanBackend,
  'host-gw': hostGwBackend,
  alloc: allocBackend,
};

/** Throws ERR_TWILL_CONFIG where the type is unknown or an option is wrong. */
export function createBackend(config: BackendConfig): Backend {
  const create = Object.hasOwn(backends, config.type) ? backends[config.type] : undefined;
  if (create) return create(config);
  const known = Object.keys(backends).join(', ');
  throw new TwillError(
    'ERR_TWILL_CONFIG',
    `network configuration: Backend.Type is ${JSON.stringify(config.type.slice(0, 80))}: this version has ${known}`,
  );
}
