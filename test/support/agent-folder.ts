/** What an agent of a test starts with: a store in a folder, with a network and one peer's lease, and places of its own. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentOptions, Store } from '../../src/agent.js';

/** A lease of vxlan as flannel writes it. */
export function leaseText(publicIp: string): string {
  const attributes = { PublicIP: publicIp, BackendType: 'vxlan' };
  return JSON.stringify({ ...attributes, BackendData: { VNI: 1, VtepMAC: 'c6:d2:32:6f:8f:44' } });
}

/** The store's path, and options of an agent over it. */
export async function agentFolder(folder: string): Promise<{ path: string; options: AgentOptions }> {
  const path = join(folder, 'store');
  await mkdir(join(path, 'subnets'), { recursive: true });
  await writeFile(join(path, 'config'), '{"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}}');
  await writeFile(join(path, 'subnets', '10.5.77.0-24'), leaseText('192.0.2.2'));
  const at = { controlSocket: join(folder, 'control.sock'), subnetFile: join(folder, 'subnet.env') };
  return { path, options: { ...at, store: `dir:${path}`, iface: ['none0', 'eth0'] } };
}

/** A store of a program's own around another one, with some methods of its own. */
export function storeAround(inner: Store, methods: object): Store {
  return {
    description: inner.description,
    readConfig: (...all) => inner.readConfig(...all),
    list: (...all) => inner.list(...all),
    watch: (...all) => inner.watch(...all),
    create: (...all) => inner.create(...all),
    replace: (...all) => inner.replace(...all),
    remove: (...all) => inner.remove(...all),
    close: () => inner.close(),
    ...methods,
  };
}
