/**
 * Whole agents, as processes, in network namespaces: real TUN devices, real UDP, the real `ping`. Waits are conditions
 * with a limit, never fixed times.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { AgentNode, labOfTwo } from '../support/agent-node.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

for (const type of ['vxlan', 'udp'] as const) {
  test(`two agents, ${type}: ping both ways, full frames, and an exact account`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const lab = await labOfTwo(t, { Backend: { Type: type } });
    const [a, b] = lab.nodes;
    a.run();
    b.run();
    const [left, right] = await Promise.all([a.started(), b.started()]);
    assert.notEqual(left.node.subnet, right.node.subnet);
    await until('a reaches b', () => pings(a.namespace, base(right.node.subnet)));
    await until('b reaches a', () => pings(b.namespace, base(left.node.subnet)));
    const fullBytes = String(left.node.mtuBytes - 28);
    assert.ok(
      await pings(a.namespace, base(right.node.subnet), '-M', 'do', '-s', fullBytes),
      'a packet of exactly the MTU passes',
    );
    assert.match(
      await readFile(a.subnetFile, 'utf8'),
      new RegExp(`^FLANNEL_MTU=${left.node.mtuBytes}$`, 'm'),
    );
    const { identity, peers, store } = await a.status();
    assert.deepEqual(
      { identity, peers, trouble: store.trouble },
      { identity: { encap: true, decap: true }, peers: 1, trouble: null },
    );
    assert.match(await a.twill('trace', base(right.node.subnet)), /192\.0\.2\.2/);
    assert.match(await a.twill('peers'), /192\.0\.2\.2/);
    assert.deepEqual([await a.stop('SIGINT'), await b.stop()], [0, 0]);
    const devices = await a.namespace.ip('-o', 'link');
    assert.doesNotMatch(
      devices,
      new RegExp(left.node.device.replace('.', '\\.')),
      'the device went with the agent',
    );
  });
}

test('a lease file written by hand for a kernel vxlan peer pings both ways within a second', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, record } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  a.run();
  const { node } = await a.started();
  const mac = '0e:2a:00:00:00:02';
  const own = JSON.parse(await readFile(record(node.subnet.replace('/', '-')), 'utf8'));
  // The peer as flannel sets it up.
  const ip = (...args: string[]) => b.namespace.ip(...args);
  const device = [
    'type',
    'vxlan',
    'id',
    '1',
    'local',
    '192.0.2.2',
    'dev',
    'eth0',
    'dstport',
    '8472',
    'nolearning',
  ];
  await ip('link', 'add', 'flannel.1', 'address', mac, 'mtu', '1450', ...device);
  await ip('address', 'add', '10.77.250.0/32', 'dev', 'flannel.1');
  await ip('link', 'set', 'flannel.1', 'up');
  const vtep = own.BackendData.VtepMAC as string;
  await ip('neighbour', 'add', base(node.subnet), 'lladdr', vtep, 'dev', 'flannel.1', 'nud', 'permanent');
  await b.namespace.exec('bridge', ['fdb', 'add', vtep, 'dev', 'flannel.1', 'dst', '192.0.2.1']);
  await ip('route', 'add', node.subnet, 'via', base(node.subnet), 'dev', 'flannel.1', 'onlink');

  const backend = `"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}`;
  await writeFile(record('10.77.250.0-24'), `{"PublicIP":"192.0.2.2","PublicIPv6":null,${backend}}`);
  const writtenAtMs = Date.now();
  await until('ours reaches the kernel', () => pings(a.namespace, '10.77.250.0', '-W', '0.2'), 5000);
  const tookMs = Date.now() - writtenAtMs;
  assert.ok(tookMs < 1000, `reachable after ${tookMs} ms`);
  assert.ok(await pings(b.namespace, base(node.subnet)), 'the kernel reaches ours');

  await t.test("a kernel device of another's that holds the port is named", async () => {
    await ip('link', 'set', 'flannel.1', 'down');
    await ip('link', 'set', 'flannel.1', 'name', 'vx9');
    await ip('link', 'set', 'vx9', 'up');
    const { code, line } = await b.fail();
    assert.equal(code, 1);
    assert.match(line, /^twill: [^\n]*vxlan device vx9[^\n]*ip link delete vx9[^\n]*$/);
  });
});

test('junk, broken JSON and a second claim are quarantined by name; other peers never notice', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, store, record } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  a.run();
  b.run();
  const [, right] = await Promise.all([a.started(), b.started()]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => pings(a.namespace, target));
  await mkdir(record('10.77.244.0-24'));
  await writeFile(record('junk'), 'x');
  await writeFile(record('10.77.240.0-24'), '{"PublicIP":');
  await writeFile(record('10.77.241.0-24'), '{"PublicIP":"127.0.0.1"}');
  // Two nodes claim one range: the second to come is refused.
  const lease = (publicIp: string, mac: string) =>
    `{"PublicIP":"${publicIp}","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`;
  await writeFile(record('10.77.242.0-24'), lease('192.0.2.42', '02:00:00:00:00:42'));
  await until('the first claim is a peer', async () => (await a.status()).peers === 2);
  await writeFile(record('10.77.242.0-25'), lease('192.0.2.43', '02:00:00:00:00:43'));
  await writeFile(record('10.77.243.0-24'), lease('192.0.2.44', '02:00:00:00:00:42'));
  const bad = [
    '10.77.240.0-24',
    '10.77.241.0-24',
    '10.77.242.0-25',
    '10.77.243.0-24',
    '10.77.244.0-24',
    'junk',
  ];
  const named = async () => (await a.status()).quarantined.map(({ key }) => key).sort();
  await until('all bad records are named', async () => (await named()).length === bad.length);
  assert.deepEqual(await named(), bad);
  const text = await a.twill('status');
  for (const key of bad) assert.ok(text.includes(`  ${key}: `), `${key} is shown to people`);
  assert.equal((await a.status()).peers, 2);
  assert.ok(await pings(a.namespace, target));
  assert.ok(await pings(b.namespace, base((await a.status()).node.subnet)));
  assert.deepEqual(
    (await readdir(join(store, 'subnets'))).filter((name) => name === 'junk'),
    ['junk'],
    'nothing of it is touched',
  );
});

test('a restart keeps subnet and MAC; a lease taken by another node ends the agent with 3', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes, record, writeRecord } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  a.run();
  const first = await a.started();
  const path = record(first.node.subnet.replace('/', '-'));
  const macOf = async () => JSON.parse(await readFile(path, 'utf8')).BackendData.VtepMAC;
  const mac = await macOf();
  assert.equal(await a.stop(), 0);
  const child = a.run();
  const second = await a.started();
  assert.deepEqual([second.node.subnet, await macOf()], [first.node.subnet, mac]);
  const end = once(child, 'close');
  // Moved into place: what it reads half-written the agent takes for damage, and mends.
  await writeRecord(
    first.node.subnet.replace('/', '-'),
    '{"PublicIP":"192.0.2.77","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:77"}}',
  );
  const [code] = (await end) as [number | null];
  assert.equal(code, 3);
  assert.match(a.stderr, /^twill: our lease .* is lost: it is now held by node 192\.0\.2\.77/m);
});

test('two agents on one host: the second says why it cannot', { skip, timeout: 60_000 }, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  a.run();
  await a.started();
  const second = new AgentNode(a.namespace, a.directory, a.store);
  const sameSocket = await second.fail();
  assert.equal(sameSocket.code, 1);
  assert.match(sameSocket.line, /^twill: [^\n]*a\.sock[^\n]*$/);
  const sameDevice = await second.fail([`--control-socket=${join(a.directory, 'other.sock')}`]);
  assert.equal(sameDevice.code, 1);
  assert.match(sameDevice.line, /^twill: [^\n]+$/);
  second.iface = 'nope0';
  const noInterface = await second.fail([`--control-socket=${join(a.directory, 'other.sock')}`]);
  assert.equal(noInterface.code, 1);
  assert.match(
    noInterface.line,
    /^twill: no interface matches --iface=nope0; interfaces here: [^\n]*eth0 \(192\.0\.2\.1/,
  );
});
