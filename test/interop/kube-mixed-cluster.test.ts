/**
 * On Kubernetes: nodes as flanneld makes them beside ours, which come, go, change, move from one to the other, and are
 * registered anew, around an API server that does what API servers do.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesHandsAndBack, HANDS, PLANS } from '../support/change-of-hands.js';
import { flowing } from '../support/flowing.js';
import type { KubeLab } from '../support/kube/lab.js';
import { PREFIX } from '../support/kube/lab.js';
import {
  allReach,
  type ClusterPlan,
  entriesOf,
  type Member,
  type MixedCluster,
  mixedCluster,
  sending,
} from '../support/mixed-cluster.js';
import { cannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();
/** Of the flows. */
const PER_SECOND = 1000;

type Cluster = MixedCluster & { readonly kube: KubeLab };

async function onKube(
  t: Parameters<typeof mixedCluster>[0],
  labels: readonly string[],
  plan: ClusterPlan = { type: 'vxlan', families: [4] },
): Promise<Cluster> {
  const cluster = await mixedCluster(t, { ...plan, store: 'kube' }, labels);
  assert.ok(cluster.kube);
  return { ...cluster, kube: cluster.kube };
}

/** All annotations of all nodes, byte for byte. */
async function annotationsIn({ api }: KubeLab): Promise<{ [name: string]: unknown }> {
  const nodes = await api.nodes();
  return Object.fromEntries(nodes.map(({ metadata }) => [metadata.name, metadata.annotations]));
}

/** Changes with anything that anybody writes on a node. */
async function versionOf({ api }: KubeLab, { namespace }: Member): Promise<string> {
  return (await api.node(namespace.label)).metadata.resourceVersion;
}

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

for (const [plane, flags] of [
  ['our own plane', []],
  ["the kernel's plane", ['--dataplane=kernel']],
] as const) {
  test(`a rolling restart and killed agents keep subnets, annotations and connections: ${plane}`, {
    skip,
    timeout: 180_000,
  }, async (t) => {
    const { members, kube } = await onKube(t, ['flannel', 'twill-1', 'twill-2']);
    const [flannel, ...ours] = members as [Member, Member, Member];
    await Promise.all([flannel.startFlannel(), ...ours.map((member) => member.startTwill(...flags))]);
    await flannel.flannel.ready(2);
    await allReach(members);
    const before = await annotationsIn(kube);
    const subnetsBefore = ours.map(({ addresses }) => addresses);
    for (const [signal, code] of [
      ['SIGTERM', 0],
      ['SIGKILL', null],
    ] as const) {
      for (const [i, member] of ours.entries()) {
        const others = members.filter((other) => other !== member);
        const versions = await Promise.all(others.map((other) => versionOf(kube, other)));
        const flows = await sending(others, member, 8000);
        const received = async () => {
          const [link] = JSON.parse(await member.namespace.ip('-j', '-s', 'link', 'show', 'flannel.1'));
          return link.stats64.rx.packets as number;
        };
        const from = await received();
        await until('the flows run', async () => (await received()) > from + 100);
        const beganMs = performance.now();
        assert.equal(await member.agent.stop(signal), code);
        await member.startTwill(...flags);
        await member.agent.ready(2);
        const downMs = performance.now() - beganMs;
        for (const { sent, received: got, lost } of await Promise.all(flows)) {
          t.diagnostic(
            `${signal} ${member.namespace.label}: ${lost} of ${sent.sent} datagrams lost, ${PER_SECOND} a second; ready after ${Math.round(downMs)} ms`,
          );
          assert.ok(got.received > 0);
          // Half as much again for a sender that catches up. The kernel's device is up all the time.
          const most = flags.length > 0 ? 0 : 1.5 * downMs * (PER_SECOND / 1000);
          assert.ok(lost <= most, `${lost} in ${downMs} ms`);
        }
        await allReach(members);
        assert.deepEqual(member.addresses, subnetsBefore[i]);
        assert.deepEqual(await annotationsIn(kube), before);
        assert.deepEqual(await Promise.all(others.map((other) => versionOf(kube, other))), versions);
      }
    }
  });
}

