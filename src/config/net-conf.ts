/**
 * net-conf.json, the cluster's one configuration, with flannel's keys, defaults and checks:
 *
 *   { "Network": "10.244.0.0/16", "SubnetLen": 24, "SubnetMin": "10.244.1.0", "SubnetMax": "10.244.255.0",
 *     "EnableIPv4": true, "EnableIPv6": false, "IPv6Network": ..., "IPv6SubnetLen": ..., "IPv6SubnetMin": ...,
 *     "IPv6SubnetMax": ..., "EnableNFTables": false, "Backend": { "Type": "udp", ... } }
 *
 * Keys match in any case, unknown ones are ignored, `null` leaves the default. The backend reads its own section.
 */
import { TwillError } from '../errors.js';
import { addressBits, IpAddress, type IpFamily } from '../net/ip.js';
import { field, goJson, type Json, type JsonObject, parseJsonObject } from '../net/json.js';
import { Prefix } from '../net/prefix.js';

/** From what and how subnets of one family are given out. Where the cluster gives them, only the network counts. */
export interface OverlayRange {
  readonly network: Prefix;
  readonly subnetLength: number;
  /** Base of the first and of the last subnet that may be given out. */
  readonly subnetMin: IpAddress;
  readonly subnetMax: IpAddress;
}

/** The `Backend` section: its type in lower case, and all of it for the backend to read. */
export interface BackendConfig {
  readonly type: string;
  readonly raw: JsonObject;
}

export interface NetConf {
  readonly enableIpv4: boolean;
  readonly enableIpv6: boolean;
  readonly enableNftables: boolean;
  /** Present exactly where the family is enabled. */
  readonly v4?: OverlayRange;
  readonly v6?: OverlayRange;
  readonly backend: BackendConfig;
}

/** What differs between the families. */
const families = {
  4: {
    prefix: '',
    longestSubnet: 30,
    longestDefault: 28,
    usual: 24,
    usualUpTo: 22,
    example: '10.244.0.0/16',
  },
  6: {
    prefix: 'IPv6',
    longestSubnet: 126,
    longestDefault: 124,
    usual: 64,
    usualUpTo: 62,
    example: 'fd00:10:244::/56',
  },
} as const;

export interface NetConfReading {
  /** `given`: by the cluster, as in Kubernetes. How they would be cut does not matter then, and is not looked at. */
  readonly subnets?: 'cut' | 'given';
}

/** Throws ERR_TWILL_CONFIG naming key, value and fix. */
export function parseNetConf(text: string, { subnets = 'cut' }: NetConfReading = {}): NetConf {
  let object: JsonObject;
  try {
    object = parseJsonObject(text);
  } catch (cause) {
    throw new TwillError(
      'ERR_TWILL_CONFIG',
      `the network configuration is ${(cause as Error).message}; it looks like {"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}`,
      { cause },
    );
  }
  const enableIpv4 = booleanField(object, 'EnableIPv4', true);
  const enableIpv6 = booleanField(object, 'EnableIPv6', false);
  if (!enableIpv4 && !enableIpv6) {
    throw new TwillError('ERR_TWILL_CONFIG', 'EnableIPv4 and EnableIPv6 are both false: enable one of them');
  }
  return {
    enableIpv4,
    enableIpv6,
    enableNftables: booleanField(object, 'EnableNFTables', false),
    ...(enableIpv4 && { v4: range(object, 4, subnets) }),
    ...(enableIpv6 && { v6: range(object, 6, subnets) }),
    backend: backendConfig(object),
  };
}

/** An unsigned integer option of net-conf or of a backend section; undefined where absent. Throws ERR_TWILL_CONFIG. */
export function integerField(
  object: JsonObject,
  key: string,
  lowest: number,
  highest: number,
): number | undefined {
  const value = present(object, key);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= lowest && value <= highest)
    return value;
  throw wrong(key, value, `write an integer from ${lowest} to ${highest}, without quotes`);
}

/** Throws ERR_TWILL_CONFIG. */
export function booleanField(object: JsonObject, key: string, byDefault: boolean): boolean {
  const value = present(object, key) ?? byDefault;
  if (typeof value === 'boolean') return value;
  throw wrong(key, value, 'write true or false, without quotes');
}

