/** Pods behind bridges, as the CNI plugin makes them, on a node of flannel's and on one of ours. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { joinByVeth } from '../../src/lab/namespace.js';
import { tcpBulk } from '../../src/lab/traffic.js';
import { allReach, type Member, mixedCluster } from '../support/mixed-cluster.js';
import { cannotRun, makeNamespace, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

interface Pod {
  readonly namespace: Namespace;
  readonly v4: string;
  readonly v6: string;
}

/** Bridge, gateway addresses, forwarding; one pod at `.9` and `::9`. */
async function makePod(t: TestContext, node: Member, mtuBytes: number): Promise<Pod> {
  const pod = await makeNamespace(t, `pod-${node.namespace.label}`);
  const [base4 = '', base6 = ''] = node.addresses;
  const [v4, v6] = [base4.replace(/0$/, '9'), `${base6}9`];
  const host = node.namespace;
  await joinByVeth(
    { namespace: pod, device: 'eth0', addresses: [`${v4}/24`, `${v6}/64`] },
    { namespace: host, device: 'veth0' },
    mtuBytes,
  );
  await host.ip('link', 'add', 'cni0', 'type', 'bridge');
  await host.ip('link', 'set', 'veth0', 'master', 'cni0');
  const [gateway4, gateway6] = [base4.replace(/0$/, '1'), `${base6}1`];
  await host.ip('address', 'add', `${gateway4}/24`, 'dev', 'cni0');
  await host.ip('address', 'add', `${gateway6}/64`, 'dev', 'cni0', 'nodad');
  await host.ip('link', 'set', 'cni0', 'up');
  await host.exec('sh', [
    '-c',
    'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding',
  ]);
  await pod.ip('route', 'add', 'default', 'via', gateway4);
  await pod.ip('-6', 'route', 'add', 'default', 'via', gateway6);
  return { namespace: pod, v4, v6 };
}

test("pods with flannel's MTU and pods with ours, in both families", { skip, timeout: 90_000 }, async (t) => {
  const { members } = await mixedCluster(t, { type: 'vxlan', families: [4, 6] }, ['flannel', 'twill']);
  const [flannel, twill] = members as [Member, Member];
  await Promise.all([flannel.startFlannel(), twill.startTwill()]);
  await allReach(members);
  assert.match(await readFile(twill.agent.subnetFile, 'utf8'), /^FLANNEL_MTU=1430$/m);
  const theirs = await makePod(t, flannel, 1450);
  const ours = await makePod(t, twill, 1430);
  for (const [from, to] of [
    [theirs, ours],
    [ours, theirs],
  ] as const) {
    for (const address of [to.v4, to.v6]) {
      const what = `${from.namespace.label} to ${address}`;
      // The bridge's own link-local address takes a second to be sure that it is alone.
      await until(what, () => pings(from.namespace, address));
      const inPieces = () => pings(from.namespace, address, '-s', '3000', '-M', 'dont');
      // A pod of flannel's first has to learn that its MTU is too much for IPv6.
      if (from === theirs) await until(`${what}: 3000 bytes`, inPieces);
      else assert.ok(await inPieces(), `${what}: 3000 bytes, at once`);
      const bulk = await tcpBulk(from.namespace, to.namespace, address, { bytes: 8_000_000 });
      assert.ok(bulk.intact, `${what}: every byte`);
    }
  }
});

test('a pod that flannel made keeps its MTU when its node changes hands', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { members } = await mixedCluster(t, { type: 'vxlan', families: [4, 6] }, ['flannel', 'moving']);
  const [flannel, moving] = members as [Member, Member];
  await Promise.all([flannel.startFlannel(), moving.startFlannel()]);
  await allReach(members);
  const theirs = await makePod(t, flannel, 1450);
  const kept = await makePod(t, moving, 1450);
  await moving.flannel.stop();
  await moving.startTwill();
  await allReach(members);
  for (const [from, to] of [
    [theirs, kept],
    [kept, theirs],
  ] as const) {
    // Flannel's IPv4 MTU passes in as it is; on the way out the kernel cuts, or answers and the pod learns.
    const full = ['-s', String(1450 - 28)];
    await until('pods reach each other', () => pings(from.namespace, to.v4));
    assert.equal(await pings(from.namespace, to.v4, ...full, '-M', 'dont'), true);
    for (const address of [to.v4, to.v6]) {
      const bulk = await tcpBulk(from.namespace, to.namespace, address, { bytes: 8_000_000 });
      assert.ok(bulk.intact, `${from.namespace.label} to ${address}: every byte`);
    }
  }
});
