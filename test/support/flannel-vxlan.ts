/** One of flannel's vxlan devices, `flannel.<VNI>` or `flannel-v6.<VNI>`, and what it is told of each peer. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Namespace } from '../../src/lab/namespace.js';
import type { FlannelLease } from './flannel-lease.js';

export interface FlannelVxlanPlan {
  readonly family: 4 | 6;
  readonly iface: string;
  readonly local: string;
  readonly vni: number;
  readonly port: number;
  /** flannel asks for 50 bytes less than the underlay in both families; of IPv6 the kernel takes 20 more. */
  readonly mtuBytes: number;
  /** Of a new device; null: a new one. */
  readonly mac: string | null;
}

interface Entry {
  readonly base: string;
  readonly subnet: string;
  readonly mac: string;
  readonly endpoint: string;
}

export class FlannelVxlan {
  readonly family: 4 | 6;
  readonly name: string;
  readonly mac: string;
  readonly #namespace: Namespace;
  readonly #entries = new Map<string, Entry>();

  private constructor(namespace: Namespace, name: string, family: 4 | 6, mac: string) {
    this.#namespace = namespace;
    this.name = name;
    this.family = family;
    this.mac = mac;
  }

  /** A compatible device is kept with its MAC; any other of that name is deleted. */
  static async ensure(namespace: Namespace, plan: FlannelVxlanPlan): Promise<FlannelVxlan> {
    const { family, iface, local, vni, port, mtuBytes } = plan;
    const name = family === 4 ? `flannel.${vni}` : `flannel-v6.${vni}`;
    const links = JSON.parse(await namespace.ip('-j', '-d', 'link')) as KernelLink[];
    const existing = links.find(({ ifname }) => ifname === name);
    const data = existing?.linkinfo?.info_data;
    const isCompatible =
      existing?.linkinfo?.info_kind === 'vxlan' &&
      [data?.id === vni, data?.port === port, (data?.local ?? data?.local6) === local].every(Boolean);
    if (existing && isCompatible) return new FlannelVxlan(namespace, name, family, existing.address);
    if (existing) await namespace.ip('link', 'delete', name);
    const mac = plan.mac ?? newMac();
    await namespace.ip(
      ...['link', 'add', name, 'mtu', `${mtuBytes}`, 'address', mac, 'type', 'vxlan', 'id', `${vni}`],
      ...['local', local, 'dev', iface, 'dstport', `${port}`, 'nolearning'],
    );
    return new FlannelVxlan(namespace, name, family, mac);
  }

  /** The lease's base address alone, then up. */
  async configure({ v4, v6 }: FlannelLease): Promise<void> {
    const ip = (...args: string[]) => this.#namespace.ip(...args);
    await this.#sysctl(`net/ipv6/conf/${this.name}/accept_ra`, '0');
    const subnet = this.family === 4 ? v4 : v6;
    assert.ok(subnet);
    const base = subnet.replace(/\/.*/, '');
    await ip(`-${this.family}`, 'address', 'flush', 'dev', this.name, 'scope', 'global');
    const own = this.family === 4 ? [`${base}/32`] : [`${base}/128`, 'nodad'];
    await ip('address', 'replace', ...own, 'dev', this.name);
    await ip('link', 'set', this.name, 'up');
  }

  /** Brings the entries in line with these leases, each in flannel's order. */
  async sync(leases: readonly FlannelLease[]): Promise<void> {
    const wanted = new Map<string, Entry>();
    for (const lease of leases) {
      const subnet = this.family === 4 ? lease.v4 : lease.v6;
      const mac = this.family === 4 ? lease.mac : lease.macV6;
      const endpoint = this.family === 4 ? lease.publicIp : lease.publicIpv6;
      if (subnet && mac && endpoint)
        wanted.set(lease.key, { base: subnet.replace(/\/.*/, ''), subnet, mac, endpoint });
    }
    for (const [key, entry] of this.#entries) if (!wanted.has(key)) await this.#remove(key, entry);
    for (const [key, entry] of wanted) {
      if (JSON.stringify(this.#entries.get(key)) !== JSON.stringify(entry)) await this.#add(key, entry);
    }
  }

  async #add(key: string, entry: Entry): Promise<void> {
    const { base, subnet, mac, endpoint } = entry;
    const { name } = this;
    const ip = (...args: string[]) => this.#namespace.ip(...args);
    await ip('neighbour', 'replace', base, 'lladdr', mac, 'dev', name, 'nud', 'permanent');
    await this.#bridge('replace', mac, endpoint);
    await ip('route', 'replace', subnet, 'via', base, 'dev', name, 'onlink');
    this.#entries.set(key, entry);
  }

  async #remove(key: string, { base, subnet, mac, endpoint }: Entry): Promise<void> {
    const ip = (...args: string[]) => this.#namespace.ip(...args).catch(() => '');
    await ip('neighbour', 'delete', base, 'dev', this.name);
    await this.#bridge('delete', mac, endpoint).catch(() => {});
    await ip('route', 'delete', subnet, 'dev', this.name);
    this.#entries.delete(key);
  }

  async #bridge(verb: string, mac: string, endpoint: string): Promise<void> {
    await this.#namespace.exec('bridge', ['fdb', verb, mac, 'dev', this.name, 'dst', endpoint]);
  }

  /** The file of the namespace is that of the process inside. */
  async #sysctl(path: string, value: string): Promise<void> {
    await this.#namespace.exec('sh', ['-c', `echo "$1" > "/proc/sys/$0"`, path, value]);
  }
}

interface KernelLink {
  readonly ifname: string;
  readonly address: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: {
      readonly id?: number;
      readonly port?: number;
      readonly local?: string;
      readonly local6?: string;
    };
  };
}

/** As flannel makes it: random, local, unicast. */
function newMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfe) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
