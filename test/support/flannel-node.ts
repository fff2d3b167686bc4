/**
 * A node that runs flanneld, as far as the kernel, the store and the other nodes can tell: what it writes, which devices
 * and entries it makes, in which order, and what it leaves when it ends. The real one is written in Go and is not here;
 * this is its behaviour by contract, and knows nothing of our agent's code.
 */
import assert from 'node:assert/strict';
import { FlannelLoop } from '../../src/lab/flannel-loop.js';
import type { Namespace } from '../../src/lab/namespace.js';
import { type FlannelLease, leaseKeyOf, leaseValueOf, readLease } from './flannel-lease.js';
import { areGiven, type FlannelRecords } from './flannel-records.js';
import { FlannelVxlan } from './flannel-vxlan.js';
import { until } from './namespaces.js';

export interface FlannelCluster {
  readonly type: 'vxlan' | 'udp';
  /** The overlay networks: `10.77.0.0/16`, `fd00:77::/48`. */
  readonly v4: string | null;
  readonly v6: string | null;
  readonly vni: number;
  readonly port: number;
  /** Of the underlay, or what net-conf says instead. */
  readonly mtuBytes: number;
}

export interface FlannelPlace {
  readonly namespace: Namespace;
  readonly iface: string;
  readonly publicIp: string | null;
  readonly publicIpv6: string | null;
  /** Third group of what it asks for, where it holds no lease yet. */
  readonly number: number;
}

const POLL_MS = 50;

export class FlannelNode {
  readonly namespace: Namespace;
  readonly #place: FlannelPlace;
  readonly #cluster: FlannelCluster;
  readonly #records: FlannelRecords;
  #own: FlannelLease | null = null;
  #running: Promise<void> = Promise.resolve();
  #stopping = new AbortController();
  #loop: FlannelLoop | null = null;
  #looped = '';
  #peers = new Map<string, FlannelLease>();

  constructor(place: FlannelPlace, cluster: FlannelCluster, records: FlannelRecords) {
    this.namespace = place.namespace;
    this.#place = place;
    this.#cluster = cluster;
    this.#records = records;
  }

  get lease(): FlannelLease {
    assert.ok(this.#own, `${this.namespace.label} has no lease`);
    return this.#own;
  }
  /** Base addresses, one a family. */
  get addresses(): string[] {
    return [this.lease.v4, this.lease.v6].flatMap((subnet) => subnet?.split('/')[0] ?? []);
  }

  /** As flanneld's start: device, lease, addresses; then the entries follow the store. */
  async start(): Promise<void> {
    const { type, vni } = this.#cluster;
    this.#stopping = new AbortController();
    this.#peers.clear();
    const vxlans = type === 'vxlan' ? await this.#ensureDevices() : [];
    const mac = (family: 4 | 6) => vxlans.find((device) => device.family === family)?.mac ?? null;
    const attributes = {
      publicIp: this.#place.publicIp ?? '0.0.0.0',
      publicIpv6: this.#cluster.v6 ? this.#place.publicIpv6 : null,
      backendType: type === 'vxlan' ? 'vxlan' : '',
      ...{ mac: mac(4), macV6: mac(6) },
    };
    const records = this.#records;
    const key = areGiven(records) ? await records.given() : ((await this.#heldKey()) ?? this.#newKey());
    const value = leaseValueOf(attributes, vni);
    await records.put(key, value);
    this.#own = readLease(key, value);
    for (const device of vxlans) await device.configure(this.lease);
    if (areGiven(records)) await records.up();
    const { signal } = this.#stopping;
    this.#running = this.#follow(vxlans, signal);
    this.#running.catch(() => {});
  }

  /** As SIGTERM: the kernel's devices and entries stay, and so does the lease. The udp proxy goes with its device. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#loop?.stop();
    this.#loop = null;
    this.#looped = '';
  }

  /** Waits until it has entries for this many peers. */
  async ready(peers: number): Promise<void> {
    await until(`flannel ${this.namespace.label} has ${peers} peers`, async () => {
      if (this.#peers.size >= peers) return true;
      await Promise.race([this.#running, Promise.resolve()]);
      return false;
    });
  }

  async #ensureDevices(): Promise<FlannelVxlan[]> {
    const { namespace, iface, publicIp, publicIpv6 } = this.#place;
    const { v4, v6, vni, port, mtuBytes } = this.#cluster;
    const macs = areGiven(this.#records) ? await this.#records.macs() : { 4: null, 6: null };
    const ensure = (family: 4 | 6, local: string) =>
      FlannelVxlan.ensure(namespace, {
        ...{ iface, vni, port, mtuBytes: mtuBytes - 50 },
        ...{ family, local, mac: macs[family] },
      });
    const devices: FlannelVxlan[] = [];
    if (v4 && publicIp) devices.push(await ensure(4, publicIp));
    if (v6 && publicIpv6) devices.push(await ensure(6, publicIpv6));
    return devices;
  }

  /** The identity of a node is its public address. */
  async #heldKey(): Promise<string | null> {
    const { publicIp, publicIpv6 } = this.#place;
    for (const [key, value] of await this.#records.list()) {
      const lease = readLease(key, value);
      if (!lease) continue;
      if (publicIp ? lease.publicIp === publicIp : lease.publicIpv6 === publicIpv6) return key;
    }
    return null;
  }

  #newKey(): string {
    const { v4, v6 } = this.#cluster;
    const { number } = this.#place;
    return leaseKeyOf(
      v4?.replace(/\.0\.0\/16$/, `.${number}.0/24`) ?? null,
      v6?.replace(/::\/48$/, `:0:${number.toString(16)}::/64`) ?? null,
    );
  }

  async #follow(vxlans: readonly FlannelVxlan[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const peers = new Map<string, FlannelLease>();
      for (const [key, value] of await this.#records.list()) {
        const lease = key === this.#own?.key ? null : readLease(key, value);
        // vxlan ignores what is of another type, with a warning; udp takes all.
        if (lease && (this.#cluster.type === 'udp' || lease.backendType === 'vxlan')) peers.set(key, lease);
      }
      for (const device of vxlans) await device.sync([...peers.values()]);
      if (this.#cluster.type === 'udp') await this.#proxy([...peers.values()]);
      this.#peers = peers;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** flannel tells its running proxy of routes; ours begins anew with them. */
  async #proxy(peers: readonly FlannelLease[]): Promise<void> {
    const routes = peers.map(({ v4, publicIp }) => ({ subnet: v4 ?? '', endpoint: publicIp }));
    const text = JSON.stringify(routes);
    if (text === this.#looped) return;
    await this.#loop?.stop();
    const { port, mtuBytes, v4 } = this.#cluster;
    this.#loop = await FlannelLoop.start(this.namespace, {
      ...{ network: v4 ?? '', subnet: this.lease.v4 ?? '', local: this.#place.publicIp ?? '' },
      ...{ port, mtuBytes: mtuBytes - 28, peers: routes },
    });
    this.#looped = text;
  }
}
