/** `twill probe` through a router: a narrow path, a firewall, a dead peer, a peer without an agent; IPv4 and IPv6 outside. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { joinByVeth, type Namespace } from '../../src/lab/namespace.js';
import { type AgentNode, labWith } from '../support/agent-node.js';
import { base, cannotRun, cli, makeNamespace, pings, until } from '../support/namespaces.js';

/** The package's own limit: its bindings do not compile against newer ones. */
const cannotBuild =
  Number(process.versions.node.split('.')[0]) > 22 && 'raw-socket builds under Node 20 and 22 only';
const skip = (await cannotRun()) || cannotBuild;

interface Found {
  readonly verdict: string;
  readonly pathMtuBytes: number | null;
  readonly neededBytes: number;
  readonly underlay: { readonly rttMs: number | null; readonly said: string | null };
  readonly tunnel: { readonly rttMs: number | null; readonly said: string | null };
  readonly overlay: { readonly rttMs: number | null };
}

interface Path {
  readonly a: AgentNode;
  readonly b: AgentNode;
  readonly router: Namespace;
  readonly addresses: readonly [string, string];
  probe(peer: string, ...flags: string[]): Promise<{ code: number; found: Found; text: string }>;
  /** As people see it. */
  shown(peer: string, ...flags: string[]): Promise<string>;
  narrow(mtuBytes: number): Promise<void>;
}

/** An answer comes in well under a millisecond, unless the machine has other things to do. */
const PATIENT = ['--timeout=4000'];
/** Where silence is what is waited for. */
const SILENT = ['--timeout=1000', '--tries=2'];

/** Two nodes in two networks with a router between. */
async function path(t: TestContext, family: 4 | 6, type: 'vxlan' | 'udp'): Promise<Path> {
  const networks = family === 4 ? ['192.0.2.', '198.51.100.'] : ['2001:db8:1::', '2001:db8:2::'];
  const length = family === 4 ? 24 : 64;
  const [left, right] = networks.map((network) => ({ node: `${network}1`, router: `${network}254` })) as [
    { node: string; router: string },
    { node: string; router: string },
  ];
  const config =
    family === 4
      ? { Backend: { Type: type } }
      : { EnableIPv4: false, EnableIPv6: true, IPv6Network: 'fd00:77::/48', Backend: { Type: type } };
  let router: Namespace | undefined;
  const { nodes } = await labWith(t, config, async (make) => {
    const namespaces = [
      await makeNamespace(t, 'a'),
      await makeNamespace(t, 'r'),
      await makeNamespace(t, 'b'),
    ] as const;
    const [a, r, b] = namespaces;
    router = r;
    await joinByVeth(
      { namespace: a, device: 'eth0', addresses: [`${left.node}/${length}`] },
      { namespace: r, device: 'left', addresses: [`${left.router}/${length}`] },
    );
    await joinByVeth(
      { namespace: b, device: 'eth0', addresses: [`${right.node}/${length}`] },
      { namespace: r, device: 'right', addresses: [`${right.router}/${length}`] },
    );
    await r.exec('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    await a.ip('route', 'add', 'default', 'via', left.router);
    await b.ip('route', 'add', 'default', 'via', right.router);
    return [make(a), make(b)] as const;
  });
  assert.ok(router);
  const [a, b] = nodes;
  a.run();
  b.run();
  await Promise.all([a.ready(1), b.ready(1)]);
  const run = async (peer: string, ...flags: string[]) => {
    const argv = [cli, 'probe', peer, `--control-socket=${a.socket}`, ...flags];
    return a.namespace.exec(process.execPath, argv).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error) => ({ code: (error.cause as { code: number }).code, stdout: `${error.stdout}${error.stderr}` }),
    );
  };
  return {
    ...{ a, b, router, addresses: [left.node, right.node] as const },
    probe: async (peer, ...flags) => {
      const { code, stdout } = await run(peer, ...PATIENT, '--json', ...flags);
      assert.match(stdout, /^\[/, stdout);
      const [found] = JSON.parse(stdout) as Found[];
      assert.ok(found);
      return { code, found, text: stdout };
    },
    shown: async (peer, ...flags) => (await run(peer, ...PATIENT, ...flags)).stdout,
    narrow: async (mtuBytes) => {
      await router?.ip('link', 'set', 'right', 'mtu', String(mtuBytes));
      await b.namespace.ip('link', 'set', 'eth0', 'mtu', String(mtuBytes));
    },
  };
}

const subnetOf = async (node: AgentNode) => (await node.status()).node.subnet;

