/**
 * A node under traffic while what it has made on its host is deleted and changed at random. In the end all is as on a node
 * that nobody disturbed. The seed is printed; TWILL_TEST_SEED repeats it, TWILL_MONKEY_SECONDS says for how long (60: at full
 * scale).
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { type AgentNode, labWith } from '../support/agent-node.js';
import {
  chanceOf,
  deviceMischief,
  iptablesMischief,
  type Mischief,
  nftMischief,
  peerRouteMischief,
  pick,
  repairUnderlay,
  type Target,
  underlayMischief,
  vxlanMischief,
} from '../support/mischief.js';
import { base, cannotRun, makeSegment, pings, until } from '../support/namespaces.js';
import { overlayState } from '../support/overlay-state.js';

const skip = await cannotRun();
const seconds = Number(process.env['TWILL_MONKEY_SECONDS'] ?? 4);
const seed = Number(process.env['TWILL_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32));

interface Row {
  readonly name: string;
  readonly backend: object;
  readonly families: readonly (4 | 6)[];
  readonly flags?: readonly string[];
  /** Of net-conf. */
  readonly config?: object;
  /** No device of the overlay: the hosts' own routes carry. */
  readonly isRouted?: true;
  readonly mischief: readonly Mischief[];
}

const rows: readonly Row[] = [
  {
    name: 'vxlan in both families',
    backend: { Type: 'vxlan' },
    families: [4, 6],
    mischief: [...deviceMischief, ...underlayMischief],
  },
  {
    name: "the kernel's vxlan in both families",
    backend: { Type: 'vxlan' },
    families: [4, 6],
    flags: ['--dataplane=kernel'],
    mischief: [...deviceMischief, ...vxlanMischief, ...underlayMischief],
  },
  {
    name: "direct routes beside the kernel's vxlan",
    backend: { Type: 'vxlan', DirectRouting: true },
    families: [4],
    flags: ['--dataplane=kernel'],
    mischief: [...deviceMischief, ...peerRouteMischief, ...underlayMischief],
  },
  {
    name: 'vxlan with rules in iptables',
    backend: { Type: 'vxlan' },
    families: [4, 6],
    flags: ['--ip-masq', '--iptables-resync=1'],
    mischief: [...deviceMischief, ...iptablesMischief('iptables'), ...iptablesMischief('ip6tables')],
  },
  {
    name: "the kernel's vxlan with rules in nftables",
    backend: { Type: 'vxlan' },
    families: [4, 6],
    flags: ['--dataplane=kernel', '--ip-masq', '--iptables-resync=1'],
    config: { EnableNFTables: true },
    mischief: [...deviceMischief, ...vxlanMischief, ...nftMischief],
  },
  {
    name: 'host-gw',
    backend: { Type: 'host-gw' },
    families: [4, 6],
    isRouted: true,
    mischief: [...peerRouteMischief, ...underlayMischief],
  },
  {
    name: 'udp',
    backend: { Type: 'udp' },
    families: [4],
    mischief: [...deviceMischief, ...underlayMischief],
  },
];

/** Echo requests until the test ends, whatever becomes of them. */
function traffic(t: TestContext, from: Namespace, to: readonly string[]): void {
  for (const address of to) {
    const child = from.spawn('ping', ['-n', '-q', '-i', '0.02', '-W', '1', address], { stdio: 'ignore' });
    t.after(() => child.kill('SIGINT'));
  }
}

async function startAll(t: TestContext, row: Row) {
  const { backend, families, flags = [], isRouted = false } = row;
  const config = {
    ...(families.includes(6) && { EnableIPv6: true, IPv6Network: 'fd00:77::/48' }),
    ...row.config,
    Backend: backend,
  };
  const places = ['a', 'b', 'c'].map((label, i) => ({
    label,
    addresses: families.map((family) => (family === 4 ? `192.0.2.${i + 1}/24` : `2001:db8::${i + 1}/64`)),
  }));
  const { nodes } = await labWith(t, config, async (make) => (await makeSegment(t, places)).map(make));
  for (const node of nodes) node.run(flags);
  const statuses = await Promise.all(nodes.map((node) => node.ready(2)));
  const addresses = statuses.map(({ node }) => node.subnet.split(' ').map(base));
  // Where no device of the overlay has the base address, something else has to answer.
  for (const [i, { namespace }] of nodes.entries()) {
    for (const address of isRouted ? (addresses[i] ?? []) : [])
      await namespace.ip('address', 'add', address, 'dev', 'lo');
  }
  return { nodes: nodes as [AgentNode, AgentNode, AgentNode], addresses, places };
}