test('a node that is registered anew under its name comes back with subnet and MAC', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const { members, kube } = await onKube(t, ['flannel', 'twill-1', 'twill-2']);
  const [flannel, t1, t2] = members as [Member, Member, Member];
  await Promise.all([flannel.startFlannel(), t1.startTwill(), t2.startTwill()]);
  await flannel.flannel.ready(2);
  await allReach(members);
  const before = await annotationsIn(kube);
  // Those who are not registered anew do not notice.
  await flowing(flannel.namespace, t2.namespace, t2.addresses[0] ?? '', async () => {
    await kube.api.deleteNode('twill-1');
    await until('it is no peer', async () => (await t2.agent.status()).peers === 1);
    const goneMs = performance.now();
    await kube.api.addNode('twill-1', { podCidrs: ['10.77.1.0/24'], addresses: ['192.0.2.2'] });
    await until('it is again', async () => (await t2.agent.status()).peers === 2);
    t.diagnostic(`a peer again ${Math.round(performance.now() - goneMs)} ms after it was registered anew`);
    await allReach(members);
  });
  assert.deepEqual(await annotationsIn(kube), before);
  const { identity, ready } = await t1.agent.status();
  assert.deepEqual([identity, ready], [{ encap: true, decap: true }, true]);
});

test('the server restarts, forgets, falls silent, or is cut off: no packet is lost, and no change', {
  skip,
  timeout: 240_000,
}, async (t) => {
  const { members, kube } = await onKube(t, ['flannel', 'twill-1', 'twill-2']);
  const [flannel, t1, t2] = members as [Member, Member, Member];
  await Promise.all([flannel.startFlannel(), t1.startTwill(), t2.startTwill()]);
  await flannel.flannel.ready(2);
  await allReach(members);
  const { api } = kube;
  let count = 0;
  /** By hand, with a way that leads nowhere. */
  const join = async () => {
    count += 1;
    await api.addNode(`late-${count}`, {
      podCidrs: [`10.77.${200 + count}.0/24`],
      annotations: {
        [`${PREFIX}kube-subnet-manager`]: 'true',
        [`${PREFIX}backend-type`]: 'vxlan',
        [`${PREFIX}backend-data`]: `{"VNI":1,"VtepMAC":"02:00:00:00:01:0${count}"}`,
        [`${PREFIX}public-ip`]: `198.51.100.${count}`,
      },
    });
  };
  const trouble = async ({ agent }: Member) => (await agent.status()).store.trouble;
  const inTrouble = (what: string) =>
    until(what, async () => (await trouble(t1)) !== null && (await trouble(t2)) !== null, 60_000);
  const seen = async (what: string) => {
    const all = async ({ agent }: Member) => (await agent.status()).peers === 2 + count;
    await until(`${what}: all is known`, async () => (await all(t1)) && (await all(t2)), 60_000);
    await until(`${what}: well again`, async () => !(await trouble(t1)) && !(await trouble(t2)), 60_000);
    t.diagnostic(`${what}: known`);
  };
  const work = async () => {
    await api.stop();
    await inTrouble('the server is away');
    await join();
    await api.start();
    await seen('a restart');

    await api.stop();
    await join();
    await api.compact();
    await api.start();
    await seen('a history that is gone');

    // It takes connections and requests, and answers none.
    await api.setFaults({ isSilent: true });
    await api.closeWatches();
    await join();
    await inTrouble('the server is silent');
    await api.setFaults({});
    await seen('a silence');

    // The connections of one agent lead nowhere any more, and nobody tells either end.
    const { stdout } = await t1.namespace.exec('ss', ['-Htn', 'state', 'established', 'dport', '=', ':6443']);
    const ports = [...stdout.matchAll(/192\.0\.2\.2:(\d+)/g)].flatMap(([, port]) => port ?? []);
    assert.ok(ports.length > 0, stdout);
    for (const port of ports)
      await kube.namespace.exec('iptables', ['-A', 'INPUT', '-p', 'tcp', '--sport', port, '-j', 'DROP']);
    await join();
    await seen('a path that is gone');

    await kube.unplug();
    await inTrouble('the link is down');
    await join();
    await kube.plug();
    await seen('a link that was down');
  };
  await flowing(flannel.namespace, t1.namespace, t1.addresses[0] ?? '', () =>
    flowing(t2.namespace, flannel.namespace, flannel.addresses[0] ?? '', work),
  );
  for (const { agent } of [t1, t2]) {
    assert.deepEqual((await agent.status()).identity, { encap: true, decap: true });
    assert.deepEqual(agent.logged('error').concat(agent.logged('fatal')), []);
  }
  assert.ok(await pings(t1.namespace, t2.addresses[0] ?? ''));
});
