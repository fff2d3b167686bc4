/**
 * Pods as a container runtime makes them: a network namespace, and the CNI plugins of a conflist run for it one after the
 * other (CNI specification, sections 2 to 4), Debian's reference plugins for what flannel's plugin delegates to.
 */
import assert from 'node:assert/strict';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { delegateConf, type PluginConf } from './flannel-cni.js';
import { makeNamespace } from './namespaces.js';

const PLUGINS = '/usr/lib/cni';

/** The conflist of flannel's manifest (`cni-conf.json`). */
export const conflist: Conflist = {
  name: 'cbr0',
  cniVersion: '0.3.1',
  plugins: [
    { type: 'flannel', delegate: { hairpinMode: true, isDefaultGateway: true } },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

interface Conflist {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly PluginConf[];
}

/** The reason why pods cannot be made here, or false. */
export async function cannotMakePods(): Promise<string | false> {
  const needed = [join(PLUGINS, 'bridge'), join(PLUGINS, 'portmap'), '/usr/sbin/iptables'];
  for (const path of needed) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (!isThere) return `needs ${path} (containernetworking-plugins, iptables)`;
  }
  return false;
}

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
}

/** Where pods are made. */
export interface PodHost {
  readonly namespace: Namespace;
  readonly subnetFile: string;
  /** For what the plugins remember; the host's own. */
  readonly directory: string;
}

interface CniResult {
  readonly ips: readonly { readonly address: string; readonly gateway: string }[];
}

export class CniPod {
  readonly namespace: Namespace;
  readonly host: PodHost;
  /** IPv4 before IPv6. */
  readonly addresses: readonly string[];
  /** What was run, in that order, with what it was given. */
  readonly #plugins: readonly PluginConf[];
  readonly #id: string;
  #isThere = true;

  private constructor(
    namespace: Namespace,
    host: PodHost,
    id: string,
    plugins: readonly PluginConf[],
    result: CniResult,
  ) {
    this.namespace = namespace;
    this.host = host;
    this.#id = id;
    this.#plugins = plugins;
    this.addresses = result.ips.map(({ address }) => address.split('/')[0] ?? '');
  }

  /** ADD; the namespace and what the plugins made go with the test. */
  static async add(
    t: TestContext,
    host: PodHost,
    label: string,
    portMappings: readonly PortMapping[] = [],
  ): Promise<CniPod> {
    const namespace = await makeNamespace(t, label);
    const id = `${label}-${namespace.pid}`;
    const subnetEnv = await readFile(host.subnetFile, 'utf8');
    const { name, cniVersion } = conflist;
    const plugins: PluginConf[] = [];
    let result: unknown;
    for (const plugin of conflist.plugins) {
      const { capabilities = {}, ...rest } = plugin as { capabilities?: { portMappings?: boolean } };
      const conf: PluginConf = {
        ...{ name, cniVersion, ...rest },
        // Where the host's own folders are the test's, the plugins keep their addresses apart.
        ...(plugin['type'] === 'flannel' && { ipam: { dataDir: join(host.directory, 'cni-networks') } }),
        ...(capabilities.portMappings && { runtimeConfig: { portMappings } }),
        ...(result !== undefined && { prevResult: result }),
      };
      const run = plugin['type'] === 'flannel' ? delegateConf(conf, subnetEnv) : conf;
      plugins.push(run);
      result = JSON.parse(await runPlugin(host, namespace, id, 'ADD', run));
    }
    const pod = new CniPod(namespace, host, id, plugins, result as CniResult);
    t.after(() => pod.remove().catch(() => {}));
    return pod;
  }

  get mtuBytes(): number {
    return Number(this.#plugins[0]?.['mtu']);
  }

  /** DEL, the last plugin first. */
  async remove(): Promise<void> {
    if (!this.#isThere) return;
    this.#isThere = false;
    for (const conf of [...this.#plugins].reverse())
      await runPlugin(this.host, this.namespace, this.#id, 'DEL', conf);
  }
}

/** Its standard output. A plugin that fails says why there too, as JSON. */
async function runPlugin(
  host: PodHost,
  pod: Namespace,
  id: string,
  command: 'ADD' | 'DEL',
  conf: PluginConf,
): Promise<string> {
  const type = String(conf['type']);
  assert.match(type, /^[a-z-]+$/);
  const child = host.namespace.spawn(join(PLUGINS, type), [], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_NETNS: `/proc/${pod.pid}/ns/net`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: PLUGINS,
    },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(JSON.stringify(conf));
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  assert.equal(code, 0, `CNI ${command} ${type} for ${pod.label}: ${stdout.trim()} ${stderr.trim()}`);
  return stdout;
}
