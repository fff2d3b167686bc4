/** A thousand peers at once: how many conversations with the kernel that takes, and whom a bad peer keeps waiting. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { labOfTwo, vxlanLease } from '../support/agent-node.js';
import { cannotRun, until } from '../support/namespaces.js';
import { preload } from '../support/preload.js';

const skip = await cannotRun();
const COUNT = 1000;
const BATCH = 64;
const BAD = '10.80.7.0/24';
/** rtnetlink(7). */
const [RTM_NEWROUTE, RTM_NEWNEIGH] = ['24', '28'];

interface Trial {
  readonly type: string;
  readonly flags: readonly string[];
  readonly lease: (publicIp: string, number: number) => string;
  readonly badIp: string;
  /** What stands in the way of the bad one's route; else the kernel refuses it. */
  readonly inTheWay?: readonly string[];
  readonly reason: RegExp;
  /** Routes of the good ones, and of vxlan neighbours and forwarding entries of all. */
  readonly entries: number;
}

const hostGw = (publicIp: string) => `{"PublicIP":"${publicIp}","PublicIPv6":null,"BackendType":"host-gw"}`;
const trials: Record<string, Trial> = {
  "the kernel's vxlan": {
    ...{ type: 'vxlan', flags: ['--dataplane=kernel'], badIp: '198.18.80.8' },
    lease: (publicIp, number) => {
      const hex = number.toString(16).padStart(4, '0');
      return vxlanLease(publicIp, `02:00:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`);
    },
    inTheWay: ['route', 'add', BAD, 'via', '192.0.2.2', 'proto', 'bird'],
    reason: /that is not ours is in the way/,
    entries: 3 * COUNT - 1,
  },
  'host-gw': {
    ...{ type: 'host-gw', flags: [], badIp: '203.0.113.8', lease: hostGw },
    reason: /cannot be set: .*(unreachable|Invalid gateway)/i,
    entries: COUNT - 1,
  },
};

for (const [name, { type, flags, lease, badIp, inTheWay, reason, entries }] of Object.entries(trials)) {
  test(`a thousand peers in ${name}: few sends, and nobody waits for the one that has no route`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const lab = await labOfTwo(t, { Network: '10.64.0.0/10', Backend: { Type: type } });
    const [a] = lab.nodes;
    const subnetOf = (number: number) => `10.${80 + Math.floor(number / 250)}.${number % 250}.0/24`;
    const add = (number: number) => {
      const subnet = subnetOf(number);
      const [, high, low] = subnet.split('.').map(Number) as [number, number, number];
      const publicIp = subnet === BAD ? badIp : `198.18.${high}.${low + 1}`;
      return lab.writeRecord(subnet.replace('/', '-'), lease(publicIp, number));
    };
    for (let number = 0; number < COUNT; number++) await add(number);
    await a.namespace.ip('address', 'add', '198.18.255.1/16', 'dev', 'eth0');
    if (inTheWay) await a.namespace.ip(...inTheWay);
    const noted = join(lab.directory, 'sends');
    a.environment = { ...(await preload(t, 'netlink')), TWILL_TEST_NETLINK: noted };
    a.run(flags);
    const status = await a.started();
    assert.deepEqual([status.peers, status.quarantined], [COUNT, []]);
    assert.deepEqual(
      status.dataplane.troubles.map(({ subnet }) => subnet),
      [BAD],
    );
    assert.match(status.dataplane.troubles[0]?.reason ?? '', reason);
    const routes = async () => (await a.namespace.ip('route', 'show', 'proto', '116')).trim().split('\n');
    assert.equal((await routes()).length, COUNT - 1);
    if (type === 'vxlan') {
      const lines = (text: string) => text.trim().split('\n').length;
      const neighbours = await a.namespace.ip('neighbour', 'show', 'dev', 'flannel.1', 'nud', 'permanent');
      const forwarding = await a.namespace.exec('bridge', ['fdb', 'show', 'dev', 'flannel.1']);
      assert.deepEqual([lines(neighbours), lines(forwarding.stdout)], [COUNT, COUNT]);
    }

    /** Those that set routes, neighbours or forwarding entries. */
    const sends = async () => {
      const lines = (await readFile(noted, 'utf8')).trim().split('\n');
      return lines.flatMap((line) => {
        const [atMs, ...types] = line.split(' ');
        const isSetting = types[0] === RTM_NEWROUTE || types[0] === RTM_NEWNEIGH;
        return isSetting ? [{ atMs: Number(atMs), length: types.length }] : [];
      });
    };
    const first = await sends();
    const messages = first.reduce((sum, { length }) => sum + length, 0);
    assert.ok(messages >= entries, `${messages} messages for ${entries} entries`);
    // One send each for the devices' own, and for each new attempt at the bad one.
    const full = first.filter(({ length }) => length > 1);
    assert.ok(full.length <= Math.ceil(entries / BATCH) + 1, `${full.length} sends`);
    const tookMs = (full.at(-1)?.atMs ?? 0) - (full[0]?.atMs ?? 0);
    t.diagnostic(`${full.length} sends, ${tookMs} ms from the first to the last`);

    // While the bad one waits, others come.
    await add(COUNT);
    await until('the new one has its route', async () =>
      (await routes()).some((line) => line.startsWith(subnetOf(COUNT))),
    );
    const { troubles } = (await a.status()).dataplane;
    assert.deepEqual(
      troubles.map(({ subnet }) => subnet),
      [BAD],
    );
    const later = (await sends()).slice(first.length);
    assert.ok(
      later.every(({ length }) => length <= 4),
      'the good ones are not told again',
    );
  });
}
