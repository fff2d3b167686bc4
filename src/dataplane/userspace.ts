/**
 * The userspace plane: our engine behind a TUN device. `open` does all that needs privilege, early and in one place:
 *
 *   sockets, device (by the engine) -> MTU, queue -> lease's base address as /32 (/128) -> up
 *   -> one aggregate route for each overlay network
 *
 * From then on a join or leave touches our own table alone, never the kernel's.
 */
import type { Backend, Peer } from '../backend/backend.js';
import type { OffloadName } from '../config/offload.js';
import type { LeaseSubnets } from '../lease/lease.js';
import type { IpAddress } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import type { Prefix } from '../net/prefix.js';
import { configureDevice, refuseNestedUnderlay, refuseRivalRoute } from './device.js';
import { Engine, udpUnderlay } from './engine.js';
import type { Plane, PlaneStats, PlaneTrace } from './plane.js';

export interface UserspacePlaneOptions {
  readonly backend: Backend;
  /** Ours. */
  readonly subnets: LeaseSubnets;
  /** Our VTEP MAC, for VXLAN. */
  readonly mac?: MacAddress;
  /** Underlay addresses that we send from; a second one for IPv6 beside IPv4. */
  readonly localAddress: IpAddress;
  readonly localAddressV6?: IpAddress;
  readonly externalMtuBytes: number;
  readonly overlayNetworks: readonly Prefix[];
  /** All addresses of this host: none may be the inner source of what peers send. */
  readonly ownAddresses: readonly IpAddress[];
  /** Native threads, at least 1. */
  readonly workers: number;
  /** Accept only what a known peer may send. */
  readonly sourceCheck: boolean;
  /** What the kernel may do for the packet path. Default: all that it can. */
  readonly offload?: readonly OffloadName[];
  /** Default: the backend's name for it. */
  readonly deviceName?: string;
  /** The device outlives us. */
  readonly persistDevice?: boolean;
}

export class UserspacePlane implements Plane {
  readonly deviceName: string;
  readonly mtuBytes: number;
  readonly #engine: Engine;

  private constructor(engine: Engine, mtuBytes: number) {
    this.#engine = engine;
    this.deviceName = engine.native.deviceName;
    this.mtuBytes = mtuBytes;
  }

  /** Throws ERR_TWILL_SOCKET, _DEVICE, _PRIVILEGE, _NETLINK or _CONFIG; nothing is left behind then. */
  static open(options: UserspacePlaneOptions): UserspacePlane {
    const { backend, overlayNetworks, externalMtuBytes } = options;
    const { encap, port, vni = 0 } = backend;
    const wantedName = options.deviceName ?? backend.deviceName;
    const locals = uniqueByFamily([options.localAddress, options.localAddressV6]);
    refuseNestedUnderlay(locals, overlayNetworks);
    for (const network of overlayNetworks) refuseRivalRoute(network, wantedName);
    const mtuBytes = Math.min(...locals.map(({ family }) => backend.deviceMtu(externalMtuBytes, family)));
    const subnets = [options.subnets.v4, options.subnets.v6].flatMap((subnet) => subnet ?? []);
    const engine = Engine.open({
      ...{ encap, port, vni, ownSubnets: subnets, innerMtuBytes: mtuBytes },
      mac: options.mac ?? MacAddress.fromBytes(new Uint8Array(6)),
      ownAddresses: options.ownAddresses,
      sourceCheck: options.sourceCheck,
      overlay: { kind: 'tun', name: wantedName, persist: options.persistDevice ?? false },
      underlays: locals.map((address) => udpUnderlay(encap, address, port)),
      workers: options.workers,
      ...(options.offload && { offload: options.offload }),
    });
    try {
      const { deviceIndex, deviceName } = engine.native;
      configureDevice(deviceIndex, deviceName, { mtuBytes, subnets, networks: overlayNetworks });
    } catch (error) {
      engine.close();
      throw error;
    }
    return new UserspacePlane(engine, mtuBytes);
  }

  setPeers(wanted: readonly Peer[]): number {
    return this.#engine.setPeers(wanted);
  }

  stats(): PlaneStats {
    return this.#engine.stats();
  }

  trace(destination: IpAddress): PlaneTrace {
    return this.#engine.trace(destination);
  }

  close(): void {
    this.#engine.close();
  }
}

/** With IPv6 alone the agent names the same address twice. */
function uniqueByFamily(addresses: readonly (IpAddress | undefined)[]): IpAddress[] {
  return [4, 6].flatMap((family) => addresses.find((address) => address?.family === family) ?? []);
}
