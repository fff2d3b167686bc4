/** The flags of `twill run`: flannel's names where they mean the same, and what they amount to. */
import { TwillError } from '../errors.js';
import { IpAddress, type IpFamily } from '../net/ip.js';
import { isDeviceName } from './device-name.js';
import { type FirewallChoice, firewallChoice, firewallFlags } from './firewall-flags.js';
import { type FlagSpec, type FlagValue, parseFlags, switchFlag, textFlag } from './flags.js';
import { idleFlags, undoneJobs } from './flannel-flags.js';
import { type OffloadName, parseOffload } from './offload.js';
import { type StoreOptions, storeFlags, storeOptions } from './store-options.js';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface RunOptions {
  readonly store: StoreOptions;
  /** Interface names or addresses, then patterns, in order of preference. */
  readonly iface: readonly string[];
  readonly ifaceRegex: readonly string[];
  readonly ifaceCanReach?: IpAddress;
  readonly publicIp?: IpAddress;
  readonly publicIpv6?: IpAddress;
  readonly subnetFile: string;
  /** How long before its end the lease is renewed. */
  readonly subnetLeaseRenewMarginMinutes: number;
  readonly leaseTtlSeconds: number;
  /** What subnet.env tells the CNI plugin. */
  readonly ipMasq: boolean;
  /** Which rules of the host we keep; null: none, and we do not look. */
  readonly firewall: FirewallChoice | null;
  /** Between two looks at the host's rules. */
  readonly resyncSeconds: number;
  /** Drop what is for our subnet and for no pod in it. */
  readonly blackholeRoute: boolean;
  readonly dataplane: (typeof DATAPLANES)[number];
  /** The kernel's vxlan device carries between our end and the next start. */
  readonly kernelStandIn: boolean;
  readonly workers: number;
  /** Processors that the workers stay on, by turns; none: any. */
  readonly workerCpus: readonly number[];
  readonly sourceCheck: boolean;
  /** What the kernel may do for the packet path, where it can. */
  readonly offload: readonly OffloadName[];
  readonly tunName?: string;
  readonly controlSocket: string;
  /** Where health checks are answered; absent: nowhere. */
  readonly healthz?: { readonly ip: IpAddress; readonly port: number };
  /** Where the last good snapshot of the store is kept; `''`: nowhere. */
  readonly stateDirectory: string;
  readonly logLevel: LogLevel;
  /** What flags ask for and this version leaves undone, in words. */
  readonly undone: readonly string[];
}

/** `auto`: the kernel's vxlan device where there is one. */
export const DATAPLANES = ['userspace', 'kernel', 'auto'] as const;

export const DEFAULT_CONTROL_SOCKET = '/run/twill/control.sock';

export const runFlags: readonly FlagSpec[] = [
  ...storeFlags,
  {
    name: 'iface',
    kind: 'list',
    default: [],
    help: 'underlay interface, by name or address; may be repeated, the first that exists is taken',
  },
  {
    name: 'iface-regex',
    kind: 'list',
    default: [],
    help: 'pattern of its address or name, tried after --iface; may be repeated',
  },
  textFlag('iface-can-reach', '', 'take the interface that leads to this address'),
  textFlag('public-ip', '', 'address that peers send to, where it is not that of the interface'),
  textFlag('public-ipv6', '', 'the same for IPv6'),
  textFlag('subnet-file', '/run/flannel/subnet.env', 'file that tells others our subnet and MTU'),
  {
    name: 'subnet-lease-renew-margin',
    kind: 'integer',
    default: 60,
    min: 1,
    max: 1439,
    help: 'minutes before its end at which the lease is renewed',
  },
  {
    name: 'lease-ttl',
    kind: 'integer',
    default: 86_400,
    min: 5,
    max: 315_360_000,
    help: 'seconds that a lease lasts unless renewed',
  },
  ...firewallFlags,
  textFlag(
    'healthz-ip',
    '0.0.0.0',
    'address on which /healthz and /readyz are answered (0.0.0.0: all, IPv6 too)',
  ),
  {
    name: 'healthz-port',
    kind: 'integer',
    default: 0,
    min: 0,
    max: 65_535,
    help: 'its port; 0 answers nowhere',
  },
  {
    name: 'dataplane',
    kind: 'choice',
    choices: DATAPLANES,
    default: 'userspace',
    help: "what carries VXLAN: our own packet path, the kernel's vxlan device, or that where there is one",
  },
  switchFlag(
    'kernel-stand-in',
    false,
    "at a stop let the kernel's vxlan device carry until the next start, where it has one",
  ),
  {
    name: 'workers',
    kind: 'integer',
    default: 1,
    min: 1,
    max: 64,
    help: 'native threads, each with a queue of the device',
  },
  textFlag(
    'worker-cpus',
    '',
    'processors that the workers stay on, by turns: numbers with commas between them',
  ),
  {
    name: 'source-check',
    kind: 'choice',
    choices: ['on', 'off'],
    default: 'on',
    help: 'accept only what a known peer may send; off trusts every sender, as flannel does',
  },
  textFlag(
    'offload',
    'auto',
    'what the kernel does for the packet path: auto, off, or names with commas between them',
  ),
  textFlag('tun-name', '', "name of the device (default flannel's: flannel.<VNI>, flannel0)"),
  textFlag('control-socket', DEFAULT_CONTROL_SOCKET, 'socket that "twill status", "peers" and "trace" ask'),
  textFlag(
    'state-dir',
    '/var/lib/twill',
    'folder for the last good snapshot of etcd or Kubernetes, which a start goes on from while that is down; empty: none',
  ),
  {
    name: 'log-level',
    kind: 'choice',
    choices: LOG_LEVELS,
    default: 'info',
    help: 'least severe log line written',
  },
  {
    name: 'v',
    kind: 'integer',
    default: 0,
    min: 0,
    max: 2_147_483_647,
    help: "flannel's verbosity, where --log-level is not given: 0 is info, 1 to 4 debug, from 5 on trace",
  },
];

