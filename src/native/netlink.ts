/** Links, addresses and routes of the kernel, as values. Set-up and watching only; everything throws TwillError. */
import { IpAddress, type IpFamily } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import { Prefix } from '../net/prefix.js';
import { loadNative, type NativeNetlinkEvent, type NativeRoute } from './binding.js';
import { guard } from './errors.js';

export interface Link {
  readonly index: number;
  readonly name: string;
  /** `veth`, `vxlan`, `tun`, ...; `''` for hardware. */
  readonly kind: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly mac: MacAddress | null;
  /** Index of the device below; 0: none. */
  readonly lower: number;
  /** Index of the bridge, bond or VRF that it belongs to; 0: none. */
  readonly master: number;
  /** Of a TUN: a process has it open. */
  readonly carrier: boolean;
  readonly vxlan?: VxlanAttributes;
}

export interface VxlanAttributes {
  readonly vni: number;
  readonly port: number;
  readonly local: IpAddress | null;
  /** Where frames without an entry go: a host or a group. */
  readonly remote: IpAddress | null;
  /** Tunnels are chosen packet by packet: there is no VNI. */
  readonly external: boolean;
}

export interface LinkChange {
  readonly mtu?: number;
  readonly up?: boolean;
  /** Packets that wait in the device's queue. */
  readonly txQueueLength?: number;
  /** Longest super-packet that the stack gives to the device. */
  readonly gsoMaxBytes?: number;
  readonly name?: string;
}

export interface HostAddress {
  readonly index: number;
  readonly address: IpAddress;
  readonly length: number;
  /** RT_SCOPE_*: 0 global, 253 link, 254 host. */
  readonly scope: number;
  /** IFA_F_*. */
  readonly flags: number;
}

export interface Route {
  /** null: the default route. */
  readonly destination: Prefix | null;
  readonly gateway: IpAddress | null;
  /** Preferred source. */
  readonly source: IpAddress | null;
  readonly index: number;
  readonly table: number;
  /** The metric: the lowest is taken. */
  readonly priority: number;
  /** RTN_*: 1 unicast, 2 local, 6 blackhole, 7 unreachable. */
  readonly type: number;
  /** RTPROT_*. */
  readonly protocol: number;
  readonly scope: number;
}

export interface WantedRoute {
  readonly destination: Prefix;
  readonly index: number;
  readonly gateway?: IpAddress;
  readonly source?: IpAddress;
  /** The gateway need not lie in a connected prefix. */
  readonly onlink?: boolean;
}

export type NetlinkEvent = NativeNetlinkEvent;

const native = () => loadNative().netlink;

export const netlink = {
  links(): Link[] {
    return guard(() => native().links()).map(({ mac, vxlan, ...link }) => ({
      ...link,
      mac: mac && MacAddress.fromBytes(mac),
      ...(vxlan && {
        vxlan: {
          ...{ vni: vxlan.vni, port: vxlan.port, external: vxlan.external },
          local: vxlan.local && IpAddress.fromBytes(vxlan.local),
          remote: vxlan.remote && IpAddress.fromBytes(vxlan.remote),
        },
      }),
    }));
  },

  linkSet(index: number, change: LinkChange): void {
    guard(() => native().linkSet(index, change));
  },

  linkDelete(index: number): void {
    guard(() => native().linkDelete(index));
  },

  addresses(): HostAddress[] {
    return guard(() => native().addresses()).map(({ index, address, prefixLength, scope, flags }) => ({
      ...{ index, scope, flags, length: prefixLength },
      address: IpAddress.fromBytes(address),
    }));
  },

  /** An address that is there already is no error. */
  addressAdd(
    index: number,
    { address, length }: { readonly address: IpAddress; readonly length: number },
  ): void {
    guard(() => native().addressAdd(index, address.bytes(), length));
  },

  addressDelete(
    index: number,
    { address, length }: { readonly address: IpAddress; readonly length: number },
  ): void {
    guard(() => native().addressDelete(index, address.bytes(), length));
  },

  /** Of all tables. */
  routes(family: IpFamily): Route[] {
    return guard(() => native().routes(family)).map(toRoute);
  },

  /** Adds, or replaces the one to the same destination. */
  routeReplace({ destination, index, gateway, source, onlink = false }: WantedRoute): void {
    guard(() =>
      native().routeReplace({
        ...{ index, onlink, destination: destination.address.bytes(), prefixLength: destination.length },
        gateway: gateway?.bytes() ?? null,
        source: source?.bytes() ?? null,
      }),
    );
  },

  routeDelete({ destination, index }: { readonly destination: Prefix; readonly index: number }): void {
    const { address, length } = destination;
    guard(() => native().routeDelete({ destination: address.bytes(), prefixLength: length, index }));
  },

  /** Packets to it go nowhere, unless a route to the same destination has a lower metric. */
  blackholeAdd(destination: Prefix, priority: number): void {
    guard(() => native().routeReplace({ ...blackhole(destination, priority), ...noHop }));
  },

  blackholeDelete(destination: Prefix, priority: number): void {
    guard(() => native().routeDelete(blackhole(destination, priority)));
  },

  /** How the kernel reaches an address now. Throws where it does not. */
  routeGet(address: IpAddress): Route {
    return toRoute(guard(() => native().routeGet(address.bytes())));
  },

  /** Calls back on the event loop after changes of links, addresses or routes. Keeps no process alive. */
  watch(listener: (events: readonly NetlinkEvent[]) => void): { stop(): void } {
    return guard(() => native().watch(listener));
  },

  /**
   * Calls back after changes of nftables that concern one of these: a table of such a name, or a chain of such a name in
   * whatever table, and its rules; also where news was lost. iptables-nft is nftables too. Keeps no process alive.
   */
  watchNftables(
    names: { readonly tables: readonly string[]; readonly chains: readonly string[] },
    listener: () => void,
  ): { stop(): void } {
    return guard(() => native().watchNftables(names.tables, names.chains, listener));
  },
};

export type Netlink = typeof netlink;

const noHop = { gateway: null, source: null, onlink: false };

function blackhole({ address, length }: Prefix, priority: number) {
  return { ...{ destination: address.bytes(), prefixLength: length, index: 0, priority }, blackhole: true };
}

function toRoute({ destination, prefixLength, gateway, source, family: _, ...rest }: NativeRoute): Route {
  return {
    ...rest,
    destination: destination && Prefix.of(IpAddress.fromBytes(destination), prefixLength),
    gateway: gateway && IpAddress.fromBytes(gateway),
    source: source && IpAddress.fromBytes(source),
  };
}
