/** What `Dataplane.open` is told, and the checked form of it. */
import { randomBytes } from 'node:crypto';
import { OFFLOADS, type OffloadName } from '../config/offload.js';
import { wrongValue } from '../errors.js';
import { IpAddress } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';
import type { Prefix } from '../net/prefix.js';
import {
  addressAt,
  booleanAt,
  eachAt,
  integerAt,
  macAt,
  objectAt,
  oneOfAt,
  prefixAt,
  stringAt,
} from './arguments.js';

/** How a dataplane is to be. Everything but the first four has a default. */
export interface DataplaneOptions {
  /** What goes on the wire: VXLAN (RFC 7348) or flannel's bare IP in UDP, which carries IPv4 alone. */
  readonly encap: 'vxlan' | 'udp';
  /** Our slices of the overlay, one per family: packets for them are delivered here. `10.244.1.0/24`. */
  readonly subnets: readonly (Prefix | string)[];
  /**
   * Where inner packets come from and go to: a TUN device, which needs CAP_NET_ADMIN, or this program, which needs no
   * privilege. `name` may hold `%d` for a number that the kernel picks (default `twill%d`); with `persist` the device
   * outlives the process.
   */
  readonly overlay:
    | { readonly kind: 'tun'; readonly name?: string; readonly persist?: boolean }
    | { readonly kind: 'user' };
  /** Where datagrams come from and go to: UDP sockets on these local addresses, one per family, or this program. */
  readonly underlay:
    | { readonly kind: 'udp'; readonly addresses: readonly (IpAddress | string)[] }
    | { readonly kind: 'user' };
  /** With a TUN: routes to these lead to it. Default: none. */
  readonly networks?: readonly (Prefix | string)[];
  /** UDP port of the cluster. Default: 8472 for vxlan, 8285 for udp, as flannel. */
  readonly port?: number;
  /** VXLAN network identifier, 24 bits. Default 1. */
  readonly vni?: number;
  /** Our VTEP's MAC: unicast, not zero. Default: a random local one. */
  readonly mac?: MacAddress | string;
  /** That of frames with IPv6 inside. Default: the same. */
  readonly macV6?: MacAddress | string;
  /** Largest inner packet, bytes, from 68. Default: what an underlay of 1500 leaves. */
  readonly mtuBytes?: number;
  /** Addresses of this node that no peer may send from, beside those of the underlay. */
  readonly ownAddresses?: readonly (IpAddress | string)[];
  /** Accept only what a known peer may send. Default true. */
  readonly sourceCheck?: boolean;
  /** Native threads, at most 64. Default 1; 0: nothing moves but in `step`. */
  readonly workers?: number;
  /** Processors that the workers stay on, by turns. Default: any. */
  readonly workerCpus?: readonly number[];
  /** What the kernel may do for the packet path, between a TUN and sockets. Default: all that it can. */
  readonly offload?: readonly OffloadName[];
  /** Packet buffers, 256 to 32,768. Default: 512 for each worker, at least 1,024. Only buffers that were used take memory. */
  readonly poolSlots?: number;
  /**
   * For finding leaks and late uses: `pool.leaks()` says where buffers were taken that are not back, errors say where a
   * buffer was given away, and a released packet is overwritten with 0xdb. Costs microseconds a packet. Default false.
   */
  readonly trackBuffers?: boolean;
}

export interface CheckedOptions {
  readonly encap: 'vxlan' | 'udp';
  readonly port: number;
  readonly vni: number;
  readonly mac: MacAddress;
  readonly macV6: MacAddress | undefined;
  readonly mtuBytes: number;
  readonly subnets: readonly Prefix[];
  readonly networks: readonly Prefix[];
  readonly ownAddresses: readonly IpAddress[];
  readonly sourceCheck: boolean;
  /** null: a user port. */
  readonly tun: { readonly name: string; readonly persist: boolean } | null;
  /** null: a user port. */
  readonly locals: readonly IpAddress[] | null;
  readonly workers: number;
  readonly workerCpus: readonly number[] | undefined;
  readonly offload: readonly OffloadName[] | undefined;
  readonly poolSlots: number | undefined;
  readonly trackBuffers: boolean;
}

