/**
 * Whatever anybody puts under `subnets/`: nothing of it becomes a peer, no other peer moves, each record is named, the
 * agent stays up and its traffic whole.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { udpFlow } from '../../src/lab/traffic.js';
import { type Lab, labOfTwo, vxlanLease } from '../support/agent-node.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

/** Each under a subnet of its own, with an address and a MAC of its own, so that only the poison is wrong. */
function lease(i: number, wrong: { readonly [field: string]: unknown } = {}): string {
  const { VNI = 1, VtepMAC = macOf(i), ...more } = wrong;
  const fields = {
    PublicIP: `198.51.100.${i}`,
    PublicIPv6: null,
    BackendType: 'vxlan',
    BackendData: { VNI, VtepMAC },
  };
  return JSON.stringify({ ...fields, ...more });
}
const macOf = (i: number) => `02:00:00:00:10:${i.toString(16).padStart(2, '0')}`;

const badKeys = [
  'junk',
  '%2e%2e%2fconfig',
  '10.77.140.0',
  '10.77.140.0-24x',
  '10.77.140.0-24 ',
  '10.77.140.0-+24',
  '10.77.140.0-024',
  '10.77.140.0--1',
  '10.77.140.0-99999999999',
  '10.77.256.0-24',
  '10.77.01.0-24',
  '0x0a.77.140.0-24',
  '10.77.140.1-24',
  '10.77.0.0-16',
  '10.0.0.0-8',
  '0.0.0.0-0',
  '127.0.0.0-8',
  '224.0.0.0-24',
  '10.78.1.0-24',
  '10.77.140.9-32',
  '10.77.140.0-33',
  'fd00:77::-64',
  '0.0.0.0-0&fd00:77::-64',
  '10.77.140.0-24&fd00:77::-64',
  '10.77.140.0-24&FD00:77::-64',
  '10.77.140.0-24&fd00:77::-129',
  '10.77.140.0-24&&',
  'ключ',
  'x'.repeat(255),
];

