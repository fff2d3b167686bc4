/** deploy/kubernetes/twill.yml against our own code, and against what flannel's manifest carries. */
import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import { openHealth } from '../../../src/agent/health.js';
import { Readiness } from '../../../src/agent/readiness.js';
import { packageVersion } from '../../../src/agent/version.js';
import { parseNetConf } from '../../../src/config/net-conf.js';
import { runOptions } from '../../../src/config/run-options.js';
import { IpAddress } from '../../../src/net/ip.js';
import { ALL_REQUESTS } from '../../../src/store/kube/requests.js';
import { conflist } from '../../support/cni-pod.js';
import { type Container, type DaemonSet, only, readManifests } from '../../support/kube/manifests.js';

const manifests = readManifests();
const daemonSet = only<DaemonSet>(manifests, 'DaemonSet');
const { spec: pod } = daemonSet.spec.template;
const [agent] = pod.containers as [Container];
const [installPlugin, installConf] = pod.initContainers as [Container, Container];
const { data } = only<{ data: { [key: string]: string } }>(manifests, 'ConfigMap');

/** flannel's, byte for byte, as a ConfigMap of its holds them: cniVersion since October 2019, nftables since v0.25. */
const FLANNELS_CNI_CONF = `{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "flannel",
      "delegate": {
        "hairpinMode": true,
        "isDefaultGateway": true
      }
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      }
    }
  ]
}
`;
const FLANNELS_NET_CONF = `{
  "Network": "10.244.0.0/16",
  "EnableNFTables": false,
  "Backend": {
    "Type": "vxlan"
  }
}
`;

/** Of the agent, as the manifest starts it. */
function options() {
  const values: { readonly [path: string]: string } = {
    'metadata.name': 'twill-x2x4z',
    'metadata.namespace': 'twill',
    'spec.nodeName': 'node-1',
  };
  const env = Object.fromEntries(
    (agent.env ?? []).map(({ name, value, valueFrom }) => [
      name,
      value ?? values[valueFrom?.fieldRef.fieldPath ?? ''],
    ]),
  );
  assert.deepEqual(agent.command, ['/opt/bin/flanneld']);
  // Kubernetes itself sets these.
  const kubernetes = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
  return { env, options: runOptions(agent.args, { ...env, ...kubernetes }, { asFlannel: true }) };
}

test('the role grants what the store asks for, no verb more and none less', () => {
  interface Rule {
    readonly apiGroups: string[];
    readonly resources: string[];
    readonly verbs: string[];
  }
  const granted = only<{ rules: Rule[] }>(manifests, 'ClusterRole').rules.flatMap((rule) => {
    assert.deepEqual(Object.keys(rule).sort(), ['apiGroups', 'resources', 'verbs']);
    assert.deepEqual(rule.apiGroups, ['']);
    return rule.resources.flatMap((resource) => rule.verbs.map((verb) => `${verb} ${resource}`));
  });
  assert.deepEqual(granted.sort(), ALL_REQUESTS.map(({ verb, resource }) => `${verb} ${resource}`).sort());
});

test('the role is bound to the account that the pods have', () => {
  const account = only(manifests, 'ServiceAccount').metadata;
  const { roleRef, subjects } = only<{ roleRef: unknown; subjects: unknown }>(
    manifests,
    'ClusterRoleBinding',
  );
  const { name } = only(manifests, 'ClusterRole').metadata;
  assert.deepEqual(roleRef, { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name });
  assert.deepEqual(subjects, [{ kind: 'ServiceAccount', name: account.name, namespace: account.namespace }]);
  assert.equal(pod['serviceAccountName'], account.name);
});

test('all of it is in one namespace, which admits pods with the network of their host', () => {
  const { name, labels } = only(manifests, 'Namespace').metadata as {
    readonly name: string;
    readonly labels?: { readonly [label: string]: string };
  };
  assert.equal(labels?.['pod-security.kubernetes.io/enforce'], 'privileged');
  for (const { kind, metadata } of manifests)
    assert.equal(
      metadata.namespace,
      /^(Namespace|ClusterRole|ClusterRoleBinding)$/.test(kind) ? undefined : name,
    );
});

test("the ConfigMap is flannel's to the byte, and both halves are of use", () => {
  assert.deepEqual(data, { 'cni-conf.json': FLANNELS_CNI_CONF, 'net-conf.json': FLANNELS_NET_CONF });
  // What the tests of pods run.
  assert.deepEqual(JSON.parse(FLANNELS_CNI_CONF), conflist);
  const { v4, v6, backend, enableNftables } = parseNetConf(FLANNELS_NET_CONF, { subnets: 'given' });
  assert.deepEqual(
    [`${v4?.network}`, v6, backend.type, enableNftables],
    ['10.244.0.0/16', undefined, 'vxlan', false],
  );
});

test("its command line is flannel's and a flag of ours, and one that we take", () => {
  assert.deepEqual(agent.args, [
    '--ip-masq',
    '--kube-subnet-mgr',
    '--healthz-port=8081',
    '--kernel-stand-in',
  ]);
  const { env, options: parsed } = options();
  assert.deepEqual(env, { NODE_NAME: 'node-1', POD_NAME: 'twill-x2x4z', POD_NAMESPACE: 'twill' });
  assert.deepEqual([parsed.undone, parsed.kernelStandIn], [[], true]);
  assert.deepEqual(parsed.firewall, { masquerade: true, forward: true, randomPorts: true });
  assert.ok(parsed.store.kind === 'kube');
  assert.deepEqual(parsed.store.node, { name: 'node-1' });
});