const DEFAULT_PORT = { vxlan: 8472, udp: 8285 } as const;
const DEFAULT_MTU_BYTES = { vxlan: { 4: 1450, 6: 1430 }, udp: { 4: 1472, 6: 1452 } } as const;
export const MOST_SLOTS = 32_768;
/** IFNAMSIZ of Linux without its final zero. */
const LONGEST_DEVICE_NAME = 15;

/** Throws ArgumentError. */
export function checkOptions(given: unknown): CheckedOptions {
  const options = objectAt('Dataplane.open: options', given);
  const at = (name: string) => `Dataplane.open: ${name}`;
  const optional = <T>(name: string, check: (where: string, value: unknown) => T): T | undefined =>
    options[name] === undefined ? undefined : check(at(name), options[name]);
  const encap = oneOfAt(at('encap'), options['encap'], ['vxlan', 'udp'] as const);
  const tun = tunAt(at('overlay'), options['overlay']);
  const locals = localsAt(at('underlay'), options['underlay']);
  const families = (locals ?? [IpAddress.of(4, 0n)]).map(({ family }) => family);
  const standardMtu = Math.min(...families.map((family) => DEFAULT_MTU_BYTES[encap][family]));
  const own = optional('ownAddresses', (where, value) => eachAt(where, value, addressAt)) ?? [];
  return {
    encap,
    port: optional('port', (where, value) => integerAt(where, value, 1, 65_535)) ?? DEFAULT_PORT[encap],
    vni: optional('vni', (where, value) => integerAt(where, value, 0, 0xffffff)) ?? 1,
    mac: optional('mac', vtepMacAt) ?? MacAddress.local(randomBytes(6)),
    macV6: optional('macV6', vtepMacAt),
    mtuBytes: optional('mtuBytes', (where, value) => integerAt(where, value, 68, 65_535)) ?? standardMtu,
    subnets: eachAt(at('subnets'), options['subnets'], prefixAt),
    networks: optional('networks', (where, value) => eachAt(where, value, prefixAt)) ?? [],
    ownAddresses: [...(locals ?? []).filter(({ isUnspecified }) => !isUnspecified), ...own],
    sourceCheck: optional('sourceCheck', booleanAt) ?? true,
    tun,
    locals,
    workers: optional('workers', (where, value) => integerAt(where, value, 0, 64)) ?? 1,
    workerCpus: optional('workerCpus', (where, value) => eachAt(where, value, cpuAt)),
    offload: optional('offload', (where, value) => eachAt(where, value, offloadAt)),
    poolSlots: optional('poolSlots', (where, value) => integerAt(where, value, 256, MOST_SLOTS)),
    trackBuffers: optional('trackBuffers', booleanAt) ?? false,
  };
}

/** A MAC that a VTEP can have. */
export function vtepMacAt(where: string, value: unknown): MacAddress {
  const mac = macAt(where, value);
  if (mac.isZero || mac.isMulticast) throw wrongValue(where, 'unicast and not zero', mac.toString());
  return mac;
}

function tunAt(where: string, value: unknown): CheckedOptions['tun'] {
  const { kind, name = 'twill%d', persist = false } = objectAt(where, value, '{ kind: "tun" or "user" }');
  if (oneOfAt(`${where}.kind`, kind, ['tun', 'user'] as const) === 'user') return null;
  const text = stringAt(`${where}.name`, name);
  if (text === '' || text.length > LONGEST_DEVICE_NAME || /[/\s\0]/.test(text))
    throw wrongValue(`${where}.name`, `a device name of 1 to ${LONGEST_DEVICE_NAME} characters`, text);
  return { name: text, persist: booleanAt(`${where}.persist`, persist) };
}

function localsAt(where: string, value: unknown): readonly IpAddress[] | null {
  const { kind, addresses } = objectAt(where, value, '{ kind: "udp" or "user" }');
  if (oneOfAt(`${where}.kind`, kind, ['udp', 'user'] as const) === 'user') return null;
  const locals = eachAt(`${where}.addresses`, addresses, addressAt);
  if (locals.length === 0) throw wrongValue(`${where}.addresses`, 'at least one address', locals);
  if (new Set(locals.map(({ family }) => family)).size < locals.length)
    throw wrongValue(`${where}.addresses`, 'one address per family', locals.join(', '));
  return locals;
}

function cpuAt(where: string, value: unknown): number {
  return integerAt(where, value, 0, 1023);
}

function offloadAt(where: string, value: unknown): OffloadName {
  return oneOfAt(where, value, OFFLOADS);
}
