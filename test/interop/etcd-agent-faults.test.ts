/** Whole agents whose etcd is down, frozen, compacted or taken over by others: packets pass, and it ends well. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LineProcess } from '../../src/lab/line-process.js';
import { type AgentNode, vxlanLease } from '../support/agent-node.js';
import { type Etcd, etcdPrefix, noEtcd } from '../support/etcd.js';
import { labOnEtcd } from '../support/etcd-lab.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';

const skip = (await cannotRun()) || noEtcd();
const vxlan = { Backend: { Type: 'vxlan' } };
const busyEtcd = fileURLToPath(new URL('../support/busy-etcd.js', import.meta.url));

function ended(agent: AgentNode): Promise<unknown[]> {
  return once(agent.process ?? assert.fail('not started'), 'close');
}

async function keyOf(agent: AgentNode): Promise<string> {
  return (await agent.status()).node.subnet.replace('/', '-');
}

async function fieldsOf(etcd: Etcd, key: string): Promise<string> {
  return etcd.ctl('get', '-w', 'fields', `${etcdPrefix}/subnets/${key}`);
}

test('etcd is killed and comes back: no packet is lost, and it is said once and again', {
  skip,
}, async (t) => {
  const { etcd, nodes, node } = await labOnEtcd(t, vxlan);
  for (const agent of nodes) agent.run();
  await Promise.all(nodes.map((agent) => agent.ready(1)));
  const [a, b] = [node(0), node(1)];
  const target = base((await b.status()).node.subnet);
  await until('a ping', () => pings(a.namespace, target));
  const flood = a.namespace.exec('ping', ['-n', '-i', '0.02', '-c', '300', '-w', '60', target], 90_000);
  await etcd.member().kill();
  await until('trouble', async () => (await a.status()).store.trouble !== null);
  const cpu = await a.cpuShare(() => delay(4000));
  t.diagnostic(`${(cpu * 100).toFixed(1)} % of a core while etcd is down, with 50 pings a second`);
  assert.ok(cpu < 0.2, `${cpu}`);
  assert.match((await flood).stdout, /300 packets transmitted, 300 received/);
  await etcd.member().start();
  await until('well again', async () => (await a.status()).store.trouble === null);
  const said = a.logged('warn').filter((line) => line.startsWith('trouble with etcd'));
  assert.equal(said.length, 1, said.join('\n'));
  assert.equal(a.logged('info').filter((line) => line.endsWith('is well again')).length, 1);
  assert.equal((await a.status()).peers, 1);
});

test('"too many requests" for a while: packets pass, it is said once and again, and the lease is kept', {
  skip,
}, async (t) => {
  const { etcd, nodes, node, namespace } = await labOnEtcd(t, vxlan);
  const [host, port] = new URL(etcd.endpoints[0] ?? '').host.split(':');
  const gate = new LineProcess(namespace, busyEtcd, [`${host}:2390`, `${host}:${port}`]);
  t.after(() => gate.end());
  await gate.next();
  const [a, b] = [node(0), node(1)];
  for (const agent of nodes) {
    agent.storeFlags = [`--etcd-endpoints=http://${host}:2390`];
    agent.run(['--lease-ttl=20']);
  }
  await Promise.all(nodes.map((agent) => agent.ready(1)));
  const [key, target] = [await keyOf(a), base((await b.status()).node.subnet)];
  await until('a ping', () => pings(a.namespace, target));
  const flood = a.namespace.exec('ping', ['-n', '-i', '0.02', '-c', '300', '-w', '60', target], 90_000);

  gate.send(true);
  const before = Number(await gate.next());
  await until('it says so', async () => a.logged('warn').some((line) => /too many requests/.test(line)));
  const cpu = await a.cpuShare(() => delay(3000));
  gate.send(false);
  const refused = Number(await gate.next()) - before;
  t.diagnostic(`${refused} calls refused; ${(cpu * 100).toFixed(1)} % of a core`);
  assert.ok(refused > 0 && refused < 100, `${refused}`);
  assert.ok(cpu < 0.2, `${cpu}`);
  assert.match((await flood).stdout, /300 packets transmitted, 300 received/);
  await until('it is kept again', async () =>
    a.logged('info').some((line) => line === `lease ${key} is kept again`),
  );
  assert.equal(await keyOf(a), key);
  assert.equal(a.logged('warn').filter((line) => /too many requests/.test(line)).length, 1);
  assert.equal((await a.status()).peers, 1);
});

test('a start with etcd down goes on from the last good snapshot', { skip }, async (t) => {
  const { etcd, nodes, node } = await labOnEtcd(t, vxlan);
  for (const agent of nodes) agent.run();
  await Promise.all(nodes.map((agent) => agent.ready(1)));
  const [a, b] = [node(0), node(1)];
  const [before, target] = [await a.status(), base((await b.status()).node.subnet)];
  const key = await keyOf(a);
  assert.equal(await a.stop(), 0);
  await etcd.member().stop();
  const beganMs = Date.now();
  a.run();
  const status = await a.ready(1);
  t.diagnostic(`ready ${Date.now() - beganMs} ms after the start of the process`);
  assert.equal(status.node.subnet, before.node.subnet);
  assert.equal(status.backend.mac, before.backend.mac);
  await until('trouble is shown', async () => (await a.status()).store.trouble !== null);
  const shownAt = (await a.status()).store.lastSnapshotAt;
  assert.ok(shownAt !== null && Date.parse(shownAt) < beganMs, `age of what is known: ${shownAt}`);
  await until('a ping', () => pings(a.namespace, target));
  assert.ok(a.logged('warn').some((line) => line.includes('going on with what was known at')));

  const lease = /"Lease" : \d+/;
  await etcd.member().start();
  await etcd.healthy();
  await until('well again', async () => (await a.status()).store.trouble === null);
  await etcd.put('subnets/10.77.200.0-24', vxlanLease('192.0.2.77', '02:00:00:00:00:77'));
  await until('the new peer', async () => (await a.status()).peers === 2);
  // And the lease is ours again by a fresh look, not by memory.
  await until('renewed', async () => a.logged('info').some((line) => line.startsWith('Lease renewed')));
  assert.match(await fieldsOf(etcd, key), lease);
});

test('a start with etcd down and nothing known waits, and a damaged snapshot is nothing', {
  skip,
}, async (t) => {
  const { etcd, nodes, node } = await labOnEtcd(t, vxlan, { nodes: 1 });
  const [agent] = nodes;
  assert.ok(agent);
  agent.run();
  await agent.ready(0);
  await agent.stop();
  const [name] = (await readdir(agent.directory)).filter((file) => file.startsWith('last-good-'));
  const file = join(agent.directory, name ?? assert.fail('no snapshot was written'));
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('10.77.', '10.78.'));
  await etcd.member().stop();
  agent.run();
  await until('it waits', async () =>
    agent.logged('warn').some((line) => line.startsWith('waiting for the store')),
  );
  assert.ok(agent.logged('warn').some((line) => /is of no use: its checksum is wrong/.test(line)));
  const cpu = await agent.cpuShare(() => delay(5000));
  t.diagnostic(`${(cpu * 100).toFixed(1)} % of a core while waiting`);
  assert.ok(cpu < 0.2, `${cpu}`);
  assert.equal(agent.logged('warn').filter((line) => line.startsWith('waiting for the store')).length, 1);
  await etcd.member().start();
  await node(0).ready(0);
  assert.equal(await agent.stop(), 0);
  // A stop while it waits is a stop.
  await etcd.member().kill();
  await writeFile(file, '');
  agent.run();
  await until('it waits', async () =>
    agent.logged('warn').some((line) => line.startsWith('waiting for the store')),
  );
  assert.equal(await agent.stop(), 0);
});

test('no configuration yet: it waits, as flannel does', { skip }, async (t) => {
  const { etcd, node } = await labOnEtcd(t, vxlan, { nodes: 1 });
  const config = (await etcd.records())[1] ?? '';
  await etcd.remove('config');
  const agent = node(0);
  agent.run();
  await until('it says so', async () =>
    agent.logged('warn').some((line) => line.includes('there is no /coreos.com/network/config')),
  );
  await etcd.put('config', config);
  await agent.ready(0);
});

test('a lease that another node has taken ends the agent', { skip }, async (t) => {
  const { etcd, node } = await labOnEtcd(t, vxlan, { nodes: 1 });
  const agent = node(0);
  agent.run();
  await agent.ready(0);
  const key = await keyOf(agent);
  const end = ended(agent);
  await etcd.put(`subnets/${key}`, vxlanLease('192.0.2.99', '02:00:00:00:00:99'));
  const [code] = await end;
  assert.equal(code, 3);
  assert.match(agent.lines.join('\n'), /our lease .* is lost: it is now held by node 192\.0\.2\.99/);
  assert.ok((await etcd.records()).includes(vxlanLease('192.0.2.99', '02:00:00:00:00:99')));
});

test('removed by hand while another node took a part of it: lost, and not fought for', {
  skip,
}, async (t) => {
  const { etcd, node, cutOff, healed } = await labOnEtcd(t, vxlan, { nodes: 1 });
  const agent = node(0);
  agent.run();
  await agent.ready(0);
  const key = await keyOf(agent);
  const part = `subnets/${key.replace('-24', '-25')}`;
  await cutOff(0);
  await etcd.remove(`subnets/${key}`);
  await etcd.put(part, vxlanLease('192.0.2.99', '02:00:00:00:00:99'));
  const end = ended(agent);
  await healed(0);
  const [code] = await end;
  assert.equal(code, 3);
  assert.match(agent.lines.join('\n'), /our lease .* is lost: lease .*-25 now covers it/);
  assert.deepEqual((await etcd.records()).slice(2), [
    `${etcdPrefix}/${part}`,
    vxlanLease('192.0.2.99', '02:00:00:00:00:99'),
  ]);
});

test('a lease that was removed by hand is put back; one that a hand changed is mended', {
  skip,
}, async (t) => {
  const { etcd, node } = await labOnEtcd(t, vxlan, { nodes: 1 });
  const agent = node(0);
  agent.run();
  await agent.ready(0);
  const key = await keyOf(agent);
  const path = `${etcdPrefix}/subnets/${key}`;
  const valueNow = async () => (await etcd.records())[(await etcd.records()).indexOf(path) + 1];
  const value = await valueNow();
  await etcd.remove(`subnets/${key}`);
  await until('it is back', async () => (await etcd.records()).includes(path));
  assert.equal(await valueNow(), value);
  // Without an etcd lease it is a reservation from now on, and says what it should.
  await etcd.put(`subnets/${key}`, '{"PublicIP":"192.0.2.1"}');
  await until('mended', async () => (await valueNow()) === value);
  assert.match(await fieldsOf(etcd, key), /"Lease" : 0/);
});

test('a partition that outlasts the lease: taken meanwhile, it ends; free, it is taken back', {
  skip,
}, async (t) => {
  const { etcd, node, cutOff, healed } = await labOnEtcd(t, vxlan);
  const [a, b] = [node(0), node(1)];
  for (const agent of [a, b]) agent.run(['--lease-ttl=8']);
  await Promise.all([a.ready(1), b.ready(1)]);
  const [keyA, keyB] = [await keyOf(a), await keyOf(b)];
  // Each is cut off from etcd, not from the other.
  for (const index of [0, 1]) await cutOff(index);
  await until(
    'both leases have ended',
    async () => !(await etcd.records()).some((line) => line.endsWith(keyA) || line.endsWith(keyB)),
    60_000,
  );
  assert.ok(await pings(a.namespace, base((await b.status()).node.subnet)), 'packets pass all the same');
  await etcd.put(`subnets/${keyA}`, vxlanLease('192.0.2.99', '02:00:00:00:00:99'));
  const end = ended(a);
  for (const index of [0, 1]) await healed(index);
  const [code] = await end;
  assert.equal(code, 3);
  assert.match(a.lines.join('\n'), /our lease .* is lost/);
  await until(
    'the other has its lease back',
    async () => (await etcd.records()).some((line) => line.endsWith(keyB)),
    60_000,
  );
  assert.equal(await keyOf(b), keyB);
});

test('the password is in no output', { skip }, async (t) => {
  const { etcd, node } = await labOnEtcd(t, vxlan, { nodes: 1 });
  const password = 'pa55-w0rd-7e1a';
  await etcd.addUser('twill', password);
  await etcd.enableAuth();
  const agent = node(0);
  const credentials = ['--etcd-username=twill', `--etcd-password=${password}`];
  agent.run([...credentials, '--log-level=trace', '--healthz-port=8081']);
  await agent.ready(0);
  const shown = [
    JSON.stringify(await agent.status()),
    await agent.twill('status'),
    await agent.twill('peers'),
    await agent.twill('top', '--json'),
    await metricsOf(agent),
  ];
  await agent.stop();
  shown.push(agent.stderr);
  for (const file of await readdir(agent.directory)) {
    if (file.startsWith('last-good-')) shown.push(await readFile(join(agent.directory, file), 'utf8'));
  }
  const wrong = await agent.fail(['--etcd-username=twill', `--etcd-password=${password}x`, '--state-dir=']);
  assert.equal(wrong.code, 1);
  assert.match(
    wrong.line,
    /^twill: etcd at http:\/\/192\.0\.2\.250:2379: .*refuses user "twill": check --etcd-username/,
  );
  assert.ok(!wrong.line.includes('\n'));
  shown.push(agent.stderr);
  assert.ok(shown.every((text) => text.length > 0));
  assert.ok(!shown.some((text) => text.includes(password)));
});

async function metricsOf({ namespace }: AgentNode): Promise<string> {
  const script = `process.stdout.write(await (await fetch('http://127.0.0.1:8081/metrics')).text())`;
  return (await namespace.exec(process.execPath, ['--input-type=module', '-e', script])).stdout;
}
