/** What net-conf.json amounts to for an agent. Pure. */
import type { Backend } from '../backend/backend.js';
import { createBackend } from '../backend/create.js';
import { type NetConf, type NetConfReading, parseNetConf } from '../config/net-conf.js';
import { TwillError } from '../errors.js';
import type { LeaseSubnets } from '../lease/lease.js';
import { IpAddress, type IpFamily } from '../net/ip.js';
import { Prefix } from '../net/prefix.js';
import { type AnyStore, givesSubnets } from '../store/store.js';

export interface Cluster {
  readonly netConf: NetConf;
  readonly backend: Backend;
}

/** Where the cluster gives subnets, how they would be cut does not matter. */
export function netConfReading(store: AnyStore): NetConfReading {
  return { subnets: givesSubnets(store) ? 'given' : 'cut' };
}

/** Throws ERR_TWILL_CONFIG, naming where the text is from. */
export function clusterOf(netConfText: string, origin: string, reading: NetConfReading = {}): Cluster {
  try {
    const netConf = parseNetConf(netConfText, reading);
    const backend = createBackend(netConf.backend);
    if (backend.type === 'udp' && !netConf.enableIpv4) {
      throw new TwillError(
        'ERR_TWILL_CONFIG',
        'Backend.Type "udp" carries IPv4 alone: set EnableIPv4 to true, or Backend.Type to "vxlan"',
      );
    }
    return { netConf, backend };
  } catch (error) {
    if (!(error instanceof TwillError)) throw error;
    throw new TwillError(error.code, `${origin}: ${error.message}`, { cause: error });
  }
}

/** Of the addresses that we need outside: one for each family inside, and udp carries IPv4 alone. */
export function underlayFamilies({ netConf, backend }: Cluster): IpFamily[] {
  if (backend.type === 'udp') return [4];
  return [...(netConf.enableIpv4 ? [4 as const] : []), ...(netConf.enableIpv6 ? [6 as const] : [])];
}

export function networks({ v4, v6 }: NetConf): LeaseSubnets {
  return { ...(v4 && { v4: v4.network }), ...(v6 && { v6: v6.network }) };
}

export function networkList({ v4, v6 }: NetConf): Prefix[] {
  return [v4, v6].flatMap((range) => (range ? [range.network] : []));
}

/** Which top-level parts of net-conf differ, by name. */
export function changedParts(before: NetConf, after: NetConf): string[] {
  const plain = (_: string, part: unknown) =>
    part instanceof IpAddress || part instanceof Prefix ? `${part}` : part;
  const text = (value: unknown) => JSON.stringify(value, plain) ?? '';
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])] as (keyof NetConf & string)[];
  return names.filter((name) => text(before[name]) !== text(after[name]));
}
