/** Links, addresses and routes of the kernel, as values. Set-up and watching only; everything throws TwillError. */
import { IpAddress, type IpFamily } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import { Prefix } from '../net/prefix.js';
import {
  loadNative,
  type NativeLinkCounters,
  type NativeNetlinkChange,
  type NativeNetlinkEvent,
  type NativeRefusal,
  type NativeRoute,
  type NativeVerb,
} from './binding.js';
import { guard } from './errors.js';

export interface Link {
  readonly index: number;
  readonly name: string;
  /** Free text of whoever made it. */
  readonly alias: string;
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
  readonly learning: boolean;
  readonly l2miss: boolean;
  /** Group policy. */
  readonly gbp: boolean;
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
  readonly alias?: string;
  readonly mac?: MacAddress;
}

/** A vxlan device as flannel makes it: whom it sends to stands in its forwarding entries alone. */
export interface VxlanPlan {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  /** Index of the device below. */
  readonly lower: number;
  readonly vni: number;
  readonly port: number;
  readonly local: IpAddress;
  readonly learning: boolean;
  readonly gbp: boolean;
}
export type LinkCounters = Readonly<NativeLinkCounters>;

export interface Neighbour {
  readonly address: IpAddress;
  readonly mac: MacAddress;
  /** NUD_*: 0x80 permanent. */
  readonly state: number;
}
export interface ForwardingEntry {
  readonly mac: MacAddress;
  readonly endpoint: IpAddress | null;
  /** NUD_*. */
  readonly state: number;
  /** Of the device itself, not of a bridge. */
  readonly self: boolean;
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

/** `add` fails with EEXIST where one with that key is there, `set` replaces it whoever has made it. */
export type NetlinkChange = { readonly verb: NativeVerb; readonly index: number } & (
  | {
      readonly kind: 'route';
      readonly destination: Prefix;
      readonly gateway: IpAddress | null;
      readonly onlink: boolean;
      /** The metric; 0: the kernel's. */
      readonly priority: number;
      readonly protocol: number;
    }
  | { readonly kind: 'neighbour'; readonly address: IpAddress; readonly mac: MacAddress | null }
  | { readonly kind: 'forwarding'; readonly mac: MacAddress; readonly endpoint: IpAddress | null }
  | { readonly kind: 'address'; readonly address: IpAddress; readonly length: number }
);

/** Why the kernel did not do it, in its own words. */
export type NetlinkRefusal = Readonly<NativeRefusal>;

const native = () => loadNative().netlink;

export const netlink = {
  links(): Link[] {
    return guard(() => native().links()).map(({ mac, vxlan, ...link }) => ({
      ...link,
      mac: mac && MacAddress.fromBytes(mac),
      ...(vxlan && {
        vxlan: {
          ...vxlan,
          local: vxlan.local && IpAddress.fromBytes(vxlan.local),
          remote: vxlan.remote && IpAddress.fromBytes(vxlan.remote),
        },
      }),
    }));
  },

  linkSet(index: number, change: LinkChange): void {
    const { mac, ...rest } = change;
    guard(() => native().linkSet(index, { ...rest, ...(mac && { mac: mac.bytes() }) }));
  },

  linkDelete(index: number): void {
    guard(() => native().linkDelete(index));
  },

  /** Throws with errno EOPNOTSUPP where this kernel has no vxlan. */
  vxlanAdd({ mac, local, ...plan }: VxlanPlan): void {
    guard(() => native().vxlanAdd({ ...plan, mac: mac.bytes(), local: local.bytes() }));
  },

  linkCounters(index: number): LinkCounters {
    return guard(() => native().linkCounters(index));
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

  /** Many of them in one go; null where the kernel does not reach an address. */
  routeGets(addresses: readonly IpAddress[]): (Route | null)[] {
    const bytes = addresses.map((address) => address.bytes());
    return guard(() => native().routeGets(bytes)).map((route) => route && toRoute(route));
  },

  /** Of one device. */
  neighbours(family: IpFamily, index: number): Neighbour[] {
    return guard(() => native().neighbours(family, index)).map(({ address, mac, state }) => ({
      ...{ address: IpAddress.fromBytes(address), mac: MacAddress.fromBytes(mac), state },
    }));
  },

  /** Of one vxlan device. */
  forwarding(index: number): ForwardingEntry[] {
    return guard(() => native().forwarding(index)).map(({ mac, endpoint, ...rest }) => ({
      ...{ ...rest, mac: MacAddress.fromBytes(mac), endpoint: endpoint && IpAddress.fromBytes(endpoint) },
    }));
  },

  /** All in one go and in this order; for each null, or why it was refused. One that is refused holds up no other. */
  change(changes: readonly NetlinkChange[]): (NetlinkRefusal | null)[] {
    return guard(() => native().change(changes.map(toNative)));
  },

  /**
   * Calls back on the event loop after changes of links, addresses or routes; of neighbours and forwarding entries where
   * that is asked for. Keeps no process alive.
   */
  watch(
    listener: (events: readonly NetlinkEvent[]) => void,
    options: { readonly neighbours?: boolean } = {},
  ): { stop(): void } {
    return guard(() => native().watch(listener, options));
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

function toNative(change: NetlinkChange): NativeNetlinkChange {
  const { verb, index } = change;
  switch (change.kind) {
    case 'route': {
      const { destination, gateway, onlink, priority, protocol } = change;
      return {
        ...{ kind: 'route', verb, index, onlink, priority, protocol, type: 0, source: null },
        ...{ destination: destination.address.bytes(), prefixLength: destination.length },
        gateway: gateway?.bytes() ?? null,
      };
    }
    case 'neighbour': {
      const { address, mac } = change;
      return { kind: 'neighbour', verb, index, address: address.bytes(), mac: mac?.bytes() ?? null };
    }
    case 'forwarding': {
      const { mac, endpoint } = change;
      return { kind: 'forwarding', verb, index, mac: mac.bytes(), endpoint: endpoint?.bytes() ?? null };
    }
    case 'address':
      return {
        ...{ kind: 'address', verb, index },
        ...{ address: change.address.bytes(), prefixLength: change.length },
      };
  }
}

function toRoute({ destination, prefixLength, gateway, source, family: _, ...rest }: NativeRoute): Route {
  return {
    ...rest,
    destination: destination && Prefix.of(IpAddress.fromBytes(destination), prefixLength),
    gateway: gateway && IpAddress.fromBytes(gateway),
    source: source && IpAddress.fromBytes(source),
  };
}
