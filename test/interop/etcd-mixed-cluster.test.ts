/** On real etcd: nodes as flanneld makes them beside ours, and one that changes hands while the others send. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tcpBulk } from '../../src/lab/traffic.js';
import { noEtcd } from '../support/etcd.js';
import {
  allReach,
  type ClusterPlan,
  entriesOf,
  type Member,
  mixedCluster,
  sending,
} from '../support/mixed-cluster.js';
import { cannotRun, until } from '../support/namespaces.js';

const skip = (await cannotRun()) || noEtcd();

const plans: [string, ClusterPlan][] = [
  ['vxlan', { type: 'vxlan', families: [4] }],
  ['udp', { type: 'udp', families: [4] }],
  ['vxlan in both families', { type: 'vxlan', families: [4, 6] }],
  ['vxlan, IPv6 alone, with VNI and port of its own', { type: 'vxlan', families: [6], vni: 7, port: 4789 }],
];

for (const [name, plan] of plans) {
  test(`on etcd two flannel nodes and two of ours, one changes hands and back: ${name}`, {
    skip,
    timeout: 180_000,
  }, async (t) => {
    const labels = ['moving', 'flannel', 'twill-1', 'twill-2'];
    const { members, records } = await mixedCluster(t, { ...plan, store: 'etcd' }, labels);
    const [moving, flannel, first, second] = members as [Member, Member, Member, Member];
    await Promise.all([moving.startFlannel(), flannel.startFlannel(), first.startTwill()]);
    await second.startTwill();
    await Promise.all([moving.flannel.ready(3), flannel.flannel.ready(3)]);
    await allReach(members);
    const before = { records: await records.list(), entries: await entriesOf(flannel) };
    assert.equal(before.records.size, 4);

    const flows = await sending([flannel, first], moving, 4000);
    const delivered = (await first.agent.status()).counters.encap.delivered;
    const isFlowing = async () => (await first.agent.status()).counters.encap.delivered > delivered + 100;
    await until('the flows run', isFlowing);
    await moving.flannel.stop();
    await moving.startTwill();
    for (const { sent, lost } of await Promise.all(flows)) {
      t.diagnostic(`${lost} of ${sent.sent} datagrams lost, 1000 a second`);
      assert.ok(lost < sent.sent - 200);
    }
    await allReach(members);
    assert.deepEqual(
      { records: await records.list(), entries: await entriesOf(flannel) },
      before,
      'no record differs in a byte, and no node had to learn anything',
    );
    for (const [from, to] of [
      [moving, flannel],
      [flannel, moving],
      [first, moving],
    ] as const) {
      for (const target of to.addresses) {
        const bulk = await tcpBulk(from.namespace, to.namespace, target, { bytes: 8_000_000 });
        assert.ok(bulk.intact, `${from.namespace.label} to ${to.namespace.label}: every byte arrives`);
      }
    }
    assert.equal(await moving.agent.stop(), 0);
    await moving.startFlannel();
    await moving.flannel.ready(3);
    await allReach(members);
    assert.deepEqual([...(await records.list()).keys()], [...before.records.keys()]);
    for (const { agent } of [first, second]) {
      const { quarantined, identity } = await agent.status();
      assert.deepEqual([quarantined, identity], [[], { encap: true, decap: true }]);
    }
  });
}
