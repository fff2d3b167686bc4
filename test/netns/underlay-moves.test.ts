/** The interface below changes: address, MTU, number, name. The agent goes along without a restart, and its peers with it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { joinByVeth } from '../../src/lab/namespace.js';
import { tcpBulk } from '../../src/lab/traffic.js';
import { type AgentNode, labOfTwo, labWith, type Status } from '../support/agent-node.js';
import { allReach, type Member, mixedCluster } from '../support/mixed-cluster.js';
import { base, cannotRun, makePair, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();
const types = ['vxlan', 'udp'] as const;

interface Row {
  readonly name: string;
  readonly backend: { readonly Type: string };
  readonly flags: readonly string[];
  /** Of our engine: device and counters stay where the kernel makes its device anew. */
  readonly isEngine: boolean;
  /** No device of the overlay: what carries is the interface below. */
  readonly isRouted: boolean;
}
const engine = { flags: [], isEngine: true, isRouted: false };
const rows: readonly Row[] = [
  { ...engine, name: 'vxlan', backend: { Type: 'vxlan' } },
  { ...engine, name: 'udp', backend: { Type: 'udp' } },
  {
    ...{ ...engine, isEngine: false, flags: ['--dataplane=kernel'] },
    ...{ name: "the kernel's vxlan", backend: { Type: 'vxlan' } },
  },
  { ...engine, isEngine: false, isRouted: true, name: 'host-gw', backend: { Type: 'host-gw' } },
];

async function both(
  a: AgentNode,
  b: AgentNode,
  { flags, isRouted }: Pick<Row, 'flags' | 'isRouted'> = engine,
): Promise<[Status, Status]> {
  a.run(flags);
  b.run(flags);
  const started = await Promise.all([a.ready(1), b.ready(1)]);
  // Where no device of the overlay has the base address, something else has to answer.
  for (const [i, { namespace }] of [a, b].entries()) {
    if (!isRouted) break;
    await namespace.ip('address', 'add', `${base(started[i]?.node.subnet ?? '')}/32`, 'dev', 'lo');
  }
  await bothWays(a, b, started);
  return started;
}

async function stop(...nodes: readonly AgentNode[]): Promise<void> {
  for (const node of nodes) assert.equal(await node.stop(), 0);
}

async function bothWays(a: AgentNode, b: AgentNode, [left, right]: readonly [Status, Status]): Promise<void> {
  await until('both ways are open', async () => {
    const out = await pings(a.namespace, base(right.node.subnet), '-W', '0.3');
    return out && (await pings(b.namespace, base(left.node.subnet), '-W', '0.3'));
  });
}

/** Waits for it, and tells how long it took. */
async function within(t: TestContext, what: string, check: () => Promise<boolean>): Promise<void> {
  const begunMs = performance.now();
  await until(what, check);
  t.diagnostic(`${what}: ${Math.round(performance.now() - begunMs)} ms`);
}

/** One network's second address stays when the first one goes, as systemd has it. */
async function keepSecondAddresses({ namespace }: { readonly namespace: Namespace }): Promise<void> {
  await namespace.exec('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/conf/all/promote_secondaries']);
}

/** Packets that the interface below has brought. */
async function crossed({ namespace }: AgentNode): Promise<number> {
  const links = JSON.parse(await namespace.ip('-j', '-s', 'link', 'show', 'eth0'));
  return links[0].stats64.rx.packets;
}

const deviceOf = (namespace: Namespace, device: string) => namespace.ip('-o', 'link', 'show', device);

