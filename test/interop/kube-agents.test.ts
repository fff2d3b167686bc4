/** Whole agents around an API server: leases, traffic, nodes that come and go, and a server that does not hold still. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KubeLab, labOnKube, PREFIX } from '../support/kube/lab.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();
const config = { Backend: { Type: 'vxlan' } };

/** Registers both nodes, starts their agents and waits until they reach each other. */
async function twoThatReach(lab: KubeLab): Promise<void> {
  for (const i of [0, 1])
    await lab.api.addNode(`n${i}`, { podCidrs: [`10.77.${i}.0/24`], addresses: [`192.0.2.${i + 1}`] });
  for (const node of lab.nodes.slice(0, 2)) node.run();
  await Promise.all(lab.nodes.slice(0, 2).map((node) => node.ready(1)));
  await reach(lab);
}

async function reach(lab: KubeLab): Promise<void> {
  await until('n0 reaches n1', () => pings(lab.node(0).namespace, '10.77.1.0'));
  await until('n1 reaches n0', () => pings(lab.node(1).namespace, '10.77.0.0'));
}

for (const type of ['vxlan', 'udp']) {
  test(`two agents on Kubernetes reach each other by ${type}; the first subnet is one too`, {
    skip,
  }, async (t) => {
    const lab = await labOnKube(t, { Backend: { Type: type } });
    await twoThatReach(lab);
    const { node } = await lab.node(0).status();
    assert.equal(base(node.subnet), '10.77.0.0');
    const condition = async () =>
      (await lab.api.node('n0')).status.conditions?.find((entry) => entry.type === 'NetworkUnavailable');
    await until('the condition', async () => (await condition()) !== undefined);
    assert.deepEqual(
      [(await condition())?.status, (await condition())?.['reason']],
      ['False', 'FlannelIsUp'],
    );
    for (const agent of lab.nodes) assert.equal(await agent.stop(), 0, agent.stderr);
    // As with flannel, what a node has said outlives its agent.
    const { annotations } = (await lab.api.node('n0')).metadata;
    assert.equal(annotations?.[`${PREFIX}public-ip`], '192.0.2.1');
    assert.equal(annotations?.[`${PREFIX}kube-subnet-manager`], 'true');
  });
}

test('a server that restarts, closes its watches, and forgets: traffic goes on, and changes are seen', {
  skip,
}, async (t) => {
  const lab = await labOnKube(t, config, { nodes: 3 });
  await twoThatReach(lab);
  const peers = async (count: number) =>
    until(`${count} peers`, async () => (await lab.node(0).status()).peers === count);
  await lab.api.closeWatches();
  await lab.api.addNode('n2', { podCidrs: ['10.77.2.0/24'] });
  lab.node(2).run();
  await lab.node(2).ready(2);
  await peers(2);
  // Away: what is known goes on being forwarded.
  await lab.api.stop();
  await until('the trouble', async () => (await lab.node(0).status()).store.trouble !== null);
  assert.ok(await pings(lab.node(0).namespace, '10.77.2.0'));
  assert.equal((await lab.node(0).status()).ready, true);
  await lab.api.deleteNode('n2');
  await lab.api.compact();
  await lab.api.start();
  await peers(1);
  await reach(lab);
  await until('no trouble', async () => (await lab.node(0).status()).store.trouble === null);
  const refused = lab.node(0).logged('error').concat(lab.node(0).logged('fatal'));
  assert.deepEqual(refused, []);
});

test('a node that is registered anew says again how it is reached; one with another subnet ends with 3', {
  skip,
}, async (t) => {
  const lab = await labOnKube(t, config);
  await twoThatReach(lab);
  await lab.api.deleteNode('n1');
  await until('no peer', async () => (await lab.node(0).status()).peers === 0);
  await lab.api.addNode('n1', { podCidrs: ['10.77.1.0/24'] });
  await until('the peer again', async () => (await lab.node(0).status()).peers === 1);
  await reach(lab);
  const up = async () =>
    (await lab.api.node('n1')).status.conditions?.some(({ type }) => type === 'NetworkUnavailable') === true;
  await until('the condition again', up);
  const ended = new Promise((resolve) => lab.node(1).process?.once('exit', resolve));
  await lab.api.deleteNode('n1');
  await lab.api.addNode('n1', { podCidrs: ['10.77.9.0/24'] });
  assert.equal(await ended, 3);
  assert.match(lab.node(1).lines.join('\n'), /the cluster gives node n1 another subnet: 10\.77\.9\.0-24/);
});

