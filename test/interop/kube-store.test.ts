/** The store of Kubernetes on its API: what it reads and writes, and that nothing is lost whatever the server does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openKubeStore as openStoreOfProgram } from '../../src/agent.js';
import type { LeaseAttributes } from '../../src/lease/lease.js';
import { LeaseSet } from '../../src/lease/lease-set.js';
import { IpAddress } from '../../src/net/ip.js';
import { Prefix } from '../../src/net/prefix.js';
import { ALL_REQUESTS } from '../../src/store/kube/requests.js';
import {
  flannelPlan,
  followedKube,
  kubeOptionsFor,
  openKubeStore,
  PREFIX,
  startServer,
} from '../support/kube/followed.js';
import { until } from '../support/namespaces.js';

const attributes: LeaseAttributes = {
  publicIp: IpAddress.parse('192.0.2.1'),
  publicIpv6: null,
  backendType: 'vxlan',
  backendData: { VNI: 1, VtepMAC: '12:c6:65:89:b4:e3' },
};

test('our node says how it is reached in the bytes of flannel, once', async (t) => {
  const server = await startServer(t);
  server.state.addNode('own', { podCidrs: ['10.244.0.0/24'] });
  const store = await openKubeStore(t, await kubeOptionsFor(t, server));
  assert.deepEqual(await store.ownNode(), { name: 'own' });
  const record = await store.announce(attributes);
  assert.deepEqual(
    [record.key, record.holder, record.expiresAtMs],
    ['10.244.0.0-24', 'own', Number.POSITIVE_INFINITY],
  );
  const { annotations } = server.state.node('own').metadata;
  assert.deepEqual(annotations, {
    'node.alpha.kubernetes.io/ttl': '0',
    [`${PREFIX}kube-subnet-manager`]: 'true',
    [`${PREFIX}backend-type`]: 'vxlan',
    [`${PREFIX}backend-data`]: '{"VNI":1,"VtepMAC":"12:c6:65:89:b4:e3"}',
    [`${PREFIX}public-ip`]: '192.0.2.1',
  });
  const before = server.state.version;
  assert.deepEqual(await store.announce(attributes), record);
  assert.equal(server.state.version, before, 'nothing to say, nothing written');
  await store.announceUp();
  const condition = server.state
    .node('own')
    .status.conditions?.find(({ type }) => type === 'NetworkUnavailable');
  assert.ok(condition);
  const { lastHeartbeatTime, lastTransitionTime, ...rest } = condition;
  for (const time of [lastHeartbeatTime, lastTransitionTime])
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(rest, {
    type: 'NetworkUnavailable',
    status: 'False',
    reason: 'FlannelIsUp',
    message: 'Flannel is running on this node',
  });
  assert.equal(server.state.node('own').status.conditions?.length, 2, 'the others stay');
});

test('what its operator has written of our node counts; rubbish is named and passed over', async (t) => {
  const server = await startServer(t);
  const said: string[] = [];
  server.state.addNode('own', {
    podCidrs: ['10.244.0.0/24'],
    annotations: {
      [`${PREFIX}node-public-ip`]: '198.51.100.7',
      [`${PREFIX}public-ip-overwrite`]: '203.0.113.9',
    },
  });
  const store = await openKubeStore(t, await kubeOptionsFor(t, server), { say: (line) => said.push(line) });
  assert.equal(`${(await store.ownNode()).publicIp}`, '198.51.100.7');
  await store.announce(attributes);
  assert.equal(server.state.node('own').metadata.annotations?.[`${PREFIX}public-ip`], '203.0.113.9');
  assert.deepEqual(said, []);
  server.state.annotate('own', {
    [`${PREFIX}node-public-ip`]: 'here',
    [`${PREFIX}public-ip-overwrite`]: null,
  });
  assert.deepEqual(await store.ownNode(), { name: 'own' });
  await store.ownNode();
  assert.equal(said.length, 1);
  assert.match(
    said[0] ?? '',
    /node-public-ip of our node is "here", which is no IPv4 address: it is passed over$/,
  );
  await store.announce(attributes);
  assert.equal(server.state.node('own').metadata.annotations?.[`${PREFIX}public-ip`], '192.0.2.1');
});

test('our node by its pod; a node without PodCIDR, and none at all', async (t) => {
  const server = await startServer(t);
  server.state.addPod('kube-flannel', 'ds-1', 'worker-9');
  const node = { podNamespace: 'kube-flannel', podName: 'ds-1' };
  const store = await openKubeStore(t, await kubeOptionsFor(t, server, { node }));
  const empty = (message: RegExp) => ({ code: 'ERR_TWILL_STORE_EMPTY', message });
  await assert.rejects(
    store.ownNode(),
    empty(/^the cluster has no node worker-9: its kubelet must register it$/),
  );
  server.state.addNode('worker-9');
  assert.equal((await store.ownNode()).name, 'worker-9');
  await assert.rejects(
    store.announce(attributes),
    empty(/^node worker-9 has no PodCIDR yet: .*--allocate-node-cidrs/),
  );
  assert.equal(
    server.asked.filter(({ resource }) => resource === 'pods').length,
    1,
    'a name does not change',
  );
});

test('nodes of both kinds and families, joining, changing and leaving', async (t) => {
  const server = await startServer(t);
  const netConf = {
    EnableIPv6: true,
    Network: '10.0.0.0/8',
    IPv6Network: 'fd00::/16',
    Backend: { Type: 'vxlan' },
  };
  server.state.addNode('control-plane');
  const v6 = {
    [`${PREFIX}public-ipv6`]: '2001:db8::1',
    [`${PREFIX}backend-v6-data`]: '{"VNI":1,"VtepMAC":"02:00:00:00:06:01"}',
  };
  server.state.addNode('a', flannelPlan(1, { podCidrs: ['10.100.1.0/24', 'fd00:1::/64'], annotations: v6 }));
  const followed = await followedKube(t, await kubeOptionsFor(t, server, { netConf }));
  const a = '10.100.1.0-24&fd00:1::-64';
  await followed.hasKeys(a);
  server.state.addNode('b', flannelPlan(2));
  await followed.hasKeys(`${a} 10.100.2.0-24`);
  // Of two families one changes: flannel's own update is lost then.
  server.state.annotate('a', { [`${PREFIX}public-ip`]: '192.168.0.77' });
  await until(
    'the new address',
    async () => followed.value(a)?.includes('"PublicIP":"192.168.0.77"') === true,
  );
  server.state.annotate('a', { [`${PREFIX}backend-v6-data`]: '{"VNI":1,"VtepMAC":"02:00:00:00:06:02"}' });
  await until('the new MAC', async () => followed.value(a)?.includes('02:00:00:00:06:02') === true);
  server.state.annotate('b', { [`${PREFIX}kube-subnet-manager`]: 'false' });
  await followed.hasKeys(a);
  server.state.annotate('b', { [`${PREFIX}kube-subnet-manager`]: 'true' });
  await followed.hasKeys(`${a} 10.100.2.0-24`);
  server.state.deleteNode('a');
  await followed.hasKeys('10.100.2.0-24');
  assert.deepEqual(followed.troubles, []);
});

test('what kubelets report of their nodes is no change', async (t) => {
  const server = await startServer(t);
  for (let i = 1; i <= 5; i++) server.state.addNode(`n${i}`, flannelPlan(i));
  const followed = await followedKube(t, await kubeOptionsFor(t, server));
  await until('a first snapshot', async () => followed.snapshots.length === 1);
  const [record] = followed.last?.records ?? [];
  for (let round = 0; round < 20; round++) for (let i = 1; i <= 5; i++) server.state.heartbeat(`n${i}`);
  server.state.addNode('n6', flannelPlan(6));
  await until('the sixth', async () => followed.last?.records.length === 6);
  assert.equal(followed.snapshots.length, 2);
  assert.equal(followed.last?.records[0], record, 'the same object, so that nobody judges it anew');
});

const poison: [name: string, annotations: { [name: string]: string }, podCidrs: string[], reason: RegExp][] =
  [
    ['address', { 'public-ip': 'x' }, ['10.101.1.0/24'], /its PublicIP is "x"/],
    ['empty', { 'public-ip': '' }, ['10.101.2.0/24'], /no PodCIDR with an annotation public-ip/],
    ['family', { 'public-ip': '2001:db8::1' }, ['10.101.3.0/24'], /its PublicIP is "2001:db8::1"/],
    ['inside', { 'public-ip': '10.1.2.3' }, ['10.101.4.0/24'], /lies in the overlay network/],
    ['loop', { 'public-ip': '127.0.0.1' }, ['10.101.5.0/24'], /a loopback address/],
    ['json', { 'backend-data': '{"VNI":1' }, ['10.101.6.0/24'], /its backend-data is not JSON/],
    ['deep', { 'backend-data': '['.repeat(1000) }, ['10.101.7.0/24'], /its backend-data is/],
    ['type', { 'backend-type': 'x'.repeat(5000) }, ['10.101.8.0/24'], /BackendType is 5000 characters/],
    ['outside', {}, ['172.16.0.0/24'], /lies outside the overlay network/],
    ['whole', {}, ['10.0.0.0/8'], /is the whole overlay network/],
    ['rubbish', {}, ['10.101.9.0/99'], /its PodCIDR "10.101.9.0\/99" is no prefix/],
    ['many', {}, ['10.101.10.0/24', 'fd00::/64', 'fd01::/64'], /it has 3 PodCIDRs/],
    ['none', {}, [], /it has no PodCIDR/],
    [
      'thief',
      { 'public-ip': '192.168.0.1' },
      ['10.101.11.0/24'],
      /PublicIP 192.168.0.1 is that of the older lease/,
    ],
    ['clone', {}, ['10.100.1.0/24'], /its PodCIDR 10.100.1.0-24 is that of the older node good/],
    ['ours', {}, ['10.250.0.0/24'], /overlaps our own/],
  ];

test('of annotations that are none each harms its own node alone, and is named with it', async (t) => {
  const server = await startServer(t);
  server.state.addNode('good', flannelPlan(1, { createdAt: '2020-01-01T00:00:00Z' }));
  const store = await openKubeStore(t, await kubeOptionsFor(t, server));
  for (const [i, [name, annotations, podCidrs]] of poison.entries()) {
    const prefixed = Object.fromEntries(
      Object.entries(annotations).map(([key, value]) => [PREFIX + key, value]),
    );
    server.state.addNode(
      name,
      flannelPlan(50 + i, { podCidrs, annotations: prefixed, createdAt: '2021-01-01T00:00:00Z' }),
    );
  }
  const leases = new LeaseSet({
    networks: [Prefix.parse('10.0.0.0/8')],
    ownSubnets: { v4: Prefix.parse('10.250.0.0/16') },
  });
  leases.apply(await store.list(), Date.now());
  assert.deepEqual(
    leases.leases.map(({ key, holder }) => [key, holder]),
    [['10.100.1.0-24', 'good']],
  );
  for (const [name, , , reason] of poison) {
    const named = leases.quarantined.filter(
      (entry) => entry.key === name || entry.reason.startsWith(`node ${name}: `),
    );
    assert.equal(named.length, 1, `${name}: ${JSON.stringify(leases.quarantined, null, 1)}`);
    assert.match(named[0]?.reason ?? '', reason, name);
  }
});

test('with addresses verified a node cannot send us elsewhere', async (t) => {
  const server = await startServer(t);
  server.state.addNode('honest', flannelPlan(1, { addresses: ['192.168.0.1'] }));
  server.state.addNode('liar', flannelPlan(2, { addresses: ['192.168.0.99'] }));
  const store = await openKubeStore(t, await kubeOptionsFor(t, server, { verifyNodeAddresses: true }));
  const { records, unreadable } = await store.list();
  assert.deepEqual(
    records.map(({ holder }) => holder),
    ['honest'],
  );
  assert.deepEqual(unreadable, [
    { key: '10.100.2.0-24', reason: 'node liar: its public-ip "192.168.0.2" is no address of its node' },
  ]);
});

test('another prefix is another network', async (t) => {
  const server = await startServer(t);
  const ours = Object.entries(flannelPlan(1).annotations ?? {});
  const renamed = Object.fromEntries(ours.map(([key, value]) => [key.replace(PREFIX, 'org.com/x-'), value]));
  server.state.addNode('own', { podCidrs: ['10.100.1.0/24'], annotations: renamed });
  server.state.addNode('b', flannelPlan(2));
  const store = await openKubeStore(t, await kubeOptionsFor(t, server, { annotationPrefix: 'org.com/x-' }));
  assert.deepEqual(
    (await store.list()).records.map(({ holder }) => holder),
    ['own'],
  );
  await store.announce({ ...attributes, publicIp: IpAddress.parse('192.0.2.50') });
  assert.equal(server.state.node('own').metadata.annotations?.['org.com/x-public-ip'], '192.0.2.50');
});

test('nothing is asked for that the list of requests does not name', async (t) => {
  const server = await startServer(t);
  server.state.addNode('own', { podCidrs: ['10.244.0.0/24'] });
  server.state.addPod('ns', 'p', 'own');
  const node = { podNamespace: 'ns', podName: 'p' };
  const followed = await followedKube(t, await kubeOptionsFor(t, server, { node }));
  const store = await openKubeStore(t, await kubeOptionsFor(t, server, { node }));
  await store.announce(attributes);
  await store.announceUp();
  await followed.hasKeys('10.244.0.0-24');
  const asked = new Set(server.asked.map(({ verb, resource }) => `${verb} ${resource}`));
  assert.deepEqual([...asked].sort(), ALL_REQUESTS.map(({ verb, resource }) => `${verb} ${resource}`).sort());
});

test('as a program opens it: by fields, and by what a pod is told', async (t) => {
  const server = await startServer(t);
  server.state.addNode('own', { podCidrs: ['10.100.9.0/24'] });
  server.state.addNode('a', flannelPlan(1));
  const { netConfigPath } = await kubeOptionsFor(t, server);
  for (const own of [{ node: 'own' }, { environment: { NODE_NAME: 'own' } }]) {
    const store = await openStoreOfProgram({ apiUrl: server.url, netConfigPath, ...own });
    t.after(() => store.close());
    assert.match(await store.readConfig(), /"Network":"10\.0\.0\.0\/8"/);
    assert.deepEqual(
      (await store.list()).records.map(({ key, holder }) => [key, holder]),
      [['10.100.1.0-24', 'a']],
    );
  }
});