for (const row of rows) {
  test(`${row.name}: a new address under a stream: lease, peers and counters go along`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { nodes, record } = await labOfTwo(t, { Backend: row.backend });
    const [a, b] = nodes;
    const [left, right] = await both(a, b, row);
    const key = left.node.subnet.replace('/', '-');
    const before = await deviceOf(a.namespace, left.node.device);
    // Where hosts route by themselves, a host's own connections have its underlay's address, and end with that.
    const streams = row.isRouted
      ? []
      : [
          tcpBulk(a.namespace, b.namespace, base(right.node.subnet), { durationMs: 6000 }),
          tcpBulk(b.namespace, a.namespace, base(left.node.subnet), { durationMs: 6000 }),
        ];
    await until('the streams flow', async () => row.isRouted || (await crossed(b)) > 1000);
    // As DHCP does it: the old one ends, the new one comes.
    await a.namespace.ip('address', 'delete', '192.0.2.1/24', 'dev', 'eth0');
    await a.namespace.ip('address', 'add', '192.0.2.11/24', 'dev', 'eth0');
    await within(t, 'the lease names the new address', async () =>
      (await readFile(record(key), 'utf8')).includes('"PublicIP":"192.0.2.11"'),
    );
    await within(t, 'the other node sends there', async () =>
      (await b.twill('peers', '--json')).includes('"192.0.2.11"'),
    );
    for (const { intact } of await Promise.all(streams)) assert.ok(intact, 'every byte of both streams');
    await bothWays(a, b, [left, right]);
    const { node, identity, ready, counters } = await a.status();
    assert.deepEqual([node.subnet, node.publicIp, ready], [left.node.subnet, '192.0.2.11', true]);
    if (row.isEngine) {
      assert.deepEqual(identity, { encap: true, decap: true });
      assert.ok(counters.encap.delivered > 1000, 'the counters go on');
      const index = (text: string) => text.split(':')[0];
      assert.equal(index(await deviceOf(a.namespace, node.device)), index(before), 'the device stays');
    }
    assert.match(
      a.logged('warn').join('\n'),
      /the underlay is 192\.0\.2\.11 on eth0 \(MTU 1500\) now; it was 192\.0\.2\.1 /,
    );
    await stop(a, b);
  });

  test(`${row.name}: the interface's MTU changes: device, subnet.env and status follow`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { nodes } = await labOfTwo(t, { Backend: row.backend });
    const [a, b] = nodes;
    const [left, right] = await both(a, b, row);
    const overhead = 1500 - left.node.mtuBytes;
    for (const mtu of [1400, 9000, 1500]) {
      for (const { namespace } of nodes) await namespace.ip('link', 'set', 'eth0', 'mtu', String(mtu));
      for (const node of nodes) {
        await within(t, `${node.namespace.label}: MTU ${mtu}`, async () => {
          const device = await deviceOf(node.namespace, left.node.device);
          const env = await readFile(node.subnetFile, 'utf8');
          const wanted = mtu - overhead;
          return device.includes(` mtu ${wanted} `) && env.includes(`FLANNEL_MTU=${wanted}\n`);
        });
        assert.equal((await node.status()).node.mtuBytes, mtu - overhead);
      }
      await bothWays(a, b, [left, right]);
      const full = ['-s', String(mtu - overhead - 28), '-M', 'do'];
      assert.ok(await pings(a.namespace, base(right.node.subnet), ...full), `a full packet at MTU ${mtu}`);
    }
    assert.deepEqual(
      a.logged('warn').filter((line) => line.startsWith('device')),
      [],
      'our own change is nothing to be mended',
    );
    await stop(a, b);
  });

  test(`${row.name}: no address, then no interface, then another of that name: not ready meanwhile`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { nodes } = await labOfTwo(t, { Backend: row.backend });
    const [a, b] = nodes;
    const started = await both(a, b, row);
    const lacks = async (why: RegExp) => why.test((await a.status()).readiness['underlay'] ?? '');
    await a.namespace.ip('address', 'flush', 'dev', 'eth0', 'scope', 'global');
    await within(t, 'no address is told', () => lacks(/^interface eth0 has no usable IPv4 address/));
    assert.equal((await a.status()).ready, false);
    await a.namespace.ip('address', 'add', '192.0.2.12/24', 'dev', 'eth0');
    await within(t, 'ready again', async () => (await a.status()).ready);
    await bothWays(a, b, started);
    await a.namespace.ip('link', 'delete', 'eth0');
    await within(t, 'no interface is told', () => lacks(/^no interface matches --iface=eth0/));
    // Its number is another one now, and so is its address.
    await joinByVeth(
      { namespace: a.namespace, device: 'eth0', addresses: ['192.0.2.13/24'] },
      { namespace: b.namespace, device: 'eth0', addresses: ['192.0.2.2/24'] },
    );
    await within(t, 'ready on the new interface', async () => (await a.status()).ready);
    await bothWays(a, b, started);
    await a.namespace.ip('link', 'set', 'eth0', 'down');
    await within(t, 'down is told', () => lacks(/^interface eth0 is down/));
    await a.namespace.ip('link', 'set', 'eth0', 'up');
    await within(t, 'ready when it is up', async () => (await a.status()).ready);
    await bothWays(a, b, started);
    assert.equal((await a.status()).node.publicIp, '192.0.2.13');
    await stop(a, b);
  });
}

test('a public IP that was given stays, whatever the interface has', { skip, timeout: 60_000 }, async (t) => {
  const { nodes, record } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  a.run(['--public-ip=198.51.100.1', '--source-check=off']);
  b.run(['--source-check=off']);
  const left = await a.ready(1);
  await keepSecondAddresses(a);
  await a.namespace.ip('address', 'add', '192.0.2.21/24', 'dev', 'eth0');
  await a.namespace.ip('address', 'delete', '192.0.2.1/24', 'dev', 'eth0');
  await until('it is somewhere else', async () =>
    a.logged('warn').some((line) => line.includes('192.0.2.21')),
  );
  const value = await readFile(record(left.node.subnet.replace('/', '-')), 'utf8');
  assert.match(value, /"PublicIP":"198\.51\.100\.1"/);
  assert.equal((await a.status()).node.publicIp, '198.51.100.1');
  await stop(a, b);
});

