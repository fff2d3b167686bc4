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
import { badFields, badKeys, badValues, macOf, poisonLease } from '../support/poison-records.js';

const skip = await cannotRun();

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
  for (const [i, key] of badKeys.entries()) await put(poisonLease(i), key);
  for (const value of badValues) await put(value);
  for (const [i, fields] of badFields(a, b).entries()) await put(poisonLease(i + 100, fields));
  // Over, under and inside the subnets of the living.
  for (const subnet of [a.subnet, b.subnet]) {
    const at = base(subnet);
    await put(poisonLease(200), `${at}-25`);
    await put(poisonLease(201), `${at.replace(/\d+\.0$/, '0.0')}-17`);
    await put(poisonLease(202), `${at}-30`);
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
  const late = await put(poisonLease(203));
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
