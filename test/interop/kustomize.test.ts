/** deploy/kubernetes as kustomize renders it: the base is twill.yml, and each component changes what it says and nothing else. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import { packageVersion } from '../../src/agent/version.js';
import { parseNetConf } from '../../src/config/net-conf.js';
import { runOptions } from '../../src/config/run-options.js';
import { readDocument, root } from '../support/documents.js';
import { differences } from '../support/kube/differences.js';
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

const KUBERNETES = 'deploy/kubernetes';

/** As a user has it: the base from elsewhere, and what is wanted on top. */
async function rendered(t: TestContext, components: readonly string[]): Promise<Manifest[]> {
  return renderedText(t, (base) =>
    [
      'resources:',
      `  - ${base}`,
      'components:',
      ...components.map((name) => `  - ${base}/components/${name}`),
    ].join('\n'),
  );
}

async function renderedText(t: TestContext, text: (base: string) => string): Promise<Manifest[]> {
  const folder = await scratch(t);
  await writeFile(join(folder, 'kustomization.yaml'), text(relative(folder, join(root, KUBERNETES))));
  return parseManifests(await tool('kubectl', 'kustomize', folder));
}

/** Inside the project, since paths to a base are relative. */
async function scratch(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(root, 'build/kustomize-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** What the agent is started with, taken by our own parser. */
function agentOptions(manifests: readonly Manifest[]) {
  const [{ args }] = only<DaemonSet>(manifests, 'DaemonSet').spec.template.spec.containers as [Container];
  return runOptions(args, { NODE_NAME: 'n' }, { asFlannel: true });
}

test('the base is twill.yml, object by object', { skip }, async () => {
  const base = parseManifests(await tool('kubectl', 'kustomize', join(root, KUBERNETES)));
  assert.deepEqual(differences(readManifests(), base), {});
  assert.equal(base.length, readManifests().length);
});

test("kubectl's own types know every field of the DaemonSet", { skip }, async (t) => {
  const daemonSet = only<DaemonSet>(readManifests(), 'DaemonSet');
  const read = async (written: object) => {
    const folder = await scratch(t);
    await writeFile(join(folder, 'daemonset.json'), JSON.stringify(written));
    // Decodes it, sets what is set already, and prints it.
    const argv = [
      'set',
      'serviceaccount',
      '--local',
      '-f',
      join(folder, 'daemonset.json'),
      'twill',
      '-o',
      'json',
    ];
    return differences([daemonSet], [JSON.parse(await tool('kubectl', ...argv)) as Manifest]);
  };
  const added = await read(daemonSet);
  assert.deepEqual(
    Object.entries(added).filter(([, { before }]) => before !== undefined),
    [],
  );
  // One that they do not know would be missing then.
  const text = JSON.stringify(daemonSet).replace('"readOnlyRoot', '"readonlyRoot');
  const [lost] = Object.entries(await read(JSON.parse(text))).filter(
    ([, { before }]) => before !== undefined,
  );
  assert.match(lost?.[0] ?? '', /readOnlyRootFilesystem$/);
});

test('nftables: the switch of the network configuration', { skip }, async (t) => {
  const manifests = await rendered(t, ['nftables']);
  const { before, after } = Object.values(differences(readManifests(), manifests))[0] ?? {};
  assert.equal(after, String(before).replace('"EnableNFTables": false', '"EnableNFTables": true'));
  assert.equal(parseNetConf(String(after), { subnets: 'given' }).enableNftables, true);
  assert.deepEqual(Object.keys(differences(readManifests(), manifests)), [
    'ConfigMap kube-flannel-cfg: data.net-conf.json',
  ]);
});

test('verify-node-addresses: one flag', { skip }, async (t) => {
  const manifests = await rendered(t, ['verify-node-addresses']);
  assert.deepEqual(differences(readManifests(), manifests), {
    [`${AGENT}.args`]: { before: ARGS, after: [...ARGS, '--verify-node-addresses'] },
  });
  const { store } = agentOptions(manifests);
  assert.ok(store.kind === 'kube' && store.verifyNodeAddresses);
});

test('kernel-dataplane: one flag, and no device', { skip }, async (t) => {
  const manifests = await rendered(t, ['kernel-dataplane']);
  const found = differences(readManifests(), manifests);
  assert.deepEqual(Object.keys(found), [
    `${AGENT}.args`,
    `${AGENT}.volumeMounts`,
    'DaemonSet twill: spec.template.spec.volumes',
  ]);
  assert.deepEqual(found[`${AGENT}.args`]?.after, [...ARGS, '--dataplane=kernel']);
  for (const { before, after } of Object.values(found).slice(1))
    assert.deepEqual(
      after,
      (before as { name: string }[]).filter(({ name }) => name !== 'tun'),
    );
  assert.equal(agentOptions(manifests).dataplane, 'kernel');
});

test('privileged: nothing but the security context', { skip }, async (t) => {
  const found = differences(readManifests(), await rendered(t, ['privileged']));
  assert.deepEqual(Object.keys(found), [
    `${AGENT}.securityContext.privileged`,
    `${AGENT}.securityContext.allowPrivilegeEscalation`,
    `${AGENT}.securityContext.capabilities`,
  ]);
  assert.deepEqual(found[`${AGENT}.securityContext.privileged`], { before: false, after: true });
});

test('own-annotations: a policy and its binding beside the rest', { skip }, async (t) => {
  const found = differences(readManifests(), await rendered(t, ['own-annotations']));
  assert.deepEqual(Object.keys(found), [
    'ValidatingAdmissionPolicy twill-own-annotations:',
    'ValidatingAdmissionPolicyBinding twill-own-annotations:',
  ]);
});

test('all of them together: objects of Kubernetes', { skip }, async (t) => {
  const components = [
    'nftables',
    'verify-node-addresses',
    'own-annotations',
    'privileged',
    'kernel-dataplane',
  ];
  const manifests = await rendered(t, components);
  assert.deepEqual(await schemaFaults(manifests), []);
  const { dataplane, store } = agentOptions(manifests);
  assert.ok(store.kind === 'kube' && store.verifyNodeAddresses && dataplane === 'kernel');
});

test('the folder that docs/operations.md shows: another image and another network', { skip }, async (t) => {
  const [, indented = ''] =
    /\n((?: {4}[^\n]*\n)* {4}components:\n(?: {4}[^\n]*\n)*)/.exec(readDocument('docs/operations.md')) ?? [];
  const manifests = await renderedText(t, (base) =>
    indented.replace(/^ {4}/gm, '').replaceAll('twill/deploy/kubernetes', base),
  );
  assert.deepEqual(await schemaFaults(manifests), []);
  const { initContainers, containers } = only<DaemonSet>(manifests, 'DaemonSet').spec.template.spec;
  assert.deepEqual(
    [...initContainers, ...containers].map(({ image }) => image).slice(1),
    Array(2).fill(`registry.example/net/twill:${packageVersion()}`),
  );
  const { data } = only<{ data: { [key: string]: string } }>(manifests, 'ConfigMap');
  const netConf = parseNetConf(data['net-conf.json'] ?? '', { subnets: 'given' });
  assert.equal(`${netConf.v4?.network}`, '10.42.0.0/16');
  const { store } = agentOptions(manifests);
  assert.ok(store.kind === 'kube' && store.verifyNodeAddresses);
  only(manifests, 'ValidatingAdmissionPolicy');
});