for (const row of rows) {
  test(`${row.name}: a monkey at the host, and all is well in the end`, {
    skip,
    timeout: (seconds + 120) * 1000,
  }, async (t) => {
    t.diagnostic(`TWILL_TEST_SEED=${seed}`);
    const chance = chanceOf(seed);
    const { nodes, addresses, places } = await startAll(t, row);
    const [victim, ...others] = nodes;
    const { namespace, process: child } = victim;
    const [own = [], ...theirs] = addresses;
    const reaches = async () => {
      for (const address of theirs.flat()) if (!(await pings(namespace, address, '-W', '0.5'))) return false;
      for (const other of others)
        for (const address of own) if (!(await pings(other.namespace, address, '-W', '0.5'))) return false;
      return true;
    };
    await until('all reach each other', reaches);
    const state = () => overlayState(namespace, /^(10\.77\.|fd00:77:)/);
    const undisturbed = await state();
    assert.ok(undisturbed.length > 2, undisturbed.join('\n'));
    traffic(t, namespace, theirs.flat());
    for (const other of others) traffic(t, other.namespace, own);

    const devices = undisturbed.flatMap((line) => /^link (\S+)/.exec(line)?.[1] ?? []);
    const underlay = { underlay: 'eth0', addresses: places[0]?.addresses ?? [], mtuBytes: 1500 };
    const target: Target = { namespace, devices, ...underlay };
    const done = new Map<string, number>();
    const endMs = performance.now() + seconds * 1000;
    // Each once in any order, then whatever comes.
    const first = row.mischief.map((mischief) => ({ mischief, turn: chance() }));
    first.sort((one, other) => one.turn - other.turn);
    while (first.length > 0 || performance.now() < endMs) {
      const mischief = first.pop()?.mischief ?? pick(row.mischief, chance);
      assert.ok(mischief);
      // What is gone already cannot be deleted.
      await mischief.act(target, chance).then(
        () => done.set(mischief.name, (done.get(mischief.name) ?? 0) + 1),
        () => {},
      );
      await new Promise((resolve) => setTimeout(resolve, chance() * 200));
    }
    await repairUnderlay(target);
    t.diagnostic([...done].map(([name, count]) => `${count} times ${name}`).join(', '));
    assert.ok(done.size > 0);

    let found: string[] = [];
    await until(`seed ${seed}: as undisturbed`, async () => {
      found = await state();
      return found.join('\n') === undisturbed.join('\n');
    }).catch(async () => {
      t.diagnostic(JSON.stringify((await victim.status()).dataplane));
      assert.deepEqual(found, undisturbed, `seed ${seed}`);
    });
    await until(`seed ${seed}: all reach each other again`, reaches);
    await until(`seed ${seed}: ready`, async () => (await victim.status()).ready);
    const { identity, ...status } = await victim.status();
    const holds = row.isRouted ? null : true;
    assert.deepEqual(identity, { encap: holds, decap: holds });
    const mended = status.dataplane.mended.count;
    t.diagnostic(`put right: ${mended}, the last: ${status.dataplane.mended.last.at(-1)?.what}`);
    assert.ok(mended > 0, 'what was put right is told');
    const isAtRules = [...done.keys()].some((name) => /^(ip6?tables|nft): /.test(name));
    if (isAtRules)
      assert.ok((status.firewall?.mended.count ?? 0) > 0, 'what was put right of the rules is told');
    assert.equal(victim.process, child);
    assert.equal(child?.exitCode, null, 'the agent is the one that was started');
    for (const node of nodes) assert.equal(await node.stop(), 0);
  });
}
