/** What flannel's flags and environment say of Kubernetes: where its API is, who we are there, which node is ours. */
import { TwillError } from '../errors.js';
import { type FlagSpec, type FlagValue, textFlag } from './flags.js';

export interface KubeOptions {
  /** In place of the kubeconfig's server. */
  readonly apiUrl?: string;
  readonly kubeconfigFile?: string;
  /** Where a pod finds the API; absent outside of one. */
  readonly podApiUrl?: string;
  /** Looked for last, the first that exists is taken. */
  readonly usualKubeconfigs: readonly string[];
  /** `flannel.alpha.coreos.com/`, `org.com/x-`: a suffix such as `public-ip` follows. */
  readonly annotationPrefix: string;
  /** Path of net-conf.json. */
  readonly netConfigPath: string;
  /** Our node by its name, or by the pod that runs us. */
  readonly node: { readonly name: string } | { readonly podNamespace: string; readonly podName: string };
  /** Believe only a node whose public IP is among the addresses that the kubelet reports. */
  readonly verifyNodeAddresses: boolean;
  /** Tell the cluster that the node's network works. */
  readonly setNetworkUnavailable: boolean;
}

type Environment = { readonly [name: string]: string | undefined };

export const kubeFlags: readonly FlagSpec[] = [
  {
    name: 'kube-subnet-mgr',
    kind: 'boolean',
    default: false,
    help: 'leases in Kubernetes: the subnet of a node is its PodCIDR, and annotations say how it is reached',
  },
  textFlag('kube-api-url', '', "the API server, if neither the pod's own nor that of the kubeconfig"),
  textFlag('kubeconfig-file', '', 'how to reach the API server, and as whom, outside of a pod'),
  textFlag(
    'kube-annotation-prefix',
    'flannel.alpha.coreos.com',
    'what our annotations begin with; every node of a cluster needs the same',
  ),
  textFlag(
    'net-config-path',
    '/etc/kube-flannel/net-conf.json',
    'the network configuration of a cluster on Kubernetes',
  ),
  {
    name: 'set-node-network-unavailable',
    kind: 'boolean',
    default: true,
    help: 'tell Kubernetes by a condition of the node when its network works',
  },
  {
    name: 'verify-node-addresses',
    kind: 'boolean',
    default: false,
    help: 'in Kubernetes, take only nodes whose public IP is among the addresses of the node',
  },
];

/** Throws ERR_TWILL_USAGE. */
export function kubeOptions(values: { readonly [name: string]: FlagValue }, env: Environment): KubeOptions {
  const string = (name: string) => String(values[name]);
  const [apiUrl, kubeconfigFile, netConfigPath] = [
    string('kube-api-url'),
    string('kubeconfig-file'),
    string('net-config-path'),
  ];
  if (netConfigPath === '') throw usage('--net-config-path is empty: write a path');
  const podApiUrl = podApi(env);
  return {
    ...(apiUrl !== '' && { apiUrl: serverUrl('--kube-api-url', apiUrl) }),
    ...(kubeconfigFile !== '' && { kubeconfigFile }),
    ...(podApiUrl !== undefined && { podApiUrl }),
    usualKubeconfigs: usualKubeconfigs(env),
    annotationPrefix: annotationPrefix(string('kube-annotation-prefix')),
    netConfigPath,
    node: ourNode(env),
    verifyNodeAddresses: values['verify-node-addresses'] === true,
    setNetworkUnavailable: values['set-node-network-unavailable'] === true,
  };
}

/** An http or https URL without user and query; a path stays. Throws ERR_TWILL_USAGE naming `origin`. */
export function serverUrl(origin: string, given: string): string {
  const text = given.includes('://') ? given : `http://${given}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (
    url &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === '' &&
    url.search === ''
  )
    return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  // Not shown as it stands: it might hold a password.
  const shown = JSON.stringify(given.replace(/[^/]*@/, '...@').slice(0, 80));
  throw usage(`${origin}: ${shown} is wrong: write http://HOST:PORT or https://HOST:PORT`);
}

/**
 * flannel's rules: at most one "/", before it a domain in lower case; what follows it gets a "-" at its end. Throws
 * ERR_TWILL_USAGE.
 */
function annotationPrefix(given: string): string {
  const [domain = '', name, ...more] = given.split('/');
  const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
  const isDomain = new RegExp(`^${label}(\\.${label})+$`).test(domain) && domain.length <= 253;
  const isName = name === undefined || /^([a-z0-9][-_a-z0-9]{0,40})?$/.test(name);
  if (!isDomain || !isName || more.length > 0) {
    const example = 'write a domain in lower case, such as flannel.alpha.coreos.com or org.com/prefix';
    throw usage(`--kube-annotation-prefix=${JSON.stringify(given.slice(0, 80))} is wrong: ${example}`);
  }
  if (name === undefined || name === '') return `${domain}/`;
  return `${domain}/${name.endsWith('-') ? name : `${name}-`}`;
}

function ourNode(env: Environment): KubeOptions['node'] {
  const [name, podName, podNamespace] = ['NODE_NAME', 'POD_NAME', 'POD_NAMESPACE'].map(
    (key) => env[key] ?? '',
  );
  if (name) return { name: objectName('NODE_NAME', name) };
  if (podName && podNamespace)
    return {
      podName: objectName('POD_NAME', podName),
      podNamespace: objectName('POD_NAMESPACE', podNamespace),
    };
  throw usage(
    '--kube-subnet-mgr needs to know its node: set NODE_NAME in the environment, or POD_NAME and POD_NAMESPACE',
  );
}

/** It becomes part of a URL. The rules are those of a DNS subdomain (RFC 1123). */
function objectName(variable: string, given: string): string {
  if (given.length <= 253 && /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(given)) return given;
  throw usage(`${variable}=${JSON.stringify(given.slice(0, 80))} is no name of Kubernetes`);
}

/** Two variables that Kubernetes sets in each pod. */
function podApi(env: Environment): string | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (!host || !port) return undefined;
  return serverUrl('KUBERNETES_SERVICE_HOST', `https://${host.includes(':') ? `[${host}]` : host}:${port}`);
}

function usualKubeconfigs({ KUBECONFIG: listed, HOME: home }: Environment): string[] {
  if (listed) return listed.split(':').filter((path) => path !== '');
  return home ? [`${home}/.kube/config`] : [];
}

function usage(message: string): TwillError {
  return new TwillError('ERR_TWILL_USAGE', message);
}
