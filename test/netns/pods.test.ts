/**
 * Real pods: Debian's CNI plugins, driven by subnet.env and flannel's conflist as flannel's CNI plugin drives them. Two
 * pods on each of two nodes, and a host outside that knows no way to any pod.
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { tcpBulk } from '../../src/lab/traffic.js';
import { type AgentNode, labWith } from '../support/agent-node.js';
import { CniPod, cannotMakePods } from '../support/cni-pod.js';
import { callerAsSeen, startGreeter } from '../support/greeter.js';
import { base, cannotRun, makeSegment, pings, until } from '../support/namespaces.js';

const skip = (await cannotRun()) || (await cannotMakePods());

interface Row {
  readonly name: string;
  readonly backend: object;
  readonly families: readonly (4 | 6)[];
  readonly flags?: readonly string[];
  /** Of net-conf. */
  readonly config?: object;
  /** We masquerade (`--ip-masq`), not the bridge. */
  readonly ourMasquerade?: true;
  /** No device of the overlay: the hosts' own routes carry. */
  readonly isRouted?: true;
}

const rows: readonly Row[] = [
  { name: 'vxlan', backend: { Type: 'vxlan' }, families: [4] },
  { name: 'vxlan, dual stack', backend: { Type: 'vxlan' }, families: [4, 6] },
  { name: 'vxlan, IPv6', backend: { Type: 'vxlan' }, families: [6] },
  { name: 'udp', backend: { Type: 'udp' }, families: [4] },
  {
    name: 'vxlan with masquerade rules in iptables',
    backend: { Type: 'vxlan' },
    families: [4, 6],
    ourMasquerade: true,
  },
  {
    name: 'vxlan with masquerade rules in nftables',
    backend: { Type: 'vxlan' },
    families: [4, 6],
    config: { EnableNFTables: true },
    ourMasquerade: true,
  },
  { name: "the kernel's vxlan", backend: { Type: 'vxlan' }, families: [4], flags: ['--dataplane=kernel'] },
  {
    name: "the kernel's vxlan with masquerade rules",
    backend: { Type: 'vxlan' },
    families: [4, 6],
    flags: ['--dataplane=kernel'],
    ourMasquerade: true,
  },
  {
    name: 'direct routes beside our vxlan',
    backend: { Type: 'vxlan', DirectRouting: true },
    families: [4, 6],
    ourMasquerade: true,
  },
  {
    name: "direct routes beside the kernel's vxlan",
    backend: { Type: 'vxlan', DirectRouting: true },
    families: [4],
    flags: ['--dataplane=kernel'],
    ourMasquerade: true,
  },
  {
    name: 'host-gw',
    backend: { Type: 'host-gw' },
    families: [4, 6],
    ourMasquerade: true,
    isRouted: true,
  },
];

const SERVICE_PORT = 80;
const HOST_PORT = 8080;

interface PodNode {
  readonly agent: AgentNode;
  readonly namespace: Namespace;
  /** On the underlay, in the order of the families. */
  readonly addresses: readonly string[];
  /** Of its overlay device. */
  readonly bases: readonly string[];
  /** The second one has a port mapped. */
  readonly pods: readonly [CniPod, CniPod];
}

async function clusterWithPods(t: TestContext, row: Row) {
  const { backend, families, isRouted = false, ourMasquerade = false } = row;
  const flags = [...(row.flags ?? []), ...(ourMasquerade ? ['--ip-masq'] : [])];
  const underlay = (number: number) =>
    families.map((family) => (family === 4 ? `192.0.2.${number}` : `2001:db8::${number}`));
  const config = {
    ...(families.includes(4) ? {} : { EnableIPv4: false, Network: undefined }),
    ...(families.includes(6) && { EnableIPv6: true, IPv6Network: 'fd00:77::/48' }),
    ...row.config,
    Backend: backend,
  };
  const places = ['a', 'b', 'outside'].map((label, i) => {
    const numbered = underlay(label === 'outside' ? 200 : i + 1);
    return { label, addresses: numbered.map((address) => `${address}/${address.includes(':') ? 64 : 24}`) };
  });
  let outside: Namespace | undefined;
  const { nodes: agents } = await labWith(t, config, async (make) => {
    const namespaces = await makeSegment(t, places);
    outside = namespaces.pop();
    return namespaces.map(make);
  });
  assert.ok(outside);
  for (const agent of agents) agent.run(flags);
  const nodes: PodNode[] = [];
  for (const [i, agent] of agents.entries()) {
    const { node } = await agent.ready(1);
    const { namespace, subnetFile, directory } = agent;
    const label = namespace.label;
    const host = { namespace, subnetFile, directory: join(directory, label) };
    const mapping = { hostPort: HOST_PORT, containerPort: SERVICE_PORT, protocol: 'tcp' } as const;
    const pods = [
      await CniPod.add(t, host, `${label}1`),
      await CniPod.add(t, host, `${label}2`, [mapping]),
    ] as const;
    for (const pod of pods) await startGreeter(pod.namespace, SERVICE_PORT);
    nodes.push({
      agent,
      namespace,
      addresses: underlay(i + 1),
      bases: isRouted ? [] : node.subnet.split(' ').map(base),
      pods,
    });
  }
  const [a, b] = nodes;
  assert.ok(a && b);
  return { nodes: [a, b] as const, outside, outsideAddresses: underlay(200) };
}

