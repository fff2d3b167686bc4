/**
 * What flannel's CNI plugin does with a network configuration and subnet.env: it becomes the configuration of another
 * plugin (`bridge`, unless told otherwise), which then does the work. The plugin itself is written in Go and not packaged;
 * this is its behaviour by contract, and knows nothing of our agent's code.
 */
import assert from 'node:assert/strict';

export interface PluginConf {
  readonly [key: string]: unknown;
}

/** Throws as the plugin fails: `subnet.env is missing FLANNEL_MTU`. */
export function delegateConf(conf: PluginConf, subnetEnv: string): PluginConf {
  const env = readSubnetEnv(subnetEnv);
  const given = (conf['delegate'] ?? {}) as PluginConf;
  for (const key of ['name', 'ipam'])
    assert.ok(!(key in given), `'delegate' dictionary must not have '${key}' field, it'll be set by flannel`);
  const type = given['type'] ?? 'bridge';
  return {
    ...given,
    name: conf['name'],
    type,
    ipMasq: given['ipMasq'] ?? !env.ipMasq,
    mtu: given['mtu'] ?? env.mtuBytes,
    ...(type === 'bridge' && { isGateway: given['isGateway'] ?? true }),
    ...(conf['cniVersion'] !== undefined && { cniVersion: conf['cniVersion'] }),
    ...(conf['runtimeConfig'] !== undefined && { runtimeConfig: conf['runtimeConfig'] }),
    ipam: ipamConf((conf['ipam'] ?? {}) as PluginConf, env),
  };
}

function ipamConf(given: PluginConf, { subnets, networks }: FlannelEnv): PluginConf {
  const routes = (given['routes'] ?? []) as readonly object[];
  return {
    type: 'host-local',
    ...given,
    ranges: subnets.map((subnet) => [{ subnet }]),
    routes: [...routes, ...networks.map((dst) => ({ dst }))],
  };
}

interface FlannelEnv {
  /** IPv4 before IPv6. */
  readonly networks: readonly string[];
  readonly subnets: readonly string[];
  readonly mtuBytes: number;
  readonly ipMasq: boolean;
}

/** Lines split at the first "="; no quotes, no `export`. */
function readSubnetEnv(text: string): FlannelEnv {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals >= 0) found.set(line.slice(0, equals), line.slice(equals + 1));
  }
  const values = (...names: string[]) => names.flatMap((name) => found.get(name)?.split(',') ?? []);
  const networks = values('FLANNEL_NETWORK', 'FLANNEL_IPV6_NETWORK');
  const subnets = values('FLANNEL_SUBNET', 'FLANNEL_IPV6_SUBNET').map(masked);
  const mtu = found.get('FLANNEL_MTU');
  const ipMasq = found.get('FLANNEL_IPMASQ');
  const missing = [
    ...(networks.length === 0 ? ['FLANNEL_NETWORK', 'FLANNEL_IPV6_NETWORK'] : []),
    ...(subnets.length === 0 ? ['FLANNEL_SUBNET', 'FLANNEL_IPV6_SUBNET'] : []),
    ...(mtu === undefined ? ['FLANNEL_MTU'] : []),
    ...(ipMasq === undefined ? ['FLANNEL_IPMASQ'] : []),
  ];
  assert.deepEqual(missing, [], `subnet.env is missing ${missing.join(', ')}`);
  assert.match(mtu ?? '', /^\d+$/, 'FLANNEL_MTU is no number');
  return { networks, subnets, mtuBytes: Number(mtu), ipMasq: ipMasq === 'true' };
}

/** `10.1.17.1/24` is `10.1.17.0/24`: SUBNET names the first usable address, one above the base. */
function masked(text: string): string {
  const [address = '', length = ''] = text.split('/');
  const base = address.includes(':') ? address.replace(/::1$/, '::') : address.replace(/\.1$/, '.0');
  return `${base}/${length}`;
}
