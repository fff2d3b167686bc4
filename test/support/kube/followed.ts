/** The store of Kubernetes under a watch, beside the API server in this process. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { KubeOptions } from '../../../src/config/kube-options.js';
import { KubeStore, type KubeStoreParts } from '../../../src/store/kube/kube-store.js';
import { FollowedStore } from '../followed-store.js';
import { KubeApiServer, type ServerSetup } from './api-server.js';
import type { NodePlan } from './objects.js';

export const PREFIX = 'flannel.alpha.coreos.com/';

export async function startServer(t: TestContext, setup: ServerSetup = {}): Promise<KubeApiServer> {
  const server = new KubeApiServer(setup);
  await server.start();
  t.after(() => server.stop());
  return server;
}

export async function kubeOptionsFor(
  t: TestContext,
  server: { readonly url: string },
  more: Partial<KubeOptions> & { readonly netConf?: object } = {},
): Promise<KubeOptions> {
  const { netConf = { Network: '10.0.0.0/8', Backend: { Type: 'vxlan' } }, ...rest } = more;
  const directory = await mkdtemp(join(tmpdir(), 'twill-kube-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const netConfigPath = join(directory, 'net-conf.json');
  await writeFile(netConfigPath, JSON.stringify(netConf));
  return {
    ...{ apiUrl: server.url, usualKubeconfigs: [], annotationPrefix: PREFIX, netConfigPath },
    ...{ node: { name: 'own' }, verifyNodeAddresses: false, setNetworkUnavailable: true },
    ...rest,
  };
}

/** A store, closed with the test, that has read its configuration. */
export async function openKubeStore(
  t: TestContext,
  options: KubeOptions,
  parts: KubeStoreParts = {},
): Promise<KubeStore> {
  const store = new KubeStore(options, parts);
  t.after(() => store.close());
  await store.readConfig();
  return store;
}

export async function followedKube(
  t: TestContext,
  options: KubeOptions,
  parts: KubeStoreParts = {},
): Promise<FollowedStore<KubeStore>> {
  const store = new KubeStore(options, parts);
  await store.readConfig();
  const followed = new FollowedStore(store);
  t.after(() => followed.close());
  return followed;
}

/** What flanneld has written on the i-th node of a cluster on vxlan. */
export function flannelPlan(i: number, more: NodePlan = {}): NodePlan {
  const [high, low] = [i >> 8, i & 255];
  const mac = `02:00:00:00:${high.toString(16).padStart(2, '0')}:${low.toString(16).padStart(2, '0')}`;
  return {
    podCidrs: [`10.${100 + high}.${low}.0/24`],
    ...more,
    annotations: {
      [`${PREFIX}kube-subnet-manager`]: 'true',
      [`${PREFIX}backend-type`]: 'vxlan',
      [`${PREFIX}backend-data`]: `{"VNI":1,"VtepMAC":"${mac}"}`,
      [`${PREFIX}public-ip`]: `192.168.${high}.${low}`,
      ...more.annotations,
    },
  };
}
