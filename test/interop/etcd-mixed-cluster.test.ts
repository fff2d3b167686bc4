/** On real etcd: nodes as flanneld makes them beside ours, and one that changes hands while the others send. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesHandsAndBack, HANDS, PLANS } from '../support/change-of-hands.js';
import { noEtcd } from '../support/etcd.js';
import { entriesOf, type Member, mixedCluster } from '../support/mixed-cluster.js';
import { cannotRun } from '../support/namespaces.js';

const skip = (await cannotRun()) || noEtcd();

for (const [name, plan] of PLANS) {
  test(`on etcd two flannel nodes and two of ours, one changes hands and back: ${name}`, {
    skip,
    timeout: 180_000,
  }, async (t) => {
    const cluster = await mixedCluster(t, { ...plan, store: 'etcd' }, HANDS);
    const { members, records } = cluster;
    let keys: readonly string[] = [];
    await changesHandsAndBack(t, cluster, async () => {
      const listed = await records.list();
      keys = [...listed.keys()];
      return { records: listed, entries: await entriesOf(members[1] as Member) };
    });
    assert.equal(keys.length, 4);
    // A VTEP that flannel makes anew has another MAC there.
    assert.deepEqual([...(await records.list()).keys()], keys);
  });
}