for (const [family, type, overhead] of [
  [4, 'vxlan', 50],
  [4, 'udp', 28],
  [6, 'vxlan', 70],
] as const) {
  test(`probe over IPv${family}, ${type}`, { skip, timeout: 280_000 }, async (t) => {
    const { a, b, router, addresses, probe, shown, narrow } = await path(t, family, type);
    const subnet = await subnetOf(b);
    const needed = (await a.status()).node.mtuBytes + overhead;
    await until('the overlay works', () => pings(a.namespace, base(subnet)));

    await t.test('all is well, whatever the peer is called', async () => {
      for (const peer of [subnet, base(subnet), addresses[1]]) {
        const { code, found, text } = await probe(peer);
        assert.deepEqual(
          [code, found.verdict, found.pathMtuBytes, found.neededBytes],
          [0, 'ok', needed, needed],
          text,
        );
        for (const { rttMs } of [found.underlay, found.tunnel, found.overlay])
          assert.ok(rttMs !== null && rttMs < 4000);
      }
      const text = await shown(subnet);
      assert.match(
        text,
        /^endpoint {2}\S+ \((vxlan|udp)\), from \S+\nunderlay {2}answers, RTT [\d.]+ ms\ntunnel {4}answers, RTT /,
      );
      assert.match(text, new RegExp(`^path MTU  ${needed} bytes or more$`, 'm'));
      assert.match(text, /^verdict {3}reachable, and packets of \d+ bytes pass$/m);
    });

    await t.test('a router with a smaller MTU: exactly that, and what to do', async () => {
      await narrow(1400);
      const { code, found, text } = await probe(subnet);
      assert.deepEqual([code, found.verdict, found.pathMtuBytes], [1, 'path-mtu', 1400], text);
      const lines = await shown(subnet);
      const said = `^verdict +the path carries packets of 1400 bytes, the overlay needs ${needed}$`;
      assert.match(lines, new RegExp(said, 'm'));
      assert.match(lines, /^to do .*MTU of 1400 and restart/m);
      await narrow(1500);
      assert.equal((await probe(subnet)).found.verdict, 'ok', 'what a router said before is not remembered');
    });

    await t.test('a router that says nothing: a black hole is found by halving', async () => {
      await narrow(1333);
      const chain = family === 4 ? 'icmp type destination-unreachable' : 'icmpv6 type packet-too-big';
      await router.exec('nft', [
        `add table inet t; add chain inet t out { type filter hook output priority 0; }; add rule inet t out ${chain} drop`,
      ]);
      const { code, found } = await probe(subnet, ...SILENT);
      assert.deepEqual([code, found.verdict, found.pathMtuBytes], [1, 'path-mtu', 1333]);
      await router.exec('nft', ['delete table inet t']);
      await narrow(1500);
    });

    await t.test('a firewall that drops the port: underlay ok, overlay not', async () => {
      await router.exec('nft', [
        `add table inet t; add chain inet t passing { type filter hook forward priority 0; }; add rule inet t passing udp dport ${type === 'udp' ? 8285 : 8472} drop`,
      ]);
      const { code, found, text } = await probe(subnet, ...SILENT);
      assert.deepEqual(
        [
          code,
          found.verdict,
          found.pathMtuBytes,
          found.underlay.rttMs !== null,
          found.tunnel,
          found.overlay.rttMs,
        ],
        [1, 'tunnel-blocked', needed, true, { rttMs: null, said: null }, null],
        text,
      );
      assert.match(text, /underlay ok, overlay not/);
      await router.exec('nft', ['delete table inet t']);
    });

    await t.test('the peer has no agent: nobody listens', async () => {
      await b.stop('SIGKILL');
      const { code, found, text } = await probe(subnet, ...SILENT);
      assert.deepEqual(
        [code, found.verdict, found.tunnel.said],
        [1, 'port-closed', 'port unreachable'],
        text,
      );
      assert.match(text, /nobody listens on its UDP port/);
    });

    await t.test('the peer is dead: unreachable, and why', async () => {
      await b.namespace.ip('link', 'set', 'eth0', 'down');
      const { code, found, text } = await probe(subnet, ...SILENT);
      assert.deepEqual([code, found.verdict, found.pathMtuBytes], [1, 'unreachable', null], text);
      await a.namespace.ip(`-${family}`, 'route', 'delete', 'default');
      const lost = await probe(subnet, '--timeout=500', '--tries=1');
      assert.equal(lost.found.verdict, 'unreachable');
      assert.match(lost.found.underlay.said ?? '', /unreachable/);
    });

    await t.test('nobody of that name', async () => {
      const { stdout } = await a.namespace
        .exec(process.execPath, [cli, 'probe', '203.0.113.9', `--control-socket=${a.socket}`])
        .catch((error) => ({ stdout: `${error.cause.code} ${error.stderr}` }));
      assert.match(stdout, /^1 twill: no peer is meant by 203\.0\.113\.9: see "twill peers"/);
    });
  });
}
