/** Peers that are reached without a tunnel where the underlay lets it: DirectRouting on both planes, and host-gw. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { joinByVeth, type Namespace } from '../../src/lab/namespace.js';
import type { Json } from '../../src/net/json.js';
import { type AgentNode, type Lab, labWith } from '../support/agent-node.js';
import { base, cannotRun, makeNamespace, makeSegment, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

interface Sites {
  readonly lab: Lab<readonly AgentNode[]>;
  /** On one network. */
  readonly a: AgentNode;
  readonly b: AgentNode;
  /** Behind a router. */
  readonly far: AgentNode;
}

/** `a` and `b` on 192.0.2.0/24 (2001:db8::/64), `far` on 198.51.100.0/24 (2001:db8:1::/64), a router between them. */
async function sites(t: TestContext, backend: object, families: readonly (4 | 6)[]): Promise<Sites> {
  const v6 = families.includes(6);
  const config = {
    ...(families.includes(4) ? {} : { EnableIPv4: false, Network: undefined }),
    ...(v6 && { EnableIPv6: true, IPv6Network: 'fd00:77::/48' }),
    Backend: backend,
  };
  const lab = await labWith(t, config, async (make) => {
    const near = (label: string, n: number) => ({
      label,
      addresses: [`192.0.2.${n}/24`, `2001:db8::${n}/64`],
    });
    const [a, b, router] = await makeSegment(t, [near('a', 1), near('b', 2), near('router', 254)]);
    assert.ok(a && b && router);
    const far = await makeNamespace(t, 'far');
    await joinByVeth(
      { namespace: far, device: 'eth0', addresses: ['198.51.100.1/24', '2001:db8:1::1/64'] },
      { namespace: router, device: 'eth1', addresses: ['198.51.100.254/24', '2001:db8:1::254/64'] },
    );
    for (const path of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'])
      await router.exec('sh', ['-c', `echo 1 > /proc/sys/net/${path}`]);
    for (const [namespace, gateway] of [
      [a, '192.0.2.254 2001:db8::254'],
      [b, '192.0.2.254 2001:db8::254'],
      [far, '198.51.100.254 2001:db8:1::254'],
    ] as const) {
      const [v4 = '', gatewayV6 = ''] = gateway.split(' ');
      await namespace.ip('route', 'add', 'default', 'via', v4);
      await namespace.ip('-6', 'route', 'add', 'default', 'via', gatewayV6);
    }
    return [a, b, far].map(make);
  });
  const [a, b, far] = lab.nodes as [AgentNode, AgentNode, AgentNode];
  return { lab, a, b, far };
}

const ways = async (node: AgentNode): Promise<Record<string, string>> => {
  const rows = (await node.peers()) as { subnet: string; way: string; trouble: Json }[];
  return Object.fromEntries(
    rows.map(({ subnet, way, trouble }) => [subnet, trouble === null ? way : 'trouble']),
  );
};
const subnetsOf = async (node: AgentNode) => (await node.status()).node.subnet.split(' ');
const routesOf = async (namespace: Namespace) =>
  (
    await Promise.all([
      namespace.ip('route', 'show', 'proto', '116'),
      namespace.ip('-6', 'route', 'show', 'proto', '116'),
    ])
  )
    .join('')
    .split('\n')
    .filter((line) => line !== '');

/** From the base address of one subnet, so that it is overlay traffic on all ways. */
async function reach(from: AgentNode, to: AgentNode): Promise<void> {
  const own = await subnetsOf(from);
  for (const subnet of await subnetsOf(to)) {
    const source = own.find((one) => one.includes(':') === subnet.includes(':')) ?? '';
    await until(`${from.namespace.label} reaches ${to.namespace.label} at ${subnet}`, () =>
      pings(from.namespace, base(subnet), '-W', '0.5', '-I', base(source)),
    );
  }
}

for (const plane of ['kernel', 'userspace']) {
  for (const families of [[4], [4, 6], [6]] as const) {
    test(`DirectRouting, ${plane} plane, IPv${families.join(' and ')}: near peers directly, far ones in the tunnel`, {
      skip,
      timeout: 120_000,
    }, async (t) => {
      const { lab, a, b, far } = await sites(t, { Type: 'vxlan', DirectRouting: true }, families);
      const nodes = [a, b, far];
      for (const node of nodes) node.run([`--dataplane=${plane}`]);
      await Promise.all(nodes.map((node) => node.ready(2 * families.length)));
      for (const from of nodes) for (const to of nodes) if (from !== to) await reach(from, to);
      const [near, distant] = [await subnetsOf(b), await subnetsOf(far)];
      assert.deepEqual(await ways(a), {
        ...Object.fromEntries(near.map((subnet) => [subnet, 'direct'])),
        ...Object.fromEntries(distant.map((subnet) => [subnet, 'tunnel'])),
      });
      const trace = await a.twill('trace', base(near[0] ?? ''));
      assert.match(trace, /directly: the peer is on a network of this host/);

      // The network is cut in two: what was near is behind the router now, and back again.
      const [family, host, via] =
        families[0] === 4
          ? ['-4', '192.0.2.2/32', '192.0.2.254']
          : ['-6', '2001:db8::2/128', '2001:db8::254'];
      await a.namespace.ip(family, 'route', 'add', host, 'via', via);
      const first = near[0] ?? '';
      const way = (wanted: string) => async () => (await ways(a))[first] === wanted;
      await until('it takes the tunnel', way('tunnel'));
      await reach(a, b);
      await a.namespace.ip(family, 'route', 'delete', host);
      await until('and the straight way again', way('direct'));
      await reach(a, b);

      // A flushed route is put back; one whose lease goes is gone.
      await a.namespace.ip('route', 'flush', 'proto', '116');
      await a.namespace.ip('-6', 'route', 'flush', 'proto', '116');
      const wanted = plane === 'kernel' ? 2 * families.length : families.length;
      await until('the routes are back', async () => (await routesOf(a.namespace)).length === wanted);
      await b.stop();
      const keys = await readdir(lab.record(''));
      const key = keys.find(
        (name) => name.startsWith(`${base(first)}-`) || name.includes(`&${base(first)}-`),
      );
      await rm(lab.record(key ?? ''));
      await until(
        'nothing leads there any more',
        async () => !(await routesOf(a.namespace)).some((line) => line.startsWith(first)),
      );
      assert.deepEqual((await a.status()).dataplane.troubles, []);
    });
  }
}

for (const families of [[4], [4, 6]] as const) {
  test(`host-gw, IPv${families.join(' and ')}: routes to near peers; a far one is named and tried again until it is near`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const { a, b, far } = await sites(t, { Type: 'host-gw' }, families);
    const nodes = [a, b, far];
    for (const node of nodes) node.run();
    await Promise.all(nodes.map((node) => node.ready(2 * families.length)));
    const distant = await subnetsOf(far);
    const { dataplane, node: about } = await a.status();
    assert.deepEqual([dataplane.kind, about.device, about.mtuBytes], ['routes', 'eth0', 1500]);
    assert.deepEqual(dataplane.troubles.map(({ subnet }) => subnet).sort(), [...distant].sort());
    for (const { reason } of dataplane.troubles)
      assert.match(reason, /cannot be set: .*(unreachable|Invalid gateway|No route)/i);
    const lines = await routesOf(a.namespace);
    const near = await subnetsOf(b);
    assert.equal(lines.length, near.length);
    for (const subnet of near)
      assert.ok(
        lines.some((line) => line.startsWith(`${subnet} via `) && line.includes('dev eth0')),
        subnet,
      );
    assert.match(await a.twill('status'), /TROUBLE with the kernel's tables: \d/);

    // Packets to a pod of b.
    for (const subnet of near) {
      const bits = subnet.includes(':') ? '128' : '32';
      await b.namespace.ip('address', 'add', `${base(subnet)}/${bits}`, 'dev', 'lo');
      await until(`a reaches ${subnet}`, () => pings(a.namespace, base(subnet), '-W', '0.5'));
    }
    // It comes nearer.
    await a.namespace.ip('address', 'add', '198.51.100.2/24', 'dev', 'eth0');
    await a.namespace.ip('address', 'add', '2001:db8:1::2/64', 'dev', 'eth0', 'nodad');
    await until('no trouble is left', async () => (await a.status()).dataplane.troubles.length === 0);
    assert.equal((await routesOf(a.namespace)).length, 2 * families.length);
  });
}

test('host-gw: what others do to its routes is put right, and theirs is left alone and named', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { lab, a } = await sites(t, { Type: 'host-gw' }, [4]);
  // A flannel was here: its route to the peer's subnet, and one to nobody.
  await lab.writeRecord(
    '10.77.200.0-24',
    '{"PublicIP":"192.0.2.2","PublicIPv6":null,"BackendType":"host-gw"}',
  );
  await a.namespace.ip('route', 'add', '10.77.200.0/24', 'via', '192.0.2.77', 'dev', 'eth0');
  await a.namespace.ip('route', 'add', '10.77.201.0/24', 'via', '192.0.2.78', 'dev', 'eth0');
  // A daemon is here too.
  await lab.writeRecord(
    '10.77.202.0-24',
    '{"PublicIP":"192.0.2.99","PublicIPv6":null,"BackendType":"host-gw"}',
  );
  await a.namespace.ip('route', 'add', '10.77.202.0/24', 'via', '192.0.2.79', 'dev', 'eth0', 'proto', 'bird');
  a.run();
  const status = await a.ready(2);
  const routes = () => a.namespace.ip('route');
  assert.match(
    await routes(),
    /^10\.77\.200\.0\/24 via 192\.0\.2\.2 dev eth0 proto 116/m,
    "flannel's became ours",
  );
  assert.match(await routes(), /^10\.77\.201\.0\/24 via 192\.0\.2\.78 dev eth0 *$/m, 'that to nobody stays');
  assert.match(
    await routes(),
    /^10\.77\.202\.0\/24 via 192\.0\.2\.79 dev eth0 proto bird/m,
    "the daemon's stays",
  );
  assert.deepEqual(
    status.dataplane.troubles.map(({ subnet }) => subnet),
    ['10.77.202.0/24'],
  );
  assert.match(status.dataplane.troubles[0]?.reason ?? '', /of protocol 12 that is not ours is in the way/);
  assert.deepEqual([...status.dataplane.foreignRoutes].sort(), [
    'route to 10.77.201.0/24 via 192.0.2.78',
    'route to 10.77.202.0/24 via 192.0.2.79',
  ]);
  const before = await routes();
  for (const change of [
    ['delete', '10.77.200.0/24'],
    ['replace', '10.77.200.0/24', 'via', '192.0.2.50', 'dev', 'eth0'],
    ['add', '10.77.203.0/24', 'via', '192.0.2.51', 'dev', 'eth0', 'proto', '116'],
  ]) {
    await a.namespace.ip('route', ...change);
    await until(`${change.join(' ')} is undone`, async () => (await routes()) === before);
  }
  await a.namespace.ip('route', 'delete', '10.77.202.0/24');
  await until(
    'the peer has its route once the other is gone',
    async () => (await a.status()).dataplane.troubles.length === 0,
  );

  // Down and up: the kernel takes all routes away with it, but for the trouble of b's absence.
  await a.namespace.ip('link', 'set', 'eth0', 'down');
  await until('it is not ready', async () => (await a.status()).node.deviceTrouble === 'it is down');
  await a.namespace.ip('link', 'set', 'eth0', 'up');
  await until('the routes are back', async () =>
    (await routes()).includes('10.77.200.0/24 via 192.0.2.2 dev eth0 proto 116'),
  );
  assert.equal((await a.status()).node.deviceTrouble, null);

  // The lease goes while we are down: nothing is left of it.
  assert.equal(await a.stop(), 0);
  assert.match(await routes(), /10\.77\.200\.0\/24/, 'the kernel goes on');
  await rm(lab.record('10.77.200.0-24'));
  a.run();
  await a.ready(1);
  assert.doesNotMatch(await routes(), /10\.77\.200\.0/);
});