const badValues: readonly (string | Buffer)[] = [
  '',
  ' ',
  '{',
  'null',
  '[]',
  '"x"',
  '1',
  'NaN',
  '{"PublicIP":"198.51.100.9"}}',
  `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
  `{"PublicIP":"198.51.100.9","BackendType":"vxlan","pad":"${'x'.repeat(10 << 20)}"}`,
  `\ufeff${lease(90)}`,
  Buffer.from([0xff, 0xfe, 0x00, 0x7b]),
  lease(91).replace('"PublicIP":"198.51.100.91"', '"PublicIP":NaN'),
  '{"__proto__":{"PublicIP":"198.51.100.92"},"constructor":1}',
];

/** What is wrong in a record that is otherwise right. `a` is the agent, `b` the living peer. */
const badFields = (a: { mac: string }, b: { mac: string }): { readonly [field: string]: unknown }[] => [
  { PublicIP: '0.0.0.0' },
  { PublicIP: '127.0.0.1' },
  { PublicIP: '224.0.0.1' },
  { PublicIP: '255.255.255.255' },
  { PublicIP: '240.0.0.1' },
  { PublicIP: '10.77.3.4' },
  { PublicIP: '192.0.2.1' },
  { PublicIP: '192.0.2.2' },
  { PublicIP: '192.0.2.2 ' },
  { PublicIP: '192.0.2.02' },
  { PublicIP: '3221225986' },
  { PublicIP: 3221225986 },
  { PublicIP: null },
  { PublicIP: undefined },
  { PublicIP: ['198.51.100.1'] },
  { PublicIP: '2001:db8::1' },
  { PublicIP: '::ffff:192.0.2.2' },
  { PublicIPv6: 'fe80::1%eth0' },
  { PublicIPv6: 7 },
  { BackendType: 'host-gw' },
  { BackendType: '' },
  { BackendType: 7 },
  { BackendType: 'x'.repeat(100_000) },
  { BackendType: 'vxlan\u001b[2J' },
  { BackendData: null },
  { BackendData: 'x' },
  { BackendData: [] },
  { VNI: 0 },
  { VNI: 2 },
  { VNI: 1 << 24 },
  { VNI: -1 },
  { VNI: 1.5 },
  { VNI: '1' },
  { VtepMAC: '00:00:00:00:00:00' },
  { VtepMAC: 'ff:ff:ff:ff:ff:ff' },
  { VtepMAC: '01:00:5e:00:00:01' },
  { VtepMAC: a.mac },
  { VtepMAC: b.mac },
  { VtepMAC: b.mac.toUpperCase() },
  { BackendData: { vni: 1, vtepmac: b.mac } },
  { VtepMAC: '02:00:00:00:10' },
  { VtepMAC: '02:00:00:00:10:00:00' },
  { VtepMAC: '02:00:00:00:10:00:00:00' },
  { VtepMAC: '2:0:0:0:10:0' },
  { VtepMAC: '0200.0000.1000' },
  { VtepMAC: 2 },
  { VtepMAC: null },
];

/** The longest time ago that a lease can claim to be from. */
const longAgo = new Date(0);

async function poison(
  { record, store }: Lab<unknown>,
  a: { mac: string; subnet: string },
  b: { mac: string; subnet: string },
): Promise<string[]> {
  const written: string[] = [];
  let next = 130;
  const put = async (value: string | Buffer, key?: string) => {
    const name = key ?? `10.77.${next++}.0-24`;
    await writeFile(record(name), value);
    // Older than every honest lease: age alone buys nothing.
    await utimes(record(name), longAgo, longAgo);
    written.push(name);
    return name;
  };
  for (const [i, key] of badKeys.entries()) await put(lease(i), key);
  for (const value of badValues) await put(value);
  for (const [i, fields] of badFields(a, b).entries()) await put(lease(i + 100, fields));
  // Over, under and inside the subnets of the living.
  for (const subnet of [a.subnet, b.subnet]) {
    const at = base(subnet);
    await put(lease(200), `${at}-25`);
    await put(lease(201), `${at.replace(/\d+\.0$/, '0.0')}-17`);
    await put(lease(202), `${at}-30`);
  }
  // What is no file, and an end that is no time.
  for (const [key, make] of [
    ['10.77.124.0-24', (path: string) => mkdir(path)],
    ['10.77.125.0-24', (path: string) => symlink('/etc/hostname', path)],
    ['10.77.126.0-24', (path: string) => symlink(path, path)],
    ['10.77.127.0-24', async (path: string) => execFileSync('mkfifo', [path])],
  ] as const) {
    await make(record(key));
    written.push(key);
  }
  const late = await put(lease(203));
  await writeFile(join(store, 'expiry', late), 'tomorrow');
  return [...new Set(written)];
}

test('a hundred poisoned records: none accepted, nobody moved, all named', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const lab = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = lab.nodes;
  a.run();
  b.run();
  const [left, right] = await Promise.all([a.ready(1), b.ready(1)]);
  const target = base(right.node.subnet);
  await until('a reaches b', () => pings(a.namespace, target));
  const ways = async () => {
    const rows = (await a.peers()) as { key: string; endpoint: unknown; mac: unknown }[];
    return rows.map(({ key, endpoint, mac }) => ({ key, endpoint, mac }));
  };
  const peersBefore = await ways();
  const flow = udpFlow(a.namespace, b.namespace, target, {
    ...{ durationMs: 1500, packetsPerSecond: 1000, payloadBytes: 400 },
  });
  const written = await poison(
    lab,
    { mac: left.backend.mac, subnet: left.node.subnet },
    { mac: right.backend.mac, subnet: right.node.subnet },
  );
  t.diagnostic(`${written.length} records`);
  const unnamed = async () => {
    const named = new Set((await a.status()).quarantined.map(({ key }) => key));
    return written.filter((key) => !named.has(key));
  };
  await until('all are named', async () => (await unnamed()).length === 0).catch(async (error) => {
    assert.deepEqual({ unnamed: await unnamed(), peers: await a.peers() }, {}, String(error));
  });
  assert.deepEqual(await ways(), peersBefore);
  assert.deepEqual((await a.status()).quarantined.length, written.length);
  const shown = await a.twill('status');
  assert.ok(!shown.includes('\u001b'), 'nothing of it reaches the terminal as it is');
  assert.ok(
    shown.split('\n').every((line) => line.length < 600),
    'and no line is endless',
  );
  const { sent, lost } = await flow;
  assert.deepEqual([lost, sent.refused], [0, 0]);

  // A good one among them is taken, and when they are gone so are their names.
  await lab.writeRecord('10.77.120.0-24', vxlanLease('192.0.2.120', '02:00:00:00:00:20'));
  await until('the good one is a peer', async () => (await a.status()).peers === 2);
  await Promise.all(written.map((key) => rm(lab.record(key), { recursive: true })));
  await until('their names are gone', async () => (await a.status()).quarantined.length === 0);
  assert.equal((await a.status()).peers, 2);
  assert.deepEqual([await a.stop(), await b.stop()], [0, 0]);
});

test('one record rewritten two thousand times: the last word stands', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const lab = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = lab.nodes;
  a.run();
  await a.started();
  for (let i = 1; i <= 2000; i++)
    await lab.writeRecord(
      '10.77.120.0-24',
      i % 7 === 0 ? '{' : vxlanLease(`192.0.2.${100 + (i % 100)}`, macOf(1 + (i % 200))),
    );
  const last = vxlanLease('192.0.2.99', macOf(99));
  await lab.writeRecord('10.77.120.0-24', last);
  await until('the last word stands', async () => JSON.stringify(await a.peers()).includes('"192.0.2.99"'));
  const { peers, quarantined } = await a.status();
  assert.deepEqual({ peers, quarantined }, { peers: 1, quarantined: [] });
});
