/** Two ends of a tunnel as tests lay them out: who they are, and how each is made, by our engine or by the kernel. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { addKernelPeer, addKernelVxlan } from '../../src/lab/kernel-vxlan.js';
import type { Namespace } from '../../src/lab/namespace.js';
import type { NativeDirection, NativeStats } from '../../src/native/binding.js';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';
import type { EngineNodeOptions } from './engine-node.js';

export interface Site {
  /** One a family at most; the first address of each is the site's own. */
  readonly subnets: readonly string[];
  readonly endpoint: string;
  readonly mac: string;
}

/** The same two sites everywhere, IPv4 and IPv6 inside; outside by IPv4 or IPv6. */
const left = { subnets: ['10.244.1.0/24', 'fd00:10:244:1::/64'], mac: '02:00:00:00:00:01' };
const right = { subnets: ['10.244.2.0/24', 'fd00:10:244:2::/64'], mac: '02:00:00:00:00:02' };
export const sites = {
  4: [
    { ...left, endpoint: '192.0.2.1' },
    { ...right, endpoint: '192.0.2.2' },
  ],
  6: [
    { ...left, endpoint: '2001:db8::1' },
    { ...right, endpoint: '2001:db8::2' },
  ],
} as const;
const networks = ['10.244.0.0/16', 'fd00:10:244::/48'];

/** The site's own address of a family. */
export function addressOf({ subnets }: Site, family: 4 | 6): string {
  const subnet = subnets.map((text) => Prefix.parse(text)).find((prefix) => prefix.family === family);
  assert.ok(subnet);
  return `${subnet.address}`;
}

/** What the headers leave of an underlay MTU of 1500. */
export function innerMtu(encap: 'udp' | 'vxlan', underlay: 4 | 6): number {
  return 1500 - (underlay === 4 ? 20 : 40) - 8 - (encap === 'vxlan' ? 8 + 14 : 0);
}

const script = fileURLToPath(new URL('engine-node.js', import.meta.url));

export class EngineSite {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  static async start(
    namespace: Namespace,
    encap: 'udp' | 'vxlan',
    own: Site,
    peer: Site,
    more: Partial<EngineNodeOptions> = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<EngineSite> {
    const carried = (texts: readonly string[]) =>
      texts.filter((text) => encap === 'vxlan' || !text.includes(':'));
    const { endpoint, mac } = peer;
    const options: EngineNodeOptions = {
      encap,
      port: encap === 'udp' ? 8285 : 8472,
      networks: carried(networks),
      subnets: carried(own.subnets),
      local: own.endpoint,
      mac: own.mac,
      device: encap === 'udp' ? 'flannel%d' : 'flannel.1',
      mtuBytes: innerMtu(encap, own.endpoint.includes(':') ? 6 : 4),
      workers: 1,
      peers: carried(peer.subnets).map((subnet) => ({ subnet, endpoint, mac })),
      ...more,
    };
    const child = namespace.spawn(process.execPath, [script, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    assert.ok(child.stdout);
    const site = new EngineSite(child, createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    await site.#line();
    return site;
  }

  async #line(): Promise<string> {
    const line = await this.#lines.next();
    assert.ok(!line.done, 'the node ended early');
    return line.value;
  }

  async stats(): Promise<NativeStats> {
    this.#child.stdin?.write('\n');
    return JSON.parse(await this.#line()) as NativeStats;
  }
}

/** A site of the kernel's vxlan, as flannel sets it up. */
export async function startKernelSite(namespace: Namespace, own: Site, peer: Site): Promise<void> {
  const [first = '', ...rest] = own.subnets;
  const endpoint = IpAddress.parse(own.endpoint);
  const device = await addKernelVxlan(namespace, {
    subnet: Prefix.parse(first),
    local: endpoint,
    mac: MacAddress.parse(own.mac),
    ...{ lower: 'eth0', vni: 1, port: 8472, mtuBytes: innerMtu('vxlan', endpoint.family) },
  });
  for (const subnet of rest) {
    const address = Prefix.parse(subnet).address;
    await namespace.ip(
      'address',
      'add',
      `${address}`,
      'dev',
      device,
      ...(address.family === 6 ? ['nodad'] : []),
    );
  }
  for (const subnet of peer.subnets) {
    await addKernelPeer(namespace, device, {
      subnet: Prefix.parse(subnet),
      endpoint: IpAddress.parse(peer.endpoint),
      mac: MacAddress.parse(peer.mac),
    });
  }
}

export function assertIdentity({ received, delivered, drops }: NativeDirection): void {
  assert.equal(received, delivered + Object.values(drops).reduce((sum, count) => sum + count, 0));
}
