/**
 * Real pods, by Debian's CNI plugins, on nodes of Kubernetes: a policy's rules hold between them, and they outlive whatever
 * restarts.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { tcpBulk } from '../../src/lab/traffic.js';
import type { AgentNode } from '../support/agent-node.js';
import { CniPod, cannotMakePods } from '../support/cni-pod.js';
import { labOnKube } from '../support/kube/lab.js';
import { cannotRun, pings, until } from '../support/namespaces.js';

const skip = (await cannotRun()) || (await cannotMakePods());
const BULK = { durationMs: 3000 };

function podOn(t: TestContext, { namespace, subnetFile, directory }: AgentNode, label: string) {
  return CniPod.add(t, { namespace, subnetFile, directory: join(directory, namespace.label) }, label);
}

async function bothReach(a: CniPod, b: CniPod): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const)
    for (const address of to.addresses)
      await until(`${from.namespace.label} reaches ${to.namespace.label} at ${address}`, () =>
        pings(from.namespace, address),
      );
}

for (const [plane, flags] of [
  ['our own plane', ['--ip-masq']],
  ["the kernel's plane", ['--ip-masq', '--dataplane=kernel']],
] as const) {
  test(`pods outlive restarts of agent and node, and come back after their own: ${plane}`, {
    skip,
    timeout: 180_000,
  }, async (t) => {
    const config = { EnableIPv6: true, IPv6Network: 'fd00:77::/48', Backend: { Type: 'vxlan' } };
    const lab = await labOnKube(t, config, { withIpv6: true });
    const podCidrs = (i: number) => [`10.77.${i}.0/24`, `fd00:77:0:${i + 1}::/64`];
    for (const [i, node] of lab.nodes.entries()) {
      await lab.api.addNode(`n${i}`, { podCidrs: podCidrs(i) });
      node.run(flags);
    }
    await Promise.all(lab.nodes.map((node) => node.ready(2)));
    const [left, right] = [lab.node(0), lab.node(1)];
    const a = await podOn(t, left, 'a');
    let b = await podOn(t, right, 'b');
    assert.ok(a.addresses[0]?.startsWith('10.77.0.') && b.addresses[1]?.startsWith('fd00:77:0:2::'));
    await bothReach(a, b);

    // As a program that enforces policies does it: on the way out of a pod and on the way in, by the pods' own addresses.
    const [pod4 = '', other4 = ''] = [a.addresses[0], b.addresses[0]];
    for (const [node, chain] of [
      [left, ['-s', pod4, '-d', other4]],
      [right, ['-d', other4]],
    ] as const) {
      const rule = ['FORWARD', ...chain, '-p', 'icmp', '-j', 'DROP'];
      await node.namespace.exec('iptables', ['-I', ...rule]);
      assert.equal(await pings(a.namespace, other4), false, `${node.namespace.label} drops`);
      await node.namespace.exec('iptables', ['-D', ...rule]);
      const table = ['table ip companion {', 'chain c {', 'type filter hook forward priority -1;'];
      const match = `ip saddr ${pod4} ip daddr ${other4} icmp type echo-request counter drop`;
      await node.namespace.exec('nft', [`${table.join(' ')} ${match}; }; }`]);
      assert.equal(await pings(a.namespace, other4), false, `${node.namespace.label} drops, in nftables`);
      const { stdout } = await node.namespace.exec('nft', ['list', 'table', 'ip', 'companion']);
      assert.match(stdout, /counter packets 1 /);
      await node.namespace.exec('nft', ['delete', 'table', 'ip', 'companion']);
    }
    await bothReach(a, b);

    await b.remove();
    b = await podOn(t, right, 'b-again');
    await bothReach(a, b);

    const envs = () => Promise.all(lab.nodes.map(({ subnetFile }) => readFile(subnetFile, 'utf8')));
    const before = await envs();
    /** One stream in each family goes on while this happens. */
    const throughout = async (what: string, work: () => Promise<void>) => {
      const bulks = b.addresses.map((address) => tcpBulk(a.namespace, b.namespace, address, BULK));
      // A connection that is not made yet would be refused while there is no device.
      await until(`${what}: the streams run`, async () => {
        const { stdout } = await b.namespace.exec('ss', ['-Htni', 'state', 'established']);
        return [...stdout.matchAll(/bytes_received:(\d{6,})/g)].length === b.addresses.length;
      });
      await work();
      for (const { intact } of await Promise.all(bulks)) assert.ok(intact, `${what}: every byte arrives`);
      await bothReach(a, b);
      assert.deepEqual(await envs(), before, what);
    };
    for (const [i, node] of lab.nodes.entries()) {
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        await throughout(`${signal} of n${i}`, async () => {
          await node.stop(signal);
          node.run(flags);
          await node.ready(2);
        });
      }
    }
    await throughout('n1 is registered anew', async () => {
      await lab.api.deleteNode('n1');
      await until('it is no peer', async () => (await left.status()).peers === 0);
      await lab.api.addNode('n1', { podCidrs: podCidrs(1) });
      await until('it is one again', async () => (await left.status()).peers === 2);
    });
    const late = await podOn(t, right, 'late');
    await bothReach(a, late);
    for (const node of lab.nodes) {
      const { identity } = await node.status();
      assert.ok(Object.values(identity).every((holds) => holds !== false));
      assert.equal(await node.stop(), 0);
    }
  });
}
