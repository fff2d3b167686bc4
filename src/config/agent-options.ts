/** What `twill run` takes as flags, as a plain object for programs. The rules are those of the flags: one place has them. */
import { TwillError, wrongType } from '../errors.js';
import type { IpAddress } from '../net/ip.js';
import type { OffloadName } from './offload.js';
import { type LogLevel, type RunOptions, runOptions } from './run-options.js';

/** A field's default is that of the flag; numbers and addresses may be text, as on the command line. */
export interface RunFields {
  /** Underlay interfaces by name or address: the first that exists is taken. */
  readonly iface?: string | readonly string[];
  /** Patterns of its address or name, tried after `iface`. */
  readonly ifaceRegex?: string | readonly string[];
  /** The interface that leads to this address. */
  readonly ifaceCanReach?: string | IpAddress;
  /** What peers send to, where it is not the interface's address. */
  readonly publicIp?: string | IpAddress;
  /** The same for IPv6. */
  readonly publicIpv6?: string | IpAddress;
  /** Tells a CNI plugin our subnet and MTU. Default `/run/flannel/subnet.env`. */
  readonly subnetFile?: string;
  /** Minutes before its end at which the lease is renewed, 1 to 1439. Default 60. */
  readonly subnetLeaseRenewMarginMinutes?: number | string;
  /** Seconds, from 5 on. Default a day. */
  readonly leaseTtlSeconds?: number | string;
  /** Masquerade what leaves the overlay, and say so in `subnetFile`. Default false. */
  readonly ipMasq?: boolean;
  /** Without choosing ports at random. Default false. */
  readonly ipMasqFullyRandomDisable?: boolean;
  /** Accept what is forwarded from and to the overlay. Default: where `ipMasq` is true. */
  readonly iptablesForwardRules?: boolean;
  /** Seconds between two looks at the host's rules. Default 5. */
  readonly iptablesResyncSeconds?: number | string;
  /** Drop what is for our subnet and for no pod in it. Default false. */
  readonly ipBlackholeRoute?: boolean;
  /** Native threads, 1 to 64. Default 1. */
  readonly workers?: number | string;
  /** Processors that they stay on, by turns. Default: any. */
  readonly workerCpus?: readonly number[] | string;
  /** Accept only what a known peer may send. Default true. */
  readonly sourceCheck?: boolean;
  /** What the kernel may do for the packet path. Default `auto`: all that it can. */
  readonly offload?: readonly OffloadName[] | 'auto' | 'off' | (string & {});
  /** The device's name. Default flannel's: `flannel.<VNI>`, `flannel0`. */
  readonly tunName?: string;
  /** Where `twill status` and the like ask. Two agents need two. Default `/run/twill/control.sock`. */
  readonly controlSocket?: string;
  /** Where `/healthz` and `/readyz` are answered. Default: nowhere. */
  readonly healthzPort?: number | string;
  /** Default `0.0.0.0`. */
  readonly healthzIp?: string | IpAddress;
  /** For the last good snapshot of etcd or Kubernetes, `''`: none. Default `/var/lib/twill`. */
  readonly stateDirectory?: string;
  /** The least grave lines that are logged. Without it none are, unless there is a `logger`. */
  readonly logLevel?: LogLevel;
}

/** For `openEtcdStore`. */
export interface EtcdFields {
  /** `http://HOST:PORT` or `https://HOST:PORT`. Default `http://127.0.0.1:4001,http://127.0.0.1:2379`. */
  readonly endpoints?: string | readonly string[];
  /** Default `/coreos.com/network`. */
  readonly prefix?: string;
  /** Path of a PEM file: who may have signed the servers' certificates. It alone suffices for TLS. */
  readonly caFile?: string;
  /** Path of a PEM file: our certificate, which comes with `keyFile`. */
  readonly certFile?: string;
  /** Path of a PEM file: the key of `certFile`. */
  readonly keyFile?: string;
  /** As whom to log in. Default: nobody. */
  readonly username?: string;
  /** Of `username`. */
  readonly password?: string;
}