test('a second address beside ours changes nothing; dual stack moves in either family', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const config = { EnableIPv6: true, IPv6Network: 'fd00:77::/48', Backend: { Type: 'vxlan' } };
  const { nodes } = await labWith(t, config, async (make) => {
    const [left, right] = await makePair(
      t,
      ['192.0.2.1/24', '2001:db8::1/64'],
      ['192.0.2.2/24', '2001:db8::2/64'],
    );
    return [make(left), make(right)] as const;
  });
  const [a, b] = nodes;
  a.run();
  b.run();
  const [left, right] = await Promise.all([a.ready(2), b.ready(2)]);
  const open = async () => {
    for (const [from, to] of [
      [a, right],
      [b, left],
    ] as const) {
      for (const subnet of to.node.subnet.split(' '))
        await until(`${from.namespace.label} reaches ${subnet}`, () => pings(from.namespace, base(subnet)));
    }
  };
  await open();
  const add = (address: string) => a.namespace.ip('address', 'add', address, 'dev', 'eth0', 'nodad');
  await keepSecondAddresses(a);
  // The kernel lists the newest IPv6 address first.
  await add('2001:db8::77/64');
  await add('192.0.2.77/24');
  await until('it is known as ours', async () => {
    const { node } = await a.status();
    assert.deepEqual([node.publicIp, node.publicIpv6], ['192.0.2.1', '2001:db8::1']);
    return pings(b.namespace, '192.0.2.77');
  });
  await a.namespace.ip('address', 'delete', '2001:db8::1/64', 'dev', 'eth0');
  await within(t, 'IPv6 moves', async () => (await a.status()).node.publicIpv6 === '2001:db8::77');
  await open();
  await a.namespace.ip('address', 'delete', '192.0.2.1/24', 'dev', 'eth0');
  await within(t, 'IPv4 moves', async () => (await a.status()).node.publicIp === '192.0.2.77');
  await open();
  assert.deepEqual((await a.status()).identity, { encap: true, decap: true });
  await stop(a, b);
});

test('chosen by the default route, it follows that to another interface', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  await joinByVeth(
    { namespace: a.namespace, device: 'eth1', addresses: ['198.51.100.1/24'] },
    { namespace: b.namespace, device: 'eth1', addresses: ['198.51.100.2/24'] },
    1400,
  );
  // Each side knows the way to the other's addresses.
  await a.namespace.ip('route', 'add', 'default', 'via', '192.0.2.2');
  a.iface = '';
  const started = await both(a, b);
  await a.namespace.ip('route', 'replace', 'default', 'via', '198.51.100.2');
  await within(t, 'it is on eth1', async () => (await a.status()).node.publicIp === '198.51.100.1');
  assert.equal((await a.status()).node.mtuBytes, 1350);
  await bothWays(a, b, started);
  await stop(a, b);
});

for (const type of types) {
  test(`${type}: a node of flannel's follows a node of ours that moves`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { members } = await mixedCluster(t, { type, families: [4] }, ['flannel', 'twill', 'third']);
    const [flannel, twill, third] = members as [Member, Member, Member];
    await Promise.all([flannel.startFlannel(), twill.startTwill(), third.startTwill()]);
    await allReach(members);
    const { namespace } = twill;
    await keepSecondAddresses(twill);
    await namespace.ip('address', 'add', '192.0.2.52/24', 'dev', 'eth0');
    await namespace.ip('address', 'delete', '192.0.2.2/24', 'dev', 'eth0');
    await within(t, 'it is known by the new address', async () =>
      (await third.agent.twill('peers', '--json')).includes('"192.0.2.52"'),
    );
    await allReach(members);
    await stop(twill.agent, third.agent);
  });
}

test('two nodes change places: each keeps its subnet', { skip, timeout: 90_000 }, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = nodes;
  const started = await both(a, b);
  for (const { namespace } of nodes) await namespace.ip('address', 'flush', 'dev', 'eth0');
  await a.namespace.ip('address', 'add', '192.0.2.2/24', 'dev', 'eth0');
  await b.namespace.ip('address', 'add', '192.0.2.1/24', 'dev', 'eth0');
  await bothWays(a, b, started);
  const [left, right] = await Promise.all([a.status(), b.status()]);
  assert.deepEqual([left.node.publicIp, right.node.publicIp], ['192.0.2.2', '192.0.2.1']);
  assert.deepEqual(
    [left.node.subnet, right.node.subnet],
    started.map(({ node }) => node.subnet),
  );
  await stop(a, b);
});
