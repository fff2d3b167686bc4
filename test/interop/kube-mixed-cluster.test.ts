/** On Kubernetes: nodes as flanneld makes them beside ours, which come, go, change, and move from one to the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesHandsAndBack, HANDS, PLANS } from '../support/change-of-hands.js';
import { flowing } from '../support/flowing.js';
import { annotationsIn, onKube, versionOf } from '../support/kube/cluster.js';
import { PREFIX } from '../support/kube/lab.js';
import { allReach, entriesOf, type Member } from '../support/mixed-cluster.js';
import { cannotRun, until } from '../support/namespaces.js';

const skip = await cannotRun();
for (const [name, plan] of PLANS) {
  test(`on Kubernetes two flannel nodes and two of ours, one changes hands and back: ${name}`, {
    skip,
    timeout: 180_000,
  }, async (t) => {
    const cluster = await onKube(t, HANDS, plan);
    const { members, kube } = cluster;
    const [moving, ...others] = members as [Member, Member, Member, Member];
    let annotations: { [name: string]: unknown } = {};
    let versions: readonly string[] = [];
    await changesHandsAndBack(t, cluster, async () => {
      annotations = await annotationsIn(kube);
      versions = await Promise.all(others.map((other) => versionOf(kube, other)));
      return { annotations, versions, entries: await entriesOf(others[0] as Member) };
    });
    const suffixes = (member: Member) =>
      Object.entries(annotations[member.namespace.label] as object)
        .filter(([key]) => key.startsWith(PREFIX))
        .map(([key, value]) => `${key.slice(PREFIX.length)}=${value}`.replace(/([0-9a-f]{2}:){5}\w\w/, 'MAC'))
        .sort();
    const data = plan.type === 'udp' ? 'null' : `{"VNI":${plan.vni ?? 1},"VtepMAC":"MAC"}`;
    const type = `backend-type=${plan.type === 'udp' ? '' : 'vxlan'}`;
    const expected = [
      ...(plan.families.includes(4) ? [`backend-data=${data}`, 'public-ip=192.0.2.1'] : []),
      ...(plan.families.includes(6) ? [`backend-v6-data=${data}`, 'public-ipv6=2001:db8::1'] : []),
      ...[type, 'kube-subnet-manager=true'],
    ];
    assert.deepEqual(suffixes(moving), expected.sort());
    // flannel takes its MAC from there again, so that not even its own way back is news to anybody.
    assert.deepEqual(await annotationsIn(kube), annotations);
    assert.deepEqual(await Promise.all(others.map((other) => versionOf(kube, other))), versions);
  });
}

test('nodes of both kinds join, change, move and leave: two others lose nothing', {
  skip,
  timeout: 180_000,
}, async (t) => {
  const labels = ['flannel-1', 'twill-1', 'flannel-2', 'twill-2'];
  const { members, kube } = await onKube(t, labels);
  const [f1, t1, f2, t2] = members as [Member, Member, Member, Member];
  await Promise.all([f1.startFlannel(), t1.startTwill()]);
  await f1.flannel.ready(1);
  await allReach([f1, t1]);
  const toTwill = t1.addresses[0] ?? '';
  const toFlannel = f1.addresses[0] ?? '';
  const work = async () => {
    await Promise.all([f2.startFlannel(), t2.startTwill()]);
    await allReach(members);

    // A flannel of before 0.24 has a new MAC after each reboot.
    await f2.flannel.stop();
    await f2.namespace.ip('link', 'delete', 'flannel.1');
    await kube.api.annotate('flannel-2', { [`${PREFIX}backend-data`]: null });
    await until('one is named', async () => (await t1.agent.status()).quarantined.length === 1);
    await f2.startFlannel();
    await allReach(members);
    assert.deepEqual((await t1.agent.status()).quarantined, []);

    // The underlay of one of ours is another one from now on, and so is the way to the server.
    await t2.namespace.ip('address', 'delete', '192.0.2.4/24', 'dev', 'eth0');
    await t2.namespace.ip('address', 'add', '192.0.2.77/24', 'dev', 'eth0');
    const said = async () => (await kube.api.node('twill-2')).metadata.annotations?.[`${PREFIX}public-ip`];
    await until('it says where it is', async () => (await said()) === '192.0.2.77', 60_000);
    await allReach(members);

    assert.equal(await t2.agent.stop(), 0);
    await f2.flannel.stop();
    for (const name of ['twill-2', 'flannel-2']) await kube.api.deleteNode(name);
    await until('both have left', async () => (await t1.agent.status()).peers === 1);
    await until('flannel sees it, too', async () => !(await entriesOf(f1)).includes('10.77.3.0'));
  };
  await flowing(f1.namespace, t1.namespace, toTwill, () =>
    flowing(t1.namespace, f1.namespace, toFlannel, work),
  );
  const { identity } = await t1.agent.status();
  assert.deepEqual(identity, { encap: true, decap: true });
});