/** For `openKubeStore`. */
export interface KubeFields {
  /** Our node by its name; where it is missing, `environment` must say which it is. */
  readonly node?: string;
  /** `https://HOST:PORT`, in the place of the kubeconfig's server; by itself, without any credentials. */
  readonly apiUrl?: string;
  /** Path of a kubeconfig. */
  readonly kubeconfigFile?: string;
  /**
   * Where a pod is told of its cluster, usually `process.env`: `KUBERNETES_SERVICE_HOST` and `_PORT`, `NODE_NAME` or `POD_NAME`
   * and `POD_NAMESPACE`, `KUBECONFIG` and `HOME`. Default: nothing is read.
   */
  readonly environment?: { readonly [name: string]: string | undefined };
  /** Default `flannel.alpha.coreos.com`. */
  readonly annotationPrefix?: string;
  /** The network's configuration. Default `/etc/kube-flannel/net-conf.json`. */
  readonly netConfigPath?: string;
  /** Tell the cluster by a condition of the node when its network works. Default true. */
  readonly setNodeNetworkUnavailable?: boolean;
  /** Take only nodes whose public IP is among the addresses of the node. Default false. */
  readonly verifyNodeAddresses?: boolean;
}

const RUN_FLAGS: { readonly [field in keyof RunFields]-?: string } = {
  iface: 'iface',
  ifaceRegex: 'iface-regex',
  ifaceCanReach: 'iface-can-reach',
  publicIp: 'public-ip',
  publicIpv6: 'public-ipv6',
  subnetFile: 'subnet-file',
  subnetLeaseRenewMarginMinutes: 'subnet-lease-renew-margin',
  leaseTtlSeconds: 'lease-ttl',
  ipMasq: 'ip-masq',
  ipMasqFullyRandomDisable: 'ip-masq-fully-random-disable',
  iptablesForwardRules: 'iptables-forward-rules',
  iptablesResyncSeconds: 'iptables-resync',
  ipBlackholeRoute: 'ip-blackhole-route',
  workers: 'workers',
  workerCpus: 'worker-cpus',
  sourceCheck: 'source-check',
  offload: 'offload',
  tunName: 'tun-name',
  controlSocket: 'control-socket',
  healthzPort: 'healthz-port',
  healthzIp: 'healthz-ip',
  stateDirectory: 'state-dir',
  logLevel: 'log-level',
};
const ETCD_FLAGS: { readonly [field in keyof EtcdFields]-?: string } = {
  endpoints: 'etcd-endpoints',
  prefix: 'etcd-prefix',
  caFile: 'etcd-cafile',
  certFile: 'etcd-certfile',
  keyFile: 'etcd-keyfile',
  username: 'etcd-username',
  password: 'etcd-password',
};
const KUBE_FLAGS: { readonly [field in Exclude<keyof KubeFields, 'node' | 'environment'>]-?: string } = {
  apiUrl: 'kube-api-url',
  kubeconfigFile: 'kubeconfig-file',
  annotationPrefix: 'kube-annotation-prefix',
  netConfigPath: 'net-config-path',
  setNodeNetworkUnavailable: 'set-node-network-unavailable',
  verifyNodeAddresses: 'verify-node-addresses',
};
/** What Kubernetes, and flannel's manifest, tell a pod. */
const KUBE_VARIABLES = [
  ...['NODE_NAME', 'POD_NAME', 'POD_NAMESPACE', 'KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT'],
  ...['KUBECONFIG', 'HOME'],
];
/** Flags that are given once for each element; other lists have commas. */
const REPEATED = ['iface', 'ifaceRegex'];
/** Switches that say on and off. */
const ON_OFF = ['sourceCheck'];

