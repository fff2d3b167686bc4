/** Packets of every size: whole up to the MTU, in fragments beyond it, and with DF an answer that tells the right MTU. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { joinByVeth, type Namespace } from '../../src/lab/namespace.js';
import { cannotRun, makeNamespace, makePair } from '../support/namespaces.js';
import { addressOf, EngineSite, innerMtu, sites, startKernelSite } from '../support/sites.js';

const skip = await cannotRun();
const script = fileURLToPath(new URL('../support/ping-sweep.js', import.meta.url));

async function pair(t: TestContext, underlay: 4 | 6): Promise<[Namespace, Namespace]> {
  const length = underlay === 4 ? 24 : 64;
  const [a, b] = sites[underlay];
  return makePair(t, [`${a.endpoint}/${length}`], [`${b.endpoint}/${length}`]);
}

/** ICMP header and that of IP. */
const pingOverhead = { 4: 28, 6: 48 } as const;

async function sweep(from: Namespace, to: string, mtuBytes: number): Promise<void> {
  // Every size to a little beyond the MTU, then what needs two, many and the most fragments.
  const sizes = ['0', String(mtuBytes + 50), '2900', '9000', '65000'];
  const { stdout } = await from.exec(process.execPath, [script, to, ...sizes]);
  assert.deepEqual(JSON.parse(stdout), { sent: mtuBytes + 54, unanswered: [] });
}

for (const [encap, underlay, other] of [
  ['vxlan', 4, 'ours'],
  ['udp', 4, 'ours'],
  ['vxlan', 4, 'the kernel'],
  ['vxlan', 6, 'the kernel'],
] as const) {
  test(`${encap} over IPv${underlay} to ${other}: every size passes both ways`, { skip }, async (t) => {
    const places = await pair(t, underlay);
    const [a, b] = sites[underlay];
    await EngineSite.start(places[0], encap, a, b);
    if (other === 'ours') await EngineSite.start(places[1], encap, b, a);
    else await startKernelSite(places[1], b, a);
    const mtuBytes = innerMtu(encap, underlay);
    for (const family of encap === 'udp' ? [4 as const] : [4 as const, 6 as const]) {
      await sweep(places[0], addressOf(b, family), mtuBytes);
      await sweep(places[1], addressOf(a, family), mtuBytes);
    }
  });
}

/** What `ping` says of one request with DF and this payload. */
async function pingWhole(from: Namespace, to: string, payloadBytes: number): Promise<string> {
  const argv = ['-n', '-c', '1', '-W', '2', '-M', 'do', '-s', String(payloadBytes), to];
  return from.exec('ping', argv).then(
    ({ stdout }) => stdout,
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );
}

for (const encap of ['vxlan', 'udp'] as const) {
  const families = encap === 'udp' ? [4 as const] : [4 as const, 6 as const];
  const mtuBytes = innerMtu(encap, 4);

  test(`${encap}: a pod that sends too much with DF is told the MTU`, { skip }, async (t) => {
    const places = await pair(t, 4);
    const [a, b] = sites[4];
    await EngineSite.start(places[0], encap, a, b);
    await EngineSite.start(places[1], encap, b, a);
    const pod = await makeNamespace(t, 'pod');
    await joinByVeth(
      { namespace: places[0], device: 'pods', addresses: ['10.244.1.1/24', 'fd00:10:244:1::1/64'] },
      { namespace: pod, device: 'eth0', addresses: ['10.244.1.9/24', 'fd00:10:244:1::9/64'] },
    );
    const forward = 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding';
    await places[0].exec('sh', ['-c', forward]);
    await pod.ip('route', 'add', 'default', 'via', '10.244.1.1');
    await pod.ip('route', 'add', 'default', 'via', 'fd00:10:244:1::1');
    for (const family of families) {
      const to = addressOf(b, family);
      const most = mtuBytes - pingOverhead[family];
      assert.match(await pingWhole(pod, to, most), / 1 received/, `${to}: exactly the MTU passes`);
      assert.match(await pingWhole(pod, to, most + 1), new RegExp(`mtu ?= ?${mtuBytes}\\b`));
      // What it was told it now knows: no packet leaves that could not arrive.
      assert.match(await pingWhole(pod, to, most + 1), new RegExp(`mtu ?[=:] ?${mtuBytes}\\b`));
    }
  });

  test(`${encap}: the engine itself answers what its device let through`, { skip }, async (t) => {
    const places = await pair(t, 4);
    const [a, b] = sites[4];
    const node = await EngineSite.start(places[0], encap, a, b, { deviceMtuBytes: 1500 });
    await EngineSite.start(places[1], encap, b, a);
    for (const family of families) {
      const to = addressOf(b, family);
      const most = mtuBytes - pingOverhead[family];
      assert.match(await pingWhole(places[0], to, most), / 1 received/, `${to}: exactly the MTU passes`);
      const answer = await pingWhole(places[0], to, most + 1);
      assert.match(answer, new RegExp(`From ${addressOf(a, family)} .*mtu ?= ?${mtuBytes}\\b`));
    }
    const { encap: counters, icmpSent } = await node.stats();
    assert.deepEqual([counters.drops['too_big'], icmpSent], [families.length, families.length]);
  });
}
