/** Two nodes as flanneld makes them and two of ours: every pair, every family, every size, every byte. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { tcpBulk } from '../../src/lab/traffic.js';
import { allReach, type ClusterPlan, type Member, mixedCluster } from '../support/mixed-cluster.js';
import { cannotRun, pings } from '../support/namespaces.js';

const skip = await cannotRun();

/** IP and ICMP headers of an echo request, bytes. */
const ECHO_BYTES = { 4: 28, 6: 48 } as const;
const familyOf = (address: string) => (address.includes(':') ? 6 : 4);

const plans: [string, ClusterPlan, { readonly env: number; readonly kernel: { 4?: number; 6?: number } }][] =
  [
    ['vxlan', { type: 'vxlan', families: [4] }, { env: 1450, kernel: { 4: 1450 } }],
    ['udp', { type: 'udp', families: [4] }, { env: 1472, kernel: { 4: 1472 } }],
    [
      'vxlan in both families',
      { type: 'vxlan', families: [4, 6] },
      { env: 1430, kernel: { 4: 1450, 6: 1430 } },
    ],
    ['vxlan, IPv6 alone', { type: 'vxlan', families: [6] }, { env: 1430, kernel: { 6: 1430 } }],
    [
      'vxlan with VNI, port and MTU of its own',
      { type: 'vxlan', families: [4], vni: 4097, port: 4789, mtuBytes: 1400 },
      { env: 1350, kernel: { 4: 1350 } },
    ],
    ['udp with a port of its own', { type: 'udp', families: [4], port: 18_285 }, { env: 1472, kernel: {} }],
  ];

for (const [name, plan, mtu] of plans) {
  test(`two flannel nodes and two of ours: ${name}`, { skip, timeout: 120_000 }, async (t) => {
    const { members } = await mixedCluster(t, plan, ['flannel-1', 'flannel-2', 'twill-1', 'twill-2']);
    const [f1, f2, t1, t2] = members as [Member, Member, Member, Member];
    await Promise.all([f1.startFlannel(), t1.startTwill()]);
    await Promise.all([f2.startFlannel(), t2.startTwill()]);
    await Promise.all([t1.agent.ready(3 * plan.families.length), t2.agent.ready(3 * plan.families.length)]);
    await Promise.all([f1.flannel.ready(3), f2.flannel.ready(3)]);
    await allReach(members);

    assert.match(await readFile(t1.agent.subnetFile, 'utf8'), new RegExp(`^FLANNEL_MTU=${mtu.env}$`, 'm'));
    for (const [from, to, mtuBytes] of [
      [t1, f1, { 4: mtu.env, 6: mtu.env }],
      [f1, t1, mtu.kernel],
    ] as const) {
      for (const address of to.addresses) {
        const family = familyOf(address);
        const limit = mtuBytes[family];
        if (limit === undefined) continue;
        const size = (bytes: number, ...flags: string[]) =>
          pings(from.namespace, address, '-s', String(bytes - ECHO_BYTES[family]), ...flags);
        const what = `${from.namespace.label} to ${address}`;
        for (const bytes of [limit - 1, limit])
          assert.ok(await size(bytes, '-M', 'do'), `${what}: ${bytes} bytes pass unfragmented`);
        assert.equal(await size(limit + 1, '-M', 'do'), false, `${what}: one byte more is refused`);
        assert.ok(await size(limit + 1, '-M', 'dont'), `${what}: and passes in fragments`);
        assert.ok(await size(9000, '-M', 'dont'), `${what}: so do 9000 bytes`);
      }
    }
    for (const [from, to] of [
      [t1, f1],
      [f2, t2],
      [t1, t2],
    ] as const) {
      for (const address of to.addresses) {
        const bulk = await tcpBulk(from.namespace, to.namespace, address, { bytes: 8_000_000, streams: 2 });
        assert.ok(bulk.intact, `${from.namespace.label} to ${address}: every byte arrives`);
      }
    }
    for (const member of [t1, t2]) {
      const { identity, quarantined } = await member.agent.status();
      assert.deepEqual([identity, quarantined], [{ encap: true, decap: true }, []]);
    }
    assert.deepEqual([await t1.agent.stop(), await t2.agent.stop()], [0, 0]);
  });
}
