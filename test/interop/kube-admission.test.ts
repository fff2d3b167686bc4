/** The policy of components/own-annotations: what our store writes passes, what only a stolen token would write does not. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { LeaseAttributes } from '../../src/lease/lease.js';
import { IpAddress } from '../../src/net/ip.js';
import { type Policy, refusals, type UserInfo } from '../support/kube/admission.js';
import { flannelPlan, kubeOptionsFor, openKubeStore, PREFIX, startServer } from '../support/kube/followed.js';
import { only, readManifests } from '../support/kube/manifests.js';
import { type NodeObject, nodeObject } from '../support/kube/objects.js';
import { patchedNode } from '../support/kube/patch.js';
import { schemaFaults } from '../support/kube/schemas.js';

const path = 'deploy/kubernetes/components/own-annotations/policy.yml';
const manifests = readManifests(path);
const attributes: LeaseAttributes = {
  publicIp: IpAddress.parse('192.0.2.1'),
  publicIpv6: null,
  backendType: 'vxlan',
  backendData: { VNI: 1, VtepMAC: '12:c6:65:89:b4:e3' },
};
const policy = only<Policy>(manifests, 'ValidatingAdmissionPolicy');

/** A pod of the DaemonSet on that node, by the token that its kubelet has had made for it. */
function agentOn(node: string, username = 'system:serviceaccount:twill:twill'): UserInfo {
  const extra = {
    'authentication.kubernetes.io/node-name': [node],
    'authentication.kubernetes.io/pod-name': ['twill-x2x4z'],
  };
  return { username, extra };
}

/** Why a patch of this node's status is refused to whoever sends it. */
function refused(user: UserInfo, patch: object, node = nodeObject('own', flannelPlan(1), 1)): string {
  const after = patchedNode(node, patch, 'strategic', 'status');
  return refusals(policy, { user, before: node, after }).join('; ');
}

const annotate = (annotations: object) => ({ metadata: { annotations } });
const publicIp = annotate({ [`${PREFIX}public-ip`]: '198.51.100.66' });

test('the policy and its binding are objects of Kubernetes, for nodes and their status', async () => {
  assert.deepEqual(await schemaFaults(manifests), []);
  const binding = only<{ spec: unknown }>(manifests, 'ValidatingAdmissionPolicyBinding');
  assert.deepEqual(binding.spec, { policyName: policy.metadata.name, validationActions: ['Deny'] });
  assert.equal(policy.spec.failurePolicy, 'Fail');
  assert.deepEqual(policy.spec['matchConstraints'], {
    resourceRules: [
      {
        ...{ apiGroups: [''], apiVersions: ['v1'] },
        ...{ operations: ['UPDATE'], resources: ['nodes', 'nodes/status'] },
      },
    ],
  });
});

test('all that our store writes of its node passes', async (t: TestContext) => {
  const server = await startServer(t);
  for (const annotations of [{}, flannelPlan(1).annotations ?? {}]) {
    server.state.addNode('own', { podCidrs: ['10.100.1.0/24'], addresses: ['192.0.2.1'], annotations });
    let before = server.state.node('own');
    let updates = 0;
    const end = server.state.listen(({ object }) => {
      assert.deepEqual(refusals(policy, { user: agentOn('own'), before, after: object }), []);
      // The same by an agent elsewhere.
      assert.notDeepEqual(refusals(policy, { user: agentOn('other'), before, after: object }), []);
      before = object;
      updates += 1;
    });
    const store = await openKubeStore(t, await kubeOptionsFor(t, server));
    await store.announce(attributes);
    await store.announceUp();
    assert.equal(updates, 2);
    end();
    server.state.deleteNode('own');
  }
});

test('another node, or a token that names none: refused', () => {
  const own = /^an agent changes the node that it runs on, and no other$/;
  assert.equal(refused(agentOn('own'), publicIp), '');
  assert.match(refused(agentOn('other'), publicIp), own);
  const { username } = agentOn('own');
  assert.match(refused({ username }, publicIp), own);
  assert.match(refused({ username, extra: {} }, publicIp), own);
  const both = { 'authentication.kubernetes.io/node-name': ['own', 'other'] };
  assert.match(refused({ username, extra: both }, publicIp), own);
});

test("flannel's agents are held to the same, others are not looked at", () => {
  const flannel = 'system:serviceaccount:kube-flannel:flannel';
  assert.equal(refused(agentOn('own', flannel), publicIp), '');
  assert.match(refused(agentOn('other', flannel), publicIp), /no other/);
  assert.equal(refused({ username: 'kubernetes-admin' }, publicIp), '');
  assert.equal(refused({ username: 'system:node:own' }, { status: { capacity: { cpu: '16' } } }), '');
});

test('of its own node an agent changes what is of the overlay network, and nothing else', () => {
  const node = nodeObject('own', flannelPlan(1, { addresses: ['192.0.2.1'] }), 1);
  const bad: [object, RegExp][] = [
    [annotate({ 'node.alpha.kubernetes.io/ttl': '1' }), /^of the annotations/],
    [annotate({ 'node.alpha.kubernetes.io/ttl': null }), /^of the annotations/],
    [annotate({ 'example.org/new': '1' }), /^of the annotations/],
    [annotate({ 'flannel.alpha.coreos.com.example.org/x': '1' }), /^of the annotations/],
    [
      { metadata: { labels: { 'node-role.kubernetes.io/control-plane': '' } } },
      /^an agent changes neither labels/,
    ],
    [{ metadata: { labels: { 'kubernetes.io/os': null } } }, /^an agent changes neither labels/],
    [{ metadata: { labels: null } }, /^an agent changes neither labels/],
    [{ status: { addresses: [{ type: 'InternalIP', address: '198.51.100.66' }] } }, /^of the status/],
    [{ status: { capacity: { cpu: '800' } } }, /^of the status/],
    [{ status: { allocatable: { cpu: '800' } } }, /^of the status/],
    [{ status: { conditions: [{ type: 'Ready', status: 'False' }] } }, /^of the status/],
    [{ status: { conditions: [{ type: 'MemoryPressure', status: 'True' }] } }, /^of the status/],
    [{ status: { conditions: [{ type: 'Ready', $patch: 'delete' }] } }, /^of the status/],
  ];
  for (const [patch, reason] of bad)
    assert.match(refused(agentOn('own'), patch, node), reason, JSON.stringify(patch));
  const good = [
    annotate({ [`${PREFIX}public-ip`]: null, [`${PREFIX}new`]: 'x' }),
    { status: { conditions: [{ type: 'NetworkUnavailable', status: 'False' }] } },
    { status: { conditions: [{ type: 'NetworkUnavailable', status: 'True', reason: 'x' }] } },
  ];
  for (const patch of good) assert.equal(refused(agentOn('own'), patch, node), '', JSON.stringify(patch));
});

test('a node without annotations, labels or status is none that an expression stumbles over', () => {
  const { annotations: _, labels: __, ...metadata } = nodeObject('own', {}, 1).metadata;
  const bare = { apiVersion: 'v1', kind: 'Node', metadata, spec: {}, status: {} } as NodeObject;
  assert.equal(refused(agentOn('own'), publicIp, bare), '');
  assert.match(refused(agentOn('own'), { status: { capacity: { cpu: '1' } } }, bare), /^of the status/);
});

test('spec is watched too, where a role grants more than ours', () => {
  const before = nodeObject('own', flannelPlan(1), 1);
  const after = structuredClone(before);
  after.spec['unschedulable'] = true;
  assert.deepEqual(refusals(policy, { user: agentOn('own'), before, after }), [
    'an agent changes neither labels nor the spec of a node',
  ]);
});