/** `asFlannel`: with flanneld's defaults. Throws ERR_TWILL_USAGE. */
export function runOptions(
  argv: readonly string[],
  env: { readonly [name: string]: string | undefined },
  { asFlannel = false }: { readonly asFlannel?: boolean } = {},
): RunOptions {
  const specs = [...runFlags, ...idleFlags];
  const { values, given, positional } = parseFlags(specs, argv, env);
  if (positional.length > 0) throw usage(`unexpected argument: ${positional[0]}`);
  const undone = undoneJobs(values, given);
  const string = (name: string) => String(values[name]);
  for (const name of ['subnet-file', 'control-socket']) {
    if (string(name) === '') throw usage(`--${name} is empty: write a path`);
  }
  const ifaceCanReach = addressFlag('iface-can-reach', values);
  const publicIp = addressFlag('public-ip', values, 4);
  const publicIpv6 = addressFlag('public-ipv6', values, 6);
  const healthzIp = addressFlag('healthz-ip', values) ?? IpAddress.of(4, 0n);
  const healthzPort = Number(values['healthz-port']);
  const tunName = string('tun-name');
  if (tunName !== '') checkDeviceName(tunName);
  return {
    store: storeOptions(values, given, env, asFlannel),
    iface: values['iface'] as readonly string[],
    ifaceRegex: values['iface-regex'] as readonly string[],
    ...(ifaceCanReach && { ifaceCanReach }),
    ...(publicIp && { publicIp }),
    ...(publicIpv6 && { publicIpv6 }),
    subnetFile: string('subnet-file'),
    subnetLeaseRenewMarginMinutes: Number(values['subnet-lease-renew-margin']),
    leaseTtlSeconds: Number(values['lease-ttl']),
    ipMasq: values['ip-masq'] === true,
    firewall: firewallChoice(values, given, asFlannel),
    resyncSeconds: Number(values['iptables-resync']),
    blackholeRoute: values['ip-blackhole-route'] === true,
    dataplane: values['dataplane'] as RunOptions['dataplane'],
    kernelStandIn: values['kernel-stand-in'] === true,
    workers: Number(values['workers']),
    workerCpus: cpuList(string('worker-cpus')),
    sourceCheck: values['source-check'] === 'on',
    offload: parseOffload(string('offload')),
    ...(tunName !== '' && { tunName }),
    controlSocket: string('control-socket'),
    stateDirectory: string('state-dir'),
    ...(healthzPort !== 0 && { healthz: { ip: healthzIp, port: healthzPort } }),
    logLevel: given.has('log-level') ? (values['log-level'] as LogLevel) : verbosity(Number(values['v'])),
    undone,
  };
}

/** klog's numbers: flannel logs details at 1 and floods at 5. */
function verbosity(v: number): LogLevel {
  return v === 0 ? 'info' : v < 5 ? 'debug' : 'trace';
}

function addressFlag(
  name: string,
  values: { readonly [name: string]: FlagValue },
  family?: IpFamily,
): IpAddress | undefined {
  const given = String(values[name]);
  if (given === '') return undefined;
  const address = IpAddress.tryParse(given);
  if (address && (family === undefined || address.family === family)) return address;
  throw usage(
    `--${name}=${JSON.stringify(given.slice(0, 80))} is wrong: write an ${family ? `IPv${family}` : 'IP'} address`,
  );
}

function cpuList(given: string): readonly number[] {
  if (given === '') return [];
  if (/^\d{1,3}(,\d{1,3})*$/.test(given)) return given.split(',').map(Number);
  throw usage(
    `--worker-cpus=${JSON.stringify(given.slice(0, 80))} is wrong: write processor numbers with commas between them, such as 0,1`,
  );
}

function checkDeviceName(name: string): void {
  if (isDeviceName(name)) return;
  throw usage(
    `--tun-name=${JSON.stringify(name.slice(0, 80))} is wrong: 1 to 15 characters without space, "/" or ":"`,
  );
}

function usage(message: string): TwillError {
  return new TwillError('ERR_TWILL_USAGE', message);
}