/** Each address of `to` answers pings of `from`. */
async function reaches(from: Namespace, to: readonly string[], whom: string): Promise<void> {
  for (const address of to)
    await until(`${from.label} reaches ${whom} at ${address}`, () => pings(from, address));
}

for (const row of rows) {
  test(`pods over ${row.name}: to each other, to and from hosts, by a mapped port, out`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const { nodes, outside, outsideAddresses } = await clusterWithPods(t, row);
    const [a, b] = nodes;
    const pods = nodes.flatMap((node) => node.pods);
    const { mtuBytes } = (await a.agent.status()).node;

    for (const pod of pods) {
      assert.equal(pod.addresses.length, row.families.length);
      const link = await pod.namespace.ip('-o', 'link', 'show', 'eth0');
      assert.match(link, new RegExp(` mtu ${mtuBytes} `), 'the MTU of subnet.env');
    }
    for (const from of pods) {
      for (const to of pods)
        if (from !== to) await reaches(from.namespace, to.addresses, `pod ${to.namespace.label}`);
      for (const node of nodes) {
        await reaches(from.namespace, node.addresses, `host ${node.namespace.label}`);
        await reaches(from.namespace, node.bases, `host ${node.namespace.label}, on the overlay,`);
        await reaches(node.namespace, from.addresses, `pod ${from.namespace.label}`);
      }
      await reaches(from.namespace, outsideAddresses, 'the world');
    }

    // A full packet passes in one piece, and a stream of every byte.
    for (const [from, to] of [
      [a.pods[0], b.pods[0]],
      [b.pods[1], a.pods[1]],
      [a.pods[0], a.pods[1]],
    ] as const) {
      for (const address of to.addresses) {
        const headers = address.includes(':') ? 48 : 28;
        const full = ['-s', String(mtuBytes - headers), '-M', 'do'];
        assert.ok(await pings(from.namespace, address, ...full), `${address}: ${mtuBytes} bytes whole`);
        const { intact } = await tcpBulk(from.namespace, to.namespace, address, { bytes: 4_000_000 });
        assert.ok(intact, `${from.namespace.label} to ${address}: every byte`);
      }
    }
    for (const [node, other] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const address of other.pods[0].addresses) {
        const { intact } = await tcpBulk(node.namespace, other.pods[0].namespace, address, {
          bytes: 1_000_000,
        });
        assert.ok(intact, `host ${node.namespace.label} to ${address}: every byte`);
      }
    }

    // The mapped port of b, from everywhere.
    const callers = [a.pods[0].namespace, a.namespace, b.pods[0].namespace, b.pods[1].namespace, outside];
    for (const from of callers) {
      for (const address of b.addresses) {
        const seen = await callerAsSeen(from, address, HOST_PORT);
        assert.ok(seen, `${from.label} calls port ${HOST_PORT} of ${address}`);
      }
    }
    // Where the bridge masquerades, another node knows a pod by the device's address, else by its own; so does the own node.
    const known = row.ourMasquerade ? a.pods[0].addresses : a.bases;
    for (const [i, address] of b.pods[0].addresses.entries())
      assert.equal(await callerAsSeen(a.pods[0].namespace, address, SERVICE_PORT), known[i]);
    for (const [i, address] of a.pods[1].addresses.entries())
      assert.equal(await callerAsSeen(a.pods[0].namespace, address, SERVICE_PORT), a.pods[0].addresses[i]);
    // The world sees the node, not the pod.
    await startGreeter(outside, SERVICE_PORT);
    for (const [i, address] of outsideAddresses.entries())
      assert.equal(await callerAsSeen(a.pods[0].namespace, address, SERVICE_PORT), a.addresses[i]);
    assert.equal(await pings(outside, b.pods[0].addresses[0] ?? ''), false, 'the world knows no pod');

    // DEL leaves nothing.
    for (const node of nodes) {
      for (const pod of node.pods) await pod.remove();
      const ports = await node.namespace.ip('-o', 'link', 'show', 'master', 'cni0');
      assert.equal(ports, '');
      const held = await readdir(join(node.pods[0].host.directory, 'cni-networks', 'cbr0'));
      assert.deepEqual(
        held.filter((name) => /^[0-9a-f.:]+$/.test(name)),
        [],
      );
      const rules = await node.namespace.exec('iptables-save', ['-t', 'nat']);
      assert.doesNotMatch(rules.stdout, new RegExp(`dport ${HOST_PORT}|${node.pods[0].addresses[0]}`));
    }
    for (const { agent } of nodes) {
      const { identity } = await agent.status();
      // What the hosts route themselves nobody counts.
      const holds = row.isRouted ? null : true;
      assert.deepEqual(identity, { encap: holds, decap: holds });
      assert.equal(await agent.stop(), 0);
    }
  });
}
