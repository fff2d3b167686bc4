/** The network below goes away and comes back: the agent neither ends nor spins, and carries on without being told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinByVeth } from '../../src/lab/namespace.js';
import { labOfTwo } from '../support/agent-node.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

for (const type of ['vxlan', 'udp'] as const) {
  test(`${type}: the underlay is set down, loses its address, is replaced`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { nodes } = await labOfTwo(t, { Backend: { Type: type } });
    const [a, b] = nodes;
    a.run();
    b.run();
    const [left, right] = await Promise.all([a.started(), b.started()]);
    const reaches = async () =>
      (await pings(a.namespace, base(right.node.subnet), '-W', '0.3')) &&
      (await pings(b.namespace, base(left.node.subnet), '-W', '0.3'));
    await until('both ways are open', reaches);
    const { namespace } = a;
    const faults: [string, () => Promise<unknown>, () => Promise<unknown>][] = [
      [
        'down',
        () => namespace.ip('link', 'set', 'eth0', 'down'),
        () => namespace.ip('link', 'set', 'eth0', 'up'),
      ],
      [
        'without its address',
        () => namespace.ip('address', 'flush', 'dev', 'eth0'),
        () => namespace.ip('address', 'add', '192.0.2.1/24', 'dev', 'eth0'),
      ],
      [
        'gone',
        () => namespace.ip('link', 'delete', 'eth0'),
        () =>
          joinByVeth(
            { namespace, device: 'eth0', addresses: ['192.0.2.1/24'] },
            { namespace: b.namespace, device: 'eth0', addresses: ['192.0.2.2/24'] },
          ),
      ],
    ];
    for (const [what, take, give] of faults) {
      await take();
      const share = await a.cpuShare(async () => {
        for (let i = 0; i < 3; i++)
          assert.equal(await pings(namespace, base(right.node.subnet), '-W', '0.2'), false, what);
      });
      assert.ok(share < 0.5, `${what}: ${share} of a core`);
      await give();
      await until(`both ways are open after: ${what}`, reaches);
    }
    const { identity, node, counters } = await a.status();
    assert.deepEqual([identity, node], [{ encap: true, decap: true }, left.node]);
    const drops = Object.entries(counters.encap.drops).filter(([, count]) => count > 0);
    t.diagnostic(`dropped on the way out: ${JSON.stringify(Object.fromEntries(drops))}`);
    assert.ok(drops.length > 0, 'what could not be sent is counted by name');
    assert.deepEqual([await a.stop(), await b.stop()], [0, 0]);
  });
}