test('probes ask what the health port answers', async (t) => {
  const { healthz } = options().options;
  assert.deepEqual(
    agent.ports?.map(({ name, containerPort }) => [name, containerPort]),
    [['healthz', healthz?.port]],
  );
  const { livenessProbe, readinessProbe } = agent;
  for (const probe of [livenessProbe, readinessProbe]) assert.equal(probe?.httpGet.port, 'healthz');
  const clock = { nowMs: Date.now, sleep: async () => {} };
  const place = { ip: IpAddress.parse('127.0.0.1'), port: 0 };
  const server = await openHealth(place, new Readiness(), clock, () => null);
  t.after(() => server.close());
  const status = async (path = '') => (await fetch(`http://127.0.0.1:${server.port}${path}`)).status;
  assert.equal(await status(livenessProbe?.httpGet.path), 200);
  // Of an agent that has just begun: alive, and not ready.
  assert.equal(await status(readinessProbe?.httpGet.path), 503);
});

test('what it writes is mounted, for the rest is read-only', () => {
  const { subnetFile, controlSocket, stateDirectory, store } = options().options;
  assert.ok(store.kind === 'kube');
  const mounts = new Map(agent.volumeMounts.map(({ name, mountPath }) => [posix.join(mountPath, '.'), name]));
  const volumeOf = (path: string) => {
    const name = mounts.get(path) ?? assert.fail(`${path} is not mounted`);
    return pod.volumes.find((volume) => volume.name === name);
  };
  const host = (path: string, type: string) => assert.deepEqual(volumeOf(path)?.hostPath, { path, type });
  host(posix.dirname(subnetFile), 'DirectoryOrCreate');
  host(stateDirectory, 'DirectoryOrCreate');
  host('/run/xtables.lock', 'FileOrCreate');
  host('/dev/net/tun', 'CharDevice');
  assert.deepEqual(volumeOf(posix.dirname(controlSocket))?.emptyDir, {});
  const { name } = only(manifests, 'ConfigMap').metadata;
  assert.deepEqual(volumeOf(posix.dirname(store.netConfigPath).replace(/\/$/, ''))?.configMap, { name });
  assert.equal(mounts.size, 6);
});

test('the containers may do what they must, and no more', () => {
  const minimal = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true };
  assert.deepEqual(agent.securityContext, {
    ...{ ...minimal, privileged: false },
    capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] },
  });
  for (const { securityContext } of pod.initContainers)
    assert.deepEqual(securityContext, {
      ...minimal,
      capabilities: { drop: ['ALL'], add: ['DAC_OVERRIDE'] },
    });
  assert.deepEqual(pod['securityContext'], { seccompProfile: { type: 'RuntimeDefault' } });
  assert.equal(pod['hostNetwork'], true);
  for (const field of ['hostPID', 'hostIPC', 'hostUsers']) assert.equal(pod[field], undefined);
});

test("init containers install flannel's plugin and the conflist where flannel's manifest does", () => {
  assert.deepEqual(
    [installPlugin.command, installPlugin.args],
    [['cp'], ['-f', '/flannel', '/opt/cni/bin/flannel']],
  );
  assert.match(installPlugin.image, /^ghcr\.io\/flannel-io\/flannel-cni-plugin:v[\d.]+-flannel\d+$/);
  assert.deepEqual(
    [installConf.command, installConf.args],
    [['/opt/bin/install-conf'], ['/etc/kube-flannel/cni-conf.json', '/etc/cni/net.d/10-flannel.conflist']],
  );
  for (const { args, volumeMounts } of [installPlugin, installConf]) {
    const to = posix.dirname(args.at(-1) ?? '');
    const mount = volumeMounts.find(({ mountPath }) => mountPath === to);
    const volume = pod.volumes.find(({ name }) => name === mount?.name);
    assert.deepEqual(volume?.hostPath, { path: to, type: 'DirectoryOrCreate' });
  }
  assert.equal(pod.initContainers.length, 2);
});

test('one DaemonSet for all architectures, on every Linux node but those that are left to flannel', () => {
  const { template, selector } = daemonSet.spec;
  assert.deepEqual(template.metadata.labels, selector.matchLabels);
  // flannel's DaemonSets select app=flannel.
  assert.equal(template.metadata.labels['app'], undefined);
  assert.equal(pod['nodeSelector'], undefined);
  assert.deepEqual(pod['affinity'], {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [
          {
            matchExpressions: [
              { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] },
              { key: 'overlay-agent', operator: 'NotIn', values: ['flannel'] },
            ],
          },
        ],
      },
    },
  });
  assert.deepEqual(pod['tolerations'], [{ operator: 'Exists', effect: 'NoSchedule' }]);
  assert.equal(pod['priorityClassName'], 'system-node-critical');
});

test('the image is that of this version, under a name that no registry answers to', () => {
  for (const { image } of [agent, installConf]) assert.equal(image, `localhost/twill:${packageVersion()}`);
});
