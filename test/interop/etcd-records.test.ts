/** What stands in etcd, byte for byte as flannel writes it, and what may stand there beside it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { udpFlow } from '../../src/lab/traffic.js';
import { EtcdClient } from '../../src/store/etcd/client.js';
import { TXN } from '../../src/store/etcd/rpc.js';
import { type AgentNode, vxlanLease } from '../support/agent-node.js';
import { etcdPrefix, noEtcd, startEtcd } from '../support/etcd.js';
import { labOnEtcd } from '../support/etcd-lab.js';
import { FollowedStore } from '../support/followed-store.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';
import { badFields, badKeys, badValues, poisonLease } from '../support/poison-records.js';

const skip = (await cannotRun()) || noEtcd();
const subnets = `${etcdPrefix}/subnets/`;

async function recordOf(agent: AgentNode): Promise<{ key: string; mac: string }> {
  const { node, backend } = await agent.status();
  const key = node.subnet.split(' ').map((subnet) => subnet.replace('/', '-'));
  return { key: `${subnets}${key.join('&')}`, mac: backend.mac };
}

for (const [what, config, flags, expected] of [
  ['udp', { Backend: { Type: 'udp' } }, [], () => '{"PublicIP":"192.0.2.1","PublicIPv6":null}'],
  ['udp, the type left out', {}, [], () => '{"PublicIP":"192.0.2.1","PublicIPv6":null}'],
  [
    'vxlan',
    { Backend: { Type: 'vxlan' } },
    [],
    (mac: string) =>
      `{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`,
  ],
  [
    'vxlan with a VNI and another public IP',
    { Backend: { Type: 'vxlan', VNI: 4096 } },
    ['--public-ip=198.51.100.7'],
    (mac: string) =>
      `{"PublicIP":"198.51.100.7","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":4096,"VtepMAC":"${mac}"}}`,
  ],
] as const) {
  test(`the record of a node with ${what}, as etcdctl shows it`, { skip }, async (t) => {
    const { etcd, node } = await labOnEtcd(t, config, { nodes: 1 });
    const agent = node(0);
    agent.run([...flags]);
    await agent.ready(0);
    const { key, mac } = await recordOf(agent);
    assert.deepEqual((await etcd.records()).slice(2), [key, expected(mac)]);
    const ttlSeconds = /"Lease" : (\d+)/.exec(await etcd.ctl('get', '-w', 'fields', key))?.[1] ?? '0';
    const lease = BigInt(ttlSeconds).toString(16);
    assert.match(await etcd.ctl('lease', 'timetolive', lease), /granted with TTL\(86400s\)/);
  });
}

test('the record of a node with IPv4 and IPv6', { skip }, async (t) => {
  const config = { EnableIPv6: true, IPv6Network: 'fd00:77::/48', Backend: { Type: 'vxlan' } };
  const { etcd, node } = await labOnEtcd(t, config, { nodes: 1 });
  const agent = node(0);
  await agent.namespace.ip('address', 'add', '2001:db8::1/64', 'dev', 'eth0', 'nodad');
  agent.run();
  await agent.ready(0);
  const { key, mac } = await recordOf(agent);
  const data = `{"VNI":1,"VtepMAC":"${mac}"}`;
  assert.match(key, /\/10\.77\.\d+\.0-24&fd00:77:0:[0-9a-f]+::-64$/);
  assert.deepEqual((await etcd.records()).slice(2), [
    key,
    `{"PublicIP":"192.0.2.1","PublicIPv6":"2001:db8::1","BackendType":"vxlan","BackendData":${data},"BackendV6Data":${data}}`,
  ]);
});

test('records that flannel has written, of every age, are peers', { skip }, async (t) => {
  const { etcd, node } = await labOnEtcd(t, { Backend: { Type: 'vxlan' } }, { nodes: 1 });
  const [v11, v15, v28] = ['192.168.64.1', '192.168.64.2', '192.168.64.3'].map((publicIp, i) => {
    const mac = `c6:d2:32:6f:8f:4${i}`;
    return [
      `{"PublicIP":"${publicIp}","BackendType":"vxlan","BackendData":{"VtepMAC":"${mac}"}}`,
      `{"PublicIP":"${publicIp}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`,
      vxlanLease(publicIp, mac),
    ][i] as string;
  });
  const lease = await etcd.grant(86_400);
  await etcd.put('subnets/10.77.101.0-24', v11 ?? '', `--lease=${lease}`);
  await etcd.put('subnets/10.77.102.0-24', v15 ?? '', `--lease=${lease}`);
  const agent = node(0);
  agent.run();
  await agent.ready(2);
  await etcd.put('subnets/10.77.103.0-24', v28 ?? '', `--lease=${lease}`);
  await until('the third', async () => (await agent.status()).peers === 3);
  // A node that goes takes its lease with it, and all that hangs on it.
  await etcd.ctl('lease', 'revoke', lease);
  await until('none is left', async () => (await agent.status()).peers === 0);
  assert.deepEqual((await agent.status()).quarantined, []);
});

test('poisoned records in etcd: none accepted, nobody moved, all named', { skip }, async (t) => {
  const { etcd, nodes, node } = await labOnEtcd(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = [node(0), node(1)];
  for (const agent of nodes) agent.run();
  const [left, right] = await Promise.all([a.ready(1), b.ready(1)]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => pings(a.namespace, target));
  const peersBefore = await a.peers();
  const flow = udpFlow(a.namespace, b.namespace, target, {
    ...{ durationMs: 3000, packetsPerSecond: 500, payloadBytes: 400 },
  });
  const written = new Set<string>();
  let next = 130;
  const put = async (value: string, name = `10.77.${next++}.0-24`) => {
    await etcd.put(`subnets/${name}`, value);
    written.add(name);
  };
  for (const [i, key] of [...badKeys, '', 'a/b', '../config', '\u001b[2J'].entries())
    await put(poisonLease(i), key);
  // What a command line can hold; the rest is in the test of raw bytes.
  for (const value of badValues) if (typeof value === 'string' && value.length < 100_000) await put(value);
  const macs = [left, right].map(({ backend }) => ({ mac: backend.mac }));
  for (const [i, fields] of badFields(macs[0] ?? { mac: '' }, macs[1] ?? { mac: '' }).entries()) {
    const value = poisonLease(i + 100, fields);
    if (value.length < 100_000) await put(value);
  }
  for (const subnet of [left.node.subnet, right.node.subnet]) {
    await put(poisonLease(200), `${base(subnet)}-25`);
    await put(poisonLease(201), `${base(subnet).replace(/\d+\.0$/, '0.0')}-17`);
  }
  // Beside the leases, and none of them.
  await etcd.ctl(
    'put',
    `${etcdPrefix}/subnetsX/10.77.121.0-24`,
    vxlanLease('192.0.2.121', '02:00:00:00:00:21'),
  );
  await etcd.ctl('put', `${etcdPrefix}/subnets`, vxlanLease('192.0.2.122', '02:00:00:00:00:22'));
  t.diagnostic(`${written.size} records`);
  const unnamed = async () => {
    const named = new Set((await a.status()).quarantined.map(({ key }) => key));
    return [...written].filter((key) => !named.has(key));
  };
  await until('all are named', async () => (await unnamed()).length === 0).catch(async (error) => {
    assert.deepEqual(await unnamed(), [], String(error));
  });
  assert.deepEqual(whereTo(await a.peers()), whereTo(peersBefore));
  assert.equal((await a.status()).quarantined.length, written.size);
  assert.ok(!(await a.twill('status')).includes('\u001b'));
  const { sent, lost } = await flow;
  assert.deepEqual([lost, sent.refused], [0, 0]);
  await etcd.put('subnets/10.77.120.0-24', vxlanLease('192.0.2.120', '02:00:00:00:00:20'));
  await until('a good one among them is taken', async () => (await a.status()).peers === 2);
});

/** What of a peer only a lease can change. */
function whereTo(peers: unknown): unknown {
  const rows = peers as { key: string; subnet: string; endpoint: unknown; mac: string }[];
  return rows.map(({ key, subnet, endpoint, mac }) => ({ key, subnet, endpoint, mac }));
}