test('a node waits for its PodCIDR, and a restart keeps subnet and MAC', { skip }, async (t) => {
  const lab = await labOnKube(t, config, { nodes: 1 });
  const agent = lab.node(0);
  agent.run();
  await until('a line', async () => /the cluster has no node n0/.test(agent.stderr));
  await lab.api.addNode('n0');
  await until('another line', async () => /node n0 has no PodCIDR yet/.test(agent.stderr));
  await lab.api.deleteNode('n0');
  await lab.api.addNode('n0', { podCidrs: ['10.77.5.0/24'] });
  const first = await agent.started();
  assert.equal(first.node.subnet, '10.77.5.0/24');
  assert.equal(await agent.stop(), 0);
  agent.run();
  const second = await agent.started();
  assert.deepEqual([second.node.subnet, second.backend.mac], [first.node.subnet, first.backend.mac]);
});

test('a start while the server is away goes on from what was known', { skip }, async (t) => {
  const lab = await labOnKube(t, config);
  await twoThatReach(lab);
  assert.equal(await lab.node(0).stop(), 0);
  await lab.api.stop();
  lab.node(0).run();
  await lab.node(0).ready(1);
  await reach(lab);
  assert.ok(
    lab
      .node(0)
      .logged('warn')
      .some((line) => line.startsWith('going on with 10.77.0.0-24')),
  );
  // Gone meanwhile; an annotation its agent would put back before anybody has seen it.
  await lab.api.deleteNode('n1');
  await lab.api.start();
  await until('the news', async () => (await lab.node(0).status()).peers === 0);
});

test('node-public-ip and public-ip-overwrite decide what the others are told', { skip }, async (t) => {
  const lab = await labOnKube(t, config);
  await lab.node(0).namespace.ip('address', 'add', '192.0.2.77/24', 'dev', 'eth0');
  await lab.api.addNode('n0', {
    podCidrs: ['10.77.0.0/24'],
    annotations: { [`${PREFIX}node-public-ip`]: '192.0.2.77' },
  });
  await lab.api.addNode('n1', { podCidrs: ['10.77.1.0/24'] });
  for (const node of lab.nodes) {
    node.iface = '';
    node.run();
  }
  // Without a default route the second has no interface: the first was found by its address alone.
  await lab.node(0).started();
  const publicIp = async () => (await lab.api.node('n0')).metadata.annotations?.[`${PREFIX}public-ip`];
  assert.equal(await publicIp(), '192.0.2.77');
  await lab.api.annotate('n0', { [`${PREFIX}public-ip-overwrite`]: '203.0.113.5' });
  await until('the overwrite', async () => (await publicIp()) === '203.0.113.5');
});

test('dual stack: both families, and a change of one of them', { skip }, async (t) => {
  const both = { EnableIPv6: true, IPv6Network: 'fd00:77::/48', ...config };
  const lab = await labOnKube(t, both, { withIpv6: true });
  for (const i of [0, 1])
    await lab.api.addNode(`n${i}`, { podCidrs: [`10.77.${i}.0/24`, `fd00:77:0:${i}::/64`] });
  for (const node of lab.nodes) node.run();
  await Promise.all(lab.nodes.map((node) => node.ready(2)));
  await reach(lab);
  await until('by IPv6', () => pings(lab.node(0).namespace, 'fd00:77:0:1::'));
  const { annotations = {} } = (await lab.api.node('n1')).metadata;
  assert.equal(annotations[`${PREFIX}public-ipv6`], '2001:db8::2');
  assert.match(annotations[`${PREFIX}backend-v6-data`] ?? '', /^\{"VNI":1,"VtepMAC":"[0-9a-f:]{17}"\}$/);
  // As another hand would: the agent of n1 puts it right, and n0 has seen both.
  await lab.api.annotate('n1', { [`${PREFIX}public-ipv6`]: '2001:db8::99' });
  await until('put right', async () => {
    const { annotations: now = {} } = (await lab.api.node('n1')).metadata;
    return now[`${PREFIX}public-ipv6`] === '2001:db8::2';
  });
  await until('by IPv6 again', () => pings(lab.node(0).namespace, 'fd00:77:0:1::'));
});

test('a PodCIDR outside of the network ends the start, and says which two must agree', {
  skip,
}, async (t) => {
  const lab = await labOnKube(t, config, { nodes: 1 });
  await lab.api.addNode('n0', { podCidrs: ['10.99.0.0/24'] });
  const { code, line } = await lab.node(0).fail();
  assert.equal(code, 1);
  assert.match(
    line,
    /PodCIDR 10\.99\.0\.0\/24 of node n0 lies outside Network 10\.77\.0\.0\/16: let net-conf\.json and/,
  );
});

test('a role that lacks a right ends the start with its name', { skip }, async (t) => {
  const lab = await labOnKube(t, config, { nodes: 1 });
  await lab.api.addNode('n0', { podCidrs: ['10.77.0.0/24'] });
  await lab.api.setFaults({ forbidden: ['patch nodes/status'] });
  const { code, line } = await lab.node(0).fail();
  assert.equal(code, 1);
  assert.match(
    line,
    /does not let us patch nodes\/status \(403 Forbidden nodes "n0" is forbidden: .*\): the role of our service account must allow it/,
  );
});
