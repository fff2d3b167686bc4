/** How an agent ends and begins again: by signals, by force, beside another one. */
import assert from 'node:assert/strict';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { udpFlow } from '../../src/lab/traffic.js';
import { AgentNode, labOfTwo, network } from '../support/agent-node.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function hasDevice(node: AgentNode, device: string): Promise<boolean> {
  const links = JSON.parse(await node.namespace.ip('-j', 'link')) as { ifname: string }[];
  return links.some(({ ifname }) => ifname === device);
}

for (const [type, signal] of [
  ['vxlan', 'SIGTERM'],
  ['udp', 'SIGINT'],
] as const) {
  test(`${signal} ends it with 0: device and socket go, lease and subnet.env stay`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { nodes, record, store } = await labOfTwo(t, { Backend: { Type: type } });
    const [a] = nodes;
    a.run();
    const { node } = await a.started();
    const key = node.subnet.replace('/', '-');
    const lease = await readFile(record(key), 'utf8');
    assert.ok(await hasDevice(a, node.device));
    // Twice at once, as Ctrl-C comes under npm.
    a.process?.kill(signal);
    assert.equal(await a.stop(signal), 0);
    assert.equal(await hasDevice(a, node.device), false);
    assert.equal(await a.namespace.ip('route', 'show', network), '');
    assert.equal(await isThere(a.socket), false);
    assert.ok(await isThere(a.subnetFile));
    assert.equal(await readFile(record(key), 'utf8'), lease);
    assert.ok(Date.parse((await readFile(join(store, 'expiry', key), 'utf8')).trim()) > Date.now());
    assert.deepEqual(a.lines, [], 'an end that was asked for is no failure');
    a.run();
    assert.equal((await a.started()).node.subnet, node.subnet);
  });
}

test('kill -9, at once or amid traffic: the next start takes over what was left', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  a.run();
  b.run();
  const [left, right] = await Promise.all([a.started(), b.started()]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => pings(a.namespace, target));
  const flow = udpFlow(a.namespace, b.namespace, target, {
    ...{ durationMs: 2000, packetsPerSecond: 1000, payloadBytes: 400 },
  });
  const { delivered } = (await b.status()).counters.decap;
  await until('the flow runs', async () => (await b.status()).counters.decap.delivered > delivered + 100);
  assert.equal(await b.stop('SIGKILL'), null);
  assert.equal(await hasDevice(b, right.node.device), false);
  assert.ok(await isThere(b.socket), 'the socket of the dead is in the way');
  b.run();
  const again = await b.started();
  assert.deepEqual(
    [again.node.subnet, again.backend.mac, again.node.device],
    [right.node.subnet, right.backend.mac, right.node.device],
  );
  await until('a reaches b again', () => pings(a.namespace, target));
  assert.ok(await pings(b.namespace, base(left.node.subnet)));
  const { sent, received, lost } = await flow;
  t.diagnostic(`${lost} of ${sent.sent} lost, ${received.duplicated} came twice`);
  assert.equal(received.duplicated, 0);
});

test('stopped for a second and continued, a busy agent has lost nothing', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  a.run();
  b.run();
  const [, right] = await Promise.all([a.started(), b.started()]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => pings(a.namespace, target));
  const flow = udpFlow(a.namespace, b.namespace, target, {
    ...{ durationMs: 2000, packetsPerSecond: 1000, payloadBytes: 400 },
  });
  const { delivered } = (await b.status()).counters.decap;
  await until('the flow runs', async () => (await b.status()).counters.decap.delivered > delivered + 100);
  for (const node of nodes) node.process?.kill('SIGSTOP');
  // A second of the flow itself: the queues must hold it.
  const stoppedAtMs = Date.now();
  await until('a second has passed', async () => Date.now() - stoppedAtMs > 1000);
  for (const node of nodes) node.process?.kill('SIGCONT');
  const { sent, lost, received } = await flow;
  assert.deepEqual([lost, sent.refused, received.reordered], [0, 0, 0]);
});

test('SIGHUP reads the network configuration again and says what needs a restart', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, store } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  a.run();
  const { node } = await a.started();
  const told = (level: string, what: RegExp) => async () =>
    a.logged(level).some((message) => what.test(message));
  a.process?.kill('SIGHUP');
  await until('nothing has changed', told('info', /^reloaded: the network configuration is as it was/));
  await writeFile(
    join(store, 'config'),
    JSON.stringify({ Network: network, Backend: { Type: 'vxlan', VNI: 7 } }),
  );
  a.process?.kill('SIGHUP');
  await until(
    'the change is named',
    told('warn', /^reloaded: backend changed, which takes effect at a restart/),
  );
  await writeFile(join(store, 'config'), '{"Network":"10.77.0.0/99"}');
  a.process?.kill('SIGHUP');
  await until(
    'the fault is named',
    told('error', /^reload failed, all stays as it is: directory .*Network is "10\.77\.0\.0\/99"/),
  );
  assert.deepEqual((await a.status()).node.subnet, node.subnet);
  assert.equal(await a.stop(), 0);
});

test('a second agent that would share the device is refused, and harms nothing', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, directory } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  a.run();
  const first = await a.started();
  // Of another cluster, with another port: only the name of the device is the same.
  const store = join(directory, 'other-store');
  await mkdir(join(store, 'subnets'), { recursive: true });
  await writeFile(
    join(store, 'config'),
    JSON.stringify({ Network: '10.88.0.0/16', Backend: { Type: 'vxlan', Port: 9999 } }),
  );
  const second = new AgentNode(a.namespace, join(directory, 'other-store'), store);
  const { code, line } = await second.fail();
  assert.equal(code, 1);
  assert.match(
    line,
    /^twill: device flannel\.1 is in use by process \d+ \(\w+\): stop it, or choose another name with --tun-name$/,
  );
  assert.ok(await hasDevice(a, first.node.device));
  assert.equal((await a.status()).node.deviceTrouble, null);
  // With a name of its own it runs beside the first.
  second.run(['--tun-name=flannel.other']);
  assert.equal((await second.started()).node.device, 'flannel.other');
  assert.deepEqual([await second.stop(), await a.stop()], [0, 0]);
});
