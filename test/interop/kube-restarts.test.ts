/**
 * On Kubernetes, in a mixed cluster: agents that restart or are killed, a node that is registered anew, and an API server that
 * restarts, forgets, falls silent or is cut off.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowing } from '../support/flowing.js';
import { annotationsIn, threeNodes, versionOf } from '../support/kube/cluster.js';
import { PREFIX } from '../support/kube/lab.js';
import { allReach, type Member, sending } from '../support/mixed-cluster.js';
import { cannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();
/** Of the flows. */
const PER_SECOND = 1000;

for (const [plane, flags] of [
  ['our own plane', []],
  ["the kernel's plane", ['--dataplane=kernel']],
] as const) {
  test(`a rolling restart and killed agents keep subnets, annotations and connections: ${plane}`, {
    skip,
    timeout: 180_000,
  }, async (t) => {
    const { members, kube, ours } = await threeNodes(t, ...flags);
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
  const { members, kube, flannel, ours } = await threeNodes(t);
  const [t1, t2] = ours as [Member, Member];
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
  const { kube, flannel, ours } = await threeNodes(t);
  const [t1, t2] = ours as [Member, Member];
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