test('host-gw refuses a public IP that is not its own, in one line', { skip, timeout: 60_000 }, async (t) => {
  const { a } = await sites(t, { Type: 'host-gw' }, [4]);
  const { code, line } = await a.fail(['--public-ip=203.0.113.7']);
  assert.equal(code, 1);
  assert.match(
    line,
    /^twill: Backend\.Type "host-gw": the public IP 203\.0\.113\.7 is not that of interface eth0 [^\n]+$/,
  );
});

test('alloc takes a lease, writes subnet.env, and carries nothing', { skip, timeout: 60_000 }, async (t) => {
  const { lab, a, b } = await sites(t, { Type: 'alloc' }, [4]);
  a.run();
  b.run();
  const [status] = await Promise.all([a.started(), b.started()]);
  assert.deepEqual([status.dataplane.kind, status.peers, status.node.mtuBytes], ['none', 0, 1500]);
  assert.match(await readFile(a.subnetFile, 'utf8'), /FLANNEL_SUBNET=10\.77\.\d+\.1\/24\nFLANNEL_MTU=1500\n/);
  const value = await readFile(lab.record(status.node.subnet.replace('/', '-')), 'utf8');
  assert.equal(value, '{"PublicIP":"192.0.2.1","PublicIPv6":null}');
  assert.doesNotMatch(await a.namespace.ip('route'), /10\.77/);
  assert.match(await a.twill('status'), /packets are not counted/);
});
