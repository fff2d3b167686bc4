/** The chart in deploy/helm as the real Helm renders it: by default it is the plain manifest, and each value does what it says. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageVersion } from '../../src/agent/version.js';
import { parseNetConf } from '../../src/config/net-conf.js';
import { runOptions } from '../../src/config/run-options.js';
import { readDocument, root } from '../support/documents.js';
import { type Difference, differences } from '../support/kube/differences.js';
import {
  AGENT,
  ARGS,
  type Container,
  type DaemonSet,
  type Manifest,
  only,
  parseManifests,
  readManifests,
} from '../support/kube/manifests.js';
import { schemaFaults } from '../support/kube/schemas.js';
import { cannotRunTools as skip, tool } from '../support/kube/tools.js';

const CHART = 'deploy/helm/twill';

async function rendered(values: object = {}, ...more: readonly string[]): Promise<Manifest[]> {
  const set = Object.entries(values).flatMap(([name, value]) => [
    '--set-json',
    `${name}=${JSON.stringify(value)}`,
  ]);
  const argv = ['template', 'twill', join(root, CHART), '--namespace', 'twill', ...set, ...more];
  return parseManifests(await tool('helm', ...argv));
}

/** What a value changes of the default. */
async function changed(values: object): Promise<{ [place: string]: Difference }> {
  return differences(await rendered(), await rendered(values));
}

function agentOf(manifests: readonly Manifest[]): Container {
  const [agent] = only<DaemonSet>(manifests, 'DaemonSet').spec.template.spec.containers;
  return agent ?? assert.fail('no container');
}

/** The network configuration, in its bytes and as we read it. */
async function netConfOf(values: object) {
  const { data } = only<{ data: { [key: string]: string } }>(await rendered(values), 'ConfigMap');
  const text = data['net-conf.json'] ?? '';
  return { object: JSON.parse(text), netConf: parseNetConf(text, { subnets: 'given' }) };
}

const refused = (values: object, reason: RegExp) =>
  assert.rejects(rendered(values), (error: { stderr?: string }) => {
    assert.match(error.stderr ?? '', reason);
    return true;
  });

test('by default it is the plain manifest, but for labels of Helm and the namespace, which Helm makes', {
  skip,
}, async () => {
  const plain = readManifests().filter(({ kind }) => kind !== 'Namespace');
  const ours =
    /^\w+ [\w-]+: metadata\.labels\.(app\.kubernetes\.io\/(instance|managed-by|version)|helm\.sh\/chart)$/;
  const found = Object.entries(differences(plain, await rendered()));
  for (const [place, { before }] of found) assert.ok(ours.test(place) && before === undefined, place);
  // Four labels on each object.
  assert.equal(found.length, 4 * plain.length);
});

test('the linter finds no fault, and version and notes are of this package', { skip }, async () => {
  assert.match(
    await tool('helm', 'lint', '--strict', join(root, CHART)),
    /1 chart\(s\) linted, 0 chart\(s\) failed/,
  );
  const chart = readDocument(`${CHART}/Chart.yaml`);
  assert.deepEqual(
    [...chart.matchAll(/^(?:version|appVersion): (.*)$/gm)].map(([, version]) => version),
    [packageVersion(), packageVersion()],
  );
});

test('images, pull secrets, folders and what the pods may ask for', { skip }, async () => {
  const manifests = await rendered({
    'global.imagePullSecrets': [{ name: 'registry' }],
    'flannel.image': { repository: 'registry.example/net/twill', tag: '1.2.3' },
    'flannel.flannel_cni.image': { repository: 'registry.example/cni', tag: 'v1' },
    'flannel.cniBinDir': '/usr/lib/cni',
    'flannel.cniConfDir': '/etc/kubernetes/net.d',
    'flannel.resources': { limits: { memory: '256Mi' } },
    'flannel.tolerations': [{ operator: 'Exists' }],
    'flannel.nodeSelector': { overlay: 'twill' },
  });
  assert.deepEqual(await schemaFaults(manifests), []);
  const { spec: pod } = only<DaemonSet>(manifests, 'DaemonSet').spec.template;
  assert.deepEqual(
    [...pod.initContainers, ...pod.containers].map(({ image }) => image),
    ['registry.example/cni:v1', 'registry.example/net/twill:1.2.3', 'registry.example/net/twill:1.2.3'],
  );
  assert.deepEqual(pod['imagePullSecrets'], [{ name: 'registry' }]);
  assert.deepEqual(
    pod.volumes.filter(({ name }) => name.startsWith('cni')).map(({ hostPath }) => hostPath?.path),
    ['/usr/lib/cni', '/etc/kubernetes/net.d'],
  );
  assert.deepEqual(pod['tolerations'], [{ operator: 'Exists' }]);
  assert.deepEqual(pod['nodeSelector'], { overlay: 'twill' });
});

