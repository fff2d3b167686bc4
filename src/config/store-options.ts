/** Which store: `--store`, or what flannel's flags amount to. */
import { TwillError } from '../errors.js';
import { type FlagSpec, type FlagValue, textFlag } from './flags.js';
import { type KubeOptions, kubeFlags, kubeOptions } from './kube-options.js';
import { Secret } from './secret.js';

export interface EtcdOptions {
  /** `http://HOST:PORT` or `https://HOST:PORT`, at least one; the scheme says whether TLS is used. */
  readonly endpoints: readonly string[];
  /** Above `config` and `subnets/`; without a "/" at its end. */
  readonly prefix: string;
  /** Paths of PEM files. A CA alone suffices for TLS; key and certificate come together. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly username?: string;
  readonly password?: Secret;
}

export type StoreOptions =
  | { readonly kind: 'directory'; readonly path: string }
  | ({ readonly kind: 'etcd' } & EtcdOptions)
  | ({ readonly kind: 'kube' } & KubeOptions);

const DEFAULT_DIRECTORY = '/var/lib/twill';

/** Names, defaults and meanings of the flags of etcd and Kubernetes are flannel's. */
export const storeFlags: readonly FlagSpec[] = [
  textFlag(
    'store',
    '',
    `where leases are kept: dir:PATH (PATH/config and PATH/subnets/) or etcd (default dir:${DEFAULT_DIRECTORY}, etcd where a flag of etcd is given)`,
  ),
  textFlag(
    'etcd-endpoints',
    'http://127.0.0.1:4001,http://127.0.0.1:2379',
    'members of the etcd cluster, with commas between them',
  ),
  textFlag('etcd-prefix', '/coreos.com/network', 'where in etcd the network lives'),
  textFlag('etcd-cafile', '', 'CA certificates that the members of etcd are verified against'),
  textFlag('etcd-certfile', '', 'certificate by which etcd knows us'),
  textFlag('etcd-keyfile', '', 'private key of that certificate'),
  textFlag('etcd-username', '', 'user of etcd'),
  textFlag('etcd-password', '', 'password of that user; better in the environment than here'),
  ...kubeFlags,
];

/** `asFlannel`: etcd unless something else is named. Throws ERR_TWILL_USAGE. */
export function storeOptions(
  values: { readonly [name: string]: FlagValue },
  given: ReadonlySet<string>,
  env: { readonly [name: string]: string | undefined },
  asFlannel: boolean,
): StoreOptions {
  const store = String(values['store']);
  if (values['kube-subnet-mgr'] === true) {
    if (store !== '') throw usage('--store and --kube-subnet-mgr are given, and leases have one place');
    return { kind: 'kube', ...kubeOptions(values, env) };
  }
  if (/^dir:./.test(store)) return { kind: 'directory', path: store.slice(4) };
  if (store !== '' && store !== 'etcd') {
    throw usage(`--store=${JSON.stringify(store.slice(0, 80))} is wrong: write dir:PATH or etcd`);
  }
  const isEtcd = store === 'etcd' || asFlannel || [...given].some((name) => name.startsWith('etcd-'));
  return isEtcd ? { kind: 'etcd', ...etcdOptions(values) } : { kind: 'directory', path: DEFAULT_DIRECTORY };
}

function etcdOptions(values: { readonly [name: string]: FlagValue }): EtcdOptions {
  const string = (name: string) => String(values[`etcd-${name}`]);
  const [caFile, certFile, keyFile] = [string('cafile'), string('certfile'), string('keyfile')];
  if ((certFile === '') !== (keyFile === '')) {
    const [there, missing] = certFile === '' ? ['keyfile', 'certfile'] : ['certfile', 'keyfile'];
    throw usage(`--etcd-${there} needs --etcd-${missing}: a certificate and its key come together`);
  }
  const [username, password] = [string('username'), string('password')];
  if (username === '' && password !== '') throw usage('--etcd-password needs --etcd-username');
  return {
    endpoints: string('endpoints')
      .split(',')
      .map((given) => endpoint(given, caFile !== '' || certFile !== '' ? 'https' : 'http')),
    prefix: prefix(string('prefix')),
    ...(caFile !== '' && { caFile }),
    ...(certFile !== '' && { certFile, keyFile }),
    ...(username !== '' && { username, password: new Secret(password) }),
  };
}

/** `scheme`: of one that names none, which etcd's own client takes too. */
function endpoint(given: string, scheme: 'http' | 'https'): string {
  const match = /^\s*(?:(https?):\/\/)?([^/?#@\s]+)\/?\s*$/.exec(given);
  // Not shown as it stands: it might hold a password.
  const shown = JSON.stringify(
    given
      .trim()
      .replace(/[^/]*@/, '...@')
      .slice(0, 80),
  );
  const wrong = usage(`--etcd-endpoints: ${shown} is wrong: write http://HOST:PORT or https://HOST:PORT`);
  if (!match) throw wrong;
  try {
    const { protocol, host } = new URL(`${match[1] ?? scheme}://${match[2]}`);
    return `${protocol}//${host}`;
  } catch {
    throw wrong;
  }
}

/** As Go's path.Join cleans it. */
function prefix(given: string): string {
  const parts = given.split('/').filter((part) => part !== '' && part !== '.');
  const isAbsolute = given.startsWith('/');
  if (parts.length === 0 || parts.includes('..')) {
    throw usage(
      `--etcd-prefix=${JSON.stringify(given.slice(0, 80))} is wrong: write a path, such as /coreos.com/network`,
    );
  }
  return `${isAbsolute ? '/' : ''}${parts.join('/')}`;
}

function usage(message: string): TwillError {
  return new TwillError('ERR_TWILL_USAGE', message);
}