test('keys and values of raw bytes, and large ones: named alone', { skip: noEtcd() }, async (t) => {
  const etcd = await startEtcd(t);
  const client = new EtcdClient(etcd.options());
  t.after(() => client.close());
  const good = '{"PublicIP":"192.0.2.1","PublicIPv6":null}';
  const put = (key: Buffer, value: Buffer) =>
    client.call(TXN, {
      success: [{ put: { key: Buffer.concat([Buffer.from(subnets), key]), value, lease: 0n } }],
    });
  await put(Buffer.from('10.5.1.0-24'), Buffer.from(good));
  const followed = FollowedStore.over(t, etcd.options());
  await followed.hasKeys('10.5.1.0-24');
  await put(Buffer.from([0xff, 0xfe, 0x00]), Buffer.from(good));
  await put(Buffer.from('k'.repeat(1 << 20)), Buffer.from(good));
  await put(Buffer.from('10.5.2.0-24'), Buffer.from([0x7b, 0xff]));
  await put(Buffer.from('10.5.3.0-24'), Buffer.alloc(1 << 20, 'x'));
  await put(Buffer.from('10.5.4.0-24'), Buffer.alloc(0));
  await put(Buffer.from('10.5.5.0-24'), Buffer.from(`\ufeff${good}`));
  await put(Buffer.from('nul\u0000'), Buffer.from(good));
  const check = async ({
    records,
    unreadable,
  }: {
    records: readonly { key: string }[];
    unreadable: readonly object[];
  }) => {
    assert.deepEqual(records.map(({ key }) => key).sort(), [
      '10.5.1.0-24',
      '10.5.4.0-24',
      '10.5.5.0-24',
      'nul\u0000',
    ]);
    assert.equal(unreadable.length, 4);
    for (const reason of [
      { key: '"\u00ff\u00fe\\u0000"', reason: 'its key is not UTF-8 text' },
      { key: '10.5.2.0-24', reason: 'not UTF-8 text' },
      { key: '10.5.3.0-24', reason: 'larger than 262144 bytes' },
      { key: `${'k'.repeat(256)}...`, reason: 'its key is longer than 256 bytes' },
    ]) {
      assert.ok(
        unreadable.some((entry) => JSON.stringify(entry) === JSON.stringify(reason)),
        JSON.stringify(reason),
      );
    }
  };
  await until('all have been seen', async () => followed.value('nul\u0000') === good);
  await check(followed.last ?? assert.fail());
  await check(await followed.store.list());
  assert.equal(followed.value('10.5.5.0-24'), `\ufeff${good}`, 'no byte is taken off');
  // An empty transaction or a removal of what is not there is no event for us.
  assert.equal(await followed.store.remove('10.5.9.0-24', '1'), false);
});