function range(object: JsonObject, family: IpFamily, subnets: 'cut' | 'given'): OverlayRange {
  const { prefix, longestSubnet, longestDefault, usual, usualUpTo, example } = families[family];
  const key = {
    network: `${prefix}Network`,
    len: `${prefix}SubnetLen`,
    min: `${prefix}SubnetMin`,
    max: `${prefix}SubnetMax`,
  };
  const text = present(object, key.network);
  const network = typeof text === 'string' ? Prefix.tryParse(text) : null;
  const isEmpty = text === undefined || text === '' || network?.length === 0;
  if (isEmpty) {
    const shown = text === undefined ? 'is missing' : `is ${goJson(text)}`;
    throw new TwillError(
      'ERR_TWILL_CONFIG',
      `${key.network} ${shown}: write the overlay network, for example "${example}"`,
    );
  }
  if (network?.family !== family)
    throw wrong(key.network, text, `write an IPv${family} network, for example "${example}"`);

  if (subnets === 'given')
    return { network, subnetLength: network.length, subnetMin: network.first, subnetMax: network.first };
  const shortest = network.length + 2; // at least four subnets
  // 0 is absent, as in flannel; its bound is checked here so that the message can tell the real range.
  const length = integerField(object, key.len, 0, 128) || undefined;
  if (length !== undefined && (length < shortest || length > longestSubnet)) {
    throw wrong(
      key.len,
      length,
      `write ${shortest} to ${longestSubnet} (${network} must hold at least four subnets)`,
    );
  }
  if (length === undefined && network.length > longestDefault) {
    throw wrong(
      key.network,
      text,
      `it is too small to be cut into subnets: write at most /${longestDefault}, or set ${key.len}`,
    );
  }
  const subnetLength = length ?? (network.length <= usualUpTo ? usual : shortest);
  const size = 1n << BigInt(addressBits(family) - subnetLength);
  const bound = (name: string, byDefault: bigint): IpAddress => {
    const value = present(object, name);
    const address = typeof value === 'string' ? IpAddress.tryParse(value) : null;
    if (value === undefined || value === '' || (address?.family === family && address.isUnspecified)) {
      return IpAddress.of(family, byDefault);
    }
    if (address?.family !== family)
      throw wrong(name, value, `write an IPv${family} address inside ${network}`);
    if (!network.contains(address)) throw wrong(name, value, `it lies outside ${key.network} ${network}`);
    const base = Prefix.of(address, subnetLength).address;
    if (!base.equals(address))
      throw wrong(name, value, `it is not the base of a /${subnetLength}: write "${base}"`);
    return address;
  };
  // The first subnet is left out unless asked for, as flannel does.
  const subnetMin = bound(key.min, network.first.value + size);
  const subnetMax = bound(key.max, network.last.value + 1n - size);
  if (subnetMin.compare(subnetMax) > 0) {
    throw wrong(
      key.min,
      subnetMin.toString(),
      `it lies behind ${key.max} ${subnetMax}: no subnet is left to give out`,
    );
  }
  return { network, subnetLength, subnetMin, subnetMax };
}

function backendConfig(object: JsonObject): BackendConfig {
  const isAbsent = !Object.keys(object).some((key) => key.toLowerCase() === 'backend');
  if (isAbsent) return { type: 'udp', raw: {} };
  const raw = field(object, 'Backend') ?? null;
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) {
    throw wrong('Backend', raw, 'write an object such as {"Type":"vxlan"}, or leave it out for udp');
  }
  const type = field(raw, 'Type') ?? '';
  if (typeof type !== 'string' || type === '') throw wrong('Backend.Type', type, 'write "vxlan" or "udp"');
  return { type: type.toLowerCase(), raw };
}

/** A field that is there and not null. */
function present(object: JsonObject, key: string): Json | undefined {
  return field(object, key) ?? undefined;
}

function wrong(key: string, value: Json | undefined, fix: string): TwillError {
  const shown = value === undefined ? 'missing' : goJson(value).slice(0, 80);
  return new TwillError('ERR_TWILL_CONFIG', `network configuration: ${key} is ${shown}: ${fix}`);
}
