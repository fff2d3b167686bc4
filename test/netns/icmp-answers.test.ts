/** What a sender is told when its packet cannot go on: the answers reach it through the real kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinByVeth, type Namespace } from '../../src/lab/namespace.js';
import { labOfTwo } from '../support/agent-node.js';
import { base, cannotRun, makeNamespace, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

/** All that `ping` says, answered or not. */
function pinged(from: Namespace, to: string, ...flags: string[]): Promise<string> {
  return from.exec('ping', ['-n', '-c', '1', '-W', '2', ...flags, to]).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  );
}

for (const type of ['vxlan', 'udp'] as const) {
  test(`${type}: host and pod are told when nobody holds the destination`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { nodes } = await labOfTwo(t, { Backend: { Type: type } });
    const [a, b] = nodes;
    a.run();
    b.run();
    const [left, right] = await Promise.all([a.started(), b.started()]);
    const own = base(left.node.subnet);
    const target = base(right.node.subnet);
    await until('a reaches b', () => pings(a.namespace, target));
    const pod = await makeNamespace(t, 'pod');
    const inSubnet = (last: number) => own.replace(/\.0$/, `.${last}`);
    await joinByVeth(
      { namespace: a.namespace, device: 'pods', addresses: [`${inSubnet(1)}/24`] },
      { namespace: pod, device: 'eth0', addresses: [`${inSubnet(9)}/24`] },
    );
    await a.namespace.exec('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    await pod.ip('route', 'add', 'default', 'via', inSubnet(1));
    // The last subnet: leases are taken from the first hundred.
    const told = new RegExp(`From ${own} .*Destination Net Unreachable`);
    assert.match(await pinged(a.namespace, '10.77.255.9'), told);
    assert.match(await pinged(pod, '10.77.255.9'), told);
    const counted = (await a.status()).counters.encap.drops['no_route'] ?? 0;
    assert.ok(counted >= 2, `${counted} counted`);
    if (type === 'udp') {
      assert.match(
        await pinged(a.namespace, target, '-t', '1'),
        new RegExp(`From ${own} .*Time to live exceeded`),
      );
      // The pod's packet loses one hop in the kernel before it comes to us.
      assert.match(await pinged(pod, target, '-t', '2'), new RegExp(`From ${own} .*Time to live exceeded`));
    }
  });
}

test('without the source check the kernel goes on refusing what claims to come from this host', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const [a] = nodes;
  a.run(['--source-check=off']);
  const { node } = await a.started();
  const read = ['cat', `/proc/sys/net/ipv4/conf/${node.device}/accept_local`];
  assert.equal((await a.namespace.exec(read[0] ?? '', read.slice(1))).stdout.trim(), '0');
});