/** `store` as `--store` has it. Throws TypeError or RangeError with ERR_TWILL_ARGUMENT; nothing comes from the environment. */
export function runOptionsOf(fields: RunFields, store?: string): RunOptions {
  const argv = [
    ...(store === undefined ? [] : [`--store=${store}`]),
    ...argvOf('Agent.start', fields, RUN_FLAGS),
  ];
  return byRules('Agent.start', argv, { ...RUN_FLAGS, store: 'store' });
}

/** What `openStore` takes. Throws as `runOptionsOf`. */
export function etcdStoreOptions(fields: EtcdFields): RunOptions['store'] {
  const argv = ['--store=etcd', ...argvOf('openEtcdStore', fields, ETCD_FLAGS)];
  return byRules('openEtcdStore', argv, ETCD_FLAGS).store;
}

/** What `openStore` takes. Throws as `runOptionsOf`. */
export function kubeStoreOptions(fields: KubeFields): RunOptions['store'] {
  const what = 'openKubeStore';
  if (typeof fields !== 'object' || fields === null) throw wrongType(`${what}: options`, 'an object', fields);
  const { node, environment = {}, ...flags } = fields;
  if (typeof environment !== 'object' || environment === null)
    throw wrongType(`${what}: environment`, 'an object such as process.env', environment);
  const told = KUBE_VARIABLES.flatMap((name) => (environment[name] ? [[name, environment[name]]] : []));
  const env: { [name: string]: string } = Object.fromEntries(told);
  if (node !== undefined) env['NODE_NAME'] = node;
  const isNamed = env['NODE_NAME'] || (env['POD_NAME'] && env['POD_NAMESPACE']);
  if (!isNamed || (node !== undefined && typeof node !== 'string'))
    throw wrongType(`${what}: node`, 'the name of our node, which environment does not tell', node);
  const argv = ['--kube-subnet-mgr', ...argvOf(what, flags, KUBE_FLAGS)];
  return byRules(what, argv, KUBE_FLAGS, env).store;
}

function argvOf(what: string, fields: object, flags: { readonly [field: string]: string }): string[] {
  if (typeof fields !== 'object' || fields === null) throw wrongType(`${what}: options`, 'an object', fields);
  return Object.entries(fields).flatMap(([field, value]) => {
    const flag = Object.hasOwn(flags, field) ? flags[field] : undefined;
    if (flag === undefined)
      throw wrongType(`${what}: options`, `made of ${Object.keys(flags).join(', ')}`, field);
    if (value === undefined) return [];
    return texts(`${what}: ${field}`, field, value).map((text) => `--${flag}=${text}`);
  });
}

function texts(what: string, field: string, value: unknown): string[] {
  if (Array.isArray(value)) {
    const parts = value.flatMap((part) => texts(what, field, part));
    // An empty list of processors or offloads says none.
    return REPEATED.includes(field) ? parts : [parts.join(',') || (field === 'offload' ? 'off' : '')];
  }
  if (typeof value === 'boolean') return [ON_OFF.includes(field) ? (value ? 'on' : 'off') : `${value}`];
  if (typeof value === 'string' || typeof value === 'number') return [`${value}`];
  // An address as a value.
  if (typeof value === 'object' && value !== null && 'family' in value) return [`${value}`];
  throw wrongType(what, 'text, a number, true or false, an address, or a list of them', value);
}

/** Flags become fields in what the rules say. */
function byRules(
  what: string,
  argv: readonly string[],
  flags: { readonly [field: string]: string },
  env: { readonly [name: string]: string } = {},
): RunOptions {
  try {
    return runOptions(argv, env);
  } catch (error) {
    if (!(error instanceof TwillError) || error.code !== 'ERR_TWILL_USAGE') throw error;
    const fieldOf = new Map(Object.entries(flags).map(([field, flag]) => [flag, field]));
    const message = error.message.replace(/--([\w-]+)/g, (flag, name) => fieldOf.get(name) ?? flag);
    const wrong = new RangeError(`${what}: ${message}`, { cause: error });
    throw Object.assign(wrong, { code: 'ERR_TWILL_ARGUMENT' as const });
  }
}
