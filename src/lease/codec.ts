/**
 * Lease records as flannel writes them, byte for byte, in etcd and in the directory store alike.
 *
 * Key: `10.5.1.0-24`; dual stack `10.5.1.0-24&fd00:12:13::-56`; IPv6 alone `0.0.0.0-0&fd00:12:13::-56`.
 * Value: `{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{...},"BackendV6Data":{...}}`,
 * in this order without spaces, the last three only where they have a value. Nodes up to flannel v0.14 write no PublicIPv6.
 */
import { TwillError } from '../errors.js';
import { IpAddress, type IpFamily } from '../net/ip.js';
import { field, goJson, type Json, type JsonObject, jsonKind, parseJsonObject } from '../net/json.js';
import { Prefix } from '../net/prefix.js';
import type { Lease, LeaseAttributes, LeaseSubnets } from './lease.js';

const LONGEST_KEY_CHARS = 128;
const LONGEST_BACKEND_TYPE_CHARS = 64;
const NO_V4 = '0.0.0.0-0';

export function leaseKey({ v4, v6 }: LeaseSubnets): string {
  const part = (subnet: Prefix) => `${subnet.address}-${subnet.length}`;
  const first = v4 ? part(v4) : NO_V4;
  return v6 ? `${first}&${part(v6)}` : first;
}

/** Throws ERR_TWILL_LEASE unless the key is exactly as `leaseKey` would write it. */
export function parseLeaseKey(key: string): LeaseSubnets {
  const shown = JSON.stringify(key.slice(0, LONGEST_KEY_CHARS));
  const wrong = (why: string): TwillError =>
    new TwillError('ERR_TWILL_LEASE', `${shown} is no lease key: ${why}; it is written like 10.244.1.0-24`);
  if (key.length > LONGEST_KEY_CHARS) throw wrong(`it has ${key.length} characters`);
  const parts = key.split('&');
  if (parts.length > 2) throw wrong('more than one "&"');
  const [first = '', second] = parts;
  const v4 = first === NO_V4 && second !== undefined ? undefined : keyPart(first, 4);
  const v6 = second === undefined ? undefined : keyPart(second, 6);
  if (typeof v4 === 'string') throw wrong(v4);
  if (typeof v6 === 'string') throw wrong(v6);
  const subnets = { ...(v4 && { v4 }), ...(v6 && { v6 }) };
  const canonical = leaseKey(subnets);
  if (canonical !== key) throw wrong(`it means ${canonical}, and only that spelling counts`);
  return subnets;
}

/** A subnet, or why there is none. A whole address (/32, /128) is no subnet, as in flannel. */
function keyPart(text: string, family: IpFamily): Prefix | string {
  const match = /^([0-9a-f.:]+)-(\d{1,3})$/.exec(text);
  const address = IpAddress.tryParse(match?.[1] ?? '');
  const longest = family === 4 ? 31 : 127;
  if (!match || address?.family !== family) return `no IPv${family} subnet in it`;
  const length = Number(match[2]);
  if (length > longest) return `prefix length ${length} is not in 0 to ${longest}`;
  return length === 0 ? 'prefix length 0' : Prefix.of(address, length);
}

/** The value of a record. */
export function encodeLeaseValue(attributes: LeaseAttributes): string {
  const { publicIp, publicIpv6, backendType, backendData, backendV6Data } = attributes;
  return goJson({
    PublicIP: publicIp.toString(),
    PublicIPv6: publicIpv6?.toString() ?? null,
    ...(backendType !== '' && { BackendType: backendType }),
    ...(backendData !== undefined && { BackendData: backendData }),
    ...(backendV6Data !== undefined && { BackendV6Data: backendV6Data }),
  });
}

/** Throws ERR_TWILL_LEASE naming what is wrong with the record. */
export function decodeLease(record: {
  key: string;
  value: string;
  expiresAtMs?: number;
  holder?: string;
}): Lease {
  const subnets = parseLeaseKey(record.key);
  const attributes = decodeLeaseValue(record.value);
  const { key, expiresAtMs, holder } = record;
  return {
    ...{ key, subnets, attributes },
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    ...(holder !== undefined && { holder }),
  };
}

function decodeLeaseValue(text: string): LeaseAttributes {
  let object: JsonObject;
  try {
    object = parseJsonObject(text);
  } catch (cause) {
    throw new TwillError('ERR_TWILL_LEASE', `its value is ${(cause as Error).message}`, { cause });
  }
  const backendType = field(object, 'BackendType') ?? '';
  if (typeof backendType !== 'string' || backendType.length > LONGEST_BACKEND_TYPE_CHARS) {
    const what =
      typeof backendType === 'string' ? `${backendType.length} characters long` : jsonKind(backendType);
    throw new TwillError('ERR_TWILL_LEASE', `its BackendType is ${what}: it must be a short string`);
  }
  const backendData = field(object, 'BackendData');
  const backendV6Data = field(object, 'BackendV6Data');
  const publicIp = field(object, 'PublicIP');
  const publicIpv6 = field(object, 'PublicIPv6') ?? null;
  return {
    // As in flannel: absent is 0.0.0.0, null is an error.
    publicIp: publicIp === undefined ? IpAddress.of(4, 0n) : addressField('PublicIP', publicIp, 4),
    publicIpv6: publicIpv6 === null ? null : addressField('PublicIPv6', publicIpv6, 6),
    backendType,
    ...(backendData !== undefined && backendData !== null && { backendData }),
    ...(backendV6Data !== undefined && backendV6Data !== null && { backendV6Data }),
  };
}

function addressField(name: string, value: Json, family: IpFamily): IpAddress {
  const address = typeof value === 'string' ? IpAddress.tryParse(value) : null;
  if (address?.family === family) return address;
  const shown = goJson(value).slice(0, 80);
  throw new TwillError('ERR_TWILL_LEASE', `its ${name} is ${shown}: it must be an IPv${family} address`);
}