test('the network configuration, value by value, as our parser takes it', { skip }, async () => {
  const dual = await netConfOf({ podCidr: '10.42.0.0/16', podCidrv6: 'fd00:42::/56' });
  assert.deepEqual(
    [`${dual.netConf.v4?.network}`, `${dual.netConf.v6?.network}`],
    ['10.42.0.0/16', 'fd00:42::/56'],
  );
  const six = await netConfOf({ podCidr: '', podCidrv6: 'fd00:42::/56' });
  assert.deepEqual([six.netConf.enableIpv4, six.netConf.enableIpv6], [false, true]);
  assert.equal((await netConfOf({ 'flannel.enableNFTables': true })).netConf.enableNftables, true);
  const vxlan = { backendPort: 4789, vni: 4096, mtu: 9000, directRouting: true, GBP: true };
  const values = Object.fromEntries(Object.entries(vxlan).map(([name, value]) => [`flannel.${name}`, value]));
  assert.deepEqual((await netConfOf(values)).object.Backend, {
    ...{ Port: 4789, VNI: 4096, MTU: 9000, DirectRouting: true, GBP: true, Type: 'vxlan' },
  });
  assert.deepEqual((await netConfOf({ ...values, 'flannel.backend': 'udp' })).object.Backend, {
    ...{ Port: 4789, Type: 'udp' },
  });
  for (const backend of ['host-gw', 'alloc'])
    assert.deepEqual((await netConfOf({ ...values, 'flannel.backend': backend })).object.Backend, {
      Type: backend,
    });
});

test('a CNI configuration of your own, or somebody else who writes it', { skip }, async () => {
  const cniConf = '{"name": "cbr0", "plugins": []}';
  const { 'ConfigMap kube-flannel-cfg: data.cni-conf.json': found, ...rest } = await changed({
    'flannel.cniConf': cniConf,
  });
  assert.deepEqual([found?.after, rest], [`${cniConf}\n`, {}]);
  const { initContainers } = only<DaemonSet>(
    await rendered({ 'flannel.skipCNIConfigInstallation': true }),
    'DaemonSet',
  ).spec.template.spec;
  assert.deepEqual(
    initContainers.map(({ name }) => name),
    ['install-cni-plugin'],
  );
});

test('the health port: another one, and none at all', { skip }, async () => {
  const other = agentOf(await rendered({ 'flannel.healthz.port': 9000 }));
  assert.ok(other.args.includes('--healthz-port=9000'));
  assert.equal(other.ports?.[0]?.containerPort, 9000);
  const none = agentOf(await rendered({ 'flannel.healthz.port': 0 }));
  assert.deepEqual(
    none.args,
    ARGS.filter((flag) => !flag.startsWith('--healthz')),
  );
  assert.deepEqual([none.ports, none.livenessProbe, none.readinessProbe], Array(3).fill(undefined));
});

test('flags that a values file for flannel has are ours', { skip }, async () => {
  const { args } = agentOf(
    await rendered({ 'flannel.args': ['--ip-masq', '--kube-subnet-mgr', '--iface=eth1', '--v=2'] }),
  );
  const { iface, undone } = runOptions(args, { NODE_NAME: 'n' }, { asFlannel: true });
  assert.deepEqual([iface, undone], [['eth1'], []]);
});

test('what flannel has not: the same as the components of kustomize', { skip }, async () => {
  assert.deepEqual(await changed({ 'twill.verifyNodeAddresses': true }), {
    [`${AGENT}.args`]: { before: ARGS, after: [...ARGS, '--verify-node-addresses'] },
  });
  assert.deepEqual(agentOf(await rendered({ 'twill.kernelStandIn': false })).args, ARGS.slice(0, -1));
  const kernel = await rendered({ 'twill.dataplane': 'kernel' });
  assert.deepEqual(agentOf(kernel).args.at(-1), '--dataplane=kernel');
  assert.doesNotMatch(JSON.stringify(kernel), /\/dev\/net\/tun/);
  const auto = await rendered({ 'twill.dataplane': 'auto' });
  assert.match(JSON.stringify(auto), /\/dev\/net\/tun/);
  const { privileged, allowPrivilegeEscalation } = agentOf(await rendered({ 'twill.privileged': true }))
    .securityContext as { [field: string]: unknown };
  assert.deepEqual([privileged, allowPrivilegeEscalation], [true, undefined]);
});

test('the policy is that of the component, for the account of the release', { skip }, async () => {
  const path = 'deploy/kubernetes/components/own-annotations/policy.yml';
  const kinds = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];
  const policies = async (...more: string[]) => {
    const all = await rendered({ 'twill.ownAnnotations': true }, '--kube-version=1.30.0', ...more);
    assert.deepEqual(await schemaFaults(all), []);
    return all.filter(({ kind }) => kinds.includes(kind));
  };
  const found = Object.keys(differences(readManifests(path), await policies()));
  assert.ok(found.length > 0 && found.every((place) => place.includes('metadata.labels')), found.join());
  assert.match(JSON.stringify(await policies('--namespace=net')), /'system:serviceaccount:net:twill'/);
  await assert.rejects(
    rendered({ 'twill.ownAnnotations': true }, '--kube-version=1.29.0'),
    /needs Kubernetes 1\.30/,
  );
});

test('what there is not, and what is misspelt, is refused by name', { skip }, async () => {
  await refused({ 'flannel.backend': 'wireguard' }, /flannel\/backend/);
  await refused({ 'flannel.psk': 'x' }, /'psk' not allowed/);
  await refused({ 'flannel.backendport': 4789 }, /'backendport' not allowed/);
  await refused({ podCIDR: '10.0.0.0/8' }, /'podCIDR' not allowed/);
  await refused({ podCidr: '10.0.0.0' }, /podCidr/);
  await refused({ 'netpol.enabled': true }, /netpol\/enabled/);
  await refused({ podCidr: '' }, /podCidr and podCidrv6 are both empty/);
});
