/** A node that changes its plane or its backend at a restart, or takes flannel's place on the kernel's device. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AgentNode, labOfTwo, network } from '../support/agent-node.js';
import { allReach, type Member, mixedCluster, sending } from '../support/mixed-cluster.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

/** What of ours the kernel of a node has: devices, routes, entries. */
async function tracesOf({ namespace }: AgentNode): Promise<string[]> {
  const [links, routes, routesV6, bridge] = await Promise.all([
    namespace.ip('-o', 'link'),
    namespace.ip('route'),
    namespace.ip('-6', 'route'),
    namespace.exec('bridge', ['fdb', 'show']).then(({ stdout }) => stdout),
  ]);
  const devices = [...links.matchAll(/^\d+: (flannel[^:@]*)/gm)].map(([, name]) => `device ${name}`);
  const lines = [...routes.split('\n'), ...routesV6.split('\n'), ...bridge.split('\n')];
  return [
    ...devices,
    ...lines
      .filter((line) => line.includes('flannel') || line.includes('proto 116'))
      .map((line) => line.trim()),
  ].sort();
}

test('each plane and backend after each other: nothing is left of the one before', {
  skip,
  timeout: 240_000,
}, async (t) => {
  const lab = await labOfTwo(t, { Backend: { Type: 'vxlan' } });
  const nodes = lab.nodes;
  const [a, b] = nodes;
  const steps: [string, object, string[], (traces: readonly string[]) => boolean][] = [
    [
      'the kernel plane',
      { Type: 'vxlan' },
      ['--dataplane=kernel'],
      (traces) => traces.length === 3 && traces.some((line) => line.includes('via')),
    ],
    [
      'our own',
      { Type: 'vxlan' },
      [],
      (traces) =>
        traces.length === 2 && traces.every((line) => /^device flannel\.1$|^10\.77\.0\.0\/16 dev/.test(line)),
    ],
    ['the kernel plane again', { Type: 'vxlan' }, ['--dataplane=kernel'], (traces) => traces.length === 3],
    [
      'another VNI',
      { Type: 'vxlan', VNI: 9 },
      ['--dataplane=kernel'],
      (traces) => traces.length === 3 && traces.every((line) => line.includes('flannel.9')),
    ],
    [
      'host-gw',
      { Type: 'host-gw' },
      [],
      (traces) => traces.length === 1 && traces.every((line) => line.includes('dev eth0 proto 116')),
    ],
    [
      'DirectRouting on our own plane',
      { Type: 'vxlan', DirectRouting: true },
      [],
      (traces) => traces.length === 3 && traces.some((line) => line.includes('dev eth0 proto 116')),
    ],
    ['our own without it', { Type: 'vxlan' }, [], (traces) => traces.length === 2],
    ['host-gw again', { Type: 'host-gw' }, [], (traces) => traces.length === 1],
    ['the kernel plane once more', { Type: 'vxlan' }, ['--dataplane=auto'], (traces) => traces.length === 3],
    ['alloc', { Type: 'alloc' }, [], (traces) => traces.length === 0],
  ];
  for (const [name, backend, flags, isClean] of steps) {
    for (const node of nodes) await node.stop();
    await writeFile(join(lab.store, 'config'), JSON.stringify({ Network: network, Backend: backend }));
    for (const node of nodes) node.run(flags);
    await Promise.all(nodes.map((node) => node.started()));
    let traces: string[] = [];
    await until(`${name} leaves nothing of what was`, async () => {
      traces = await tracesOf(a);
      return isClean(traces);
    }).catch((error) => assert.fail(`${error.message}: ${traces.join('; ')}`));
    const { kind } = (await a.status()).dataplane;
    if (kind === 'none') continue;
    const to = base((await b.status()).node.subnet);
    if (kind === 'routes') await b.namespace.ip('address', 'replace', `${to}/32`, 'dev', 'lo');
    else await b.namespace.ip('address', 'delete', `${to}/32`, 'dev', 'lo').catch(() => {});
    await until(`${name} carries`, () => pings(a.namespace, to, '-W', '0.5'));
  }
});

test("flannel's device is kept where it is: no packet is lost at the change, nor at a restart", {
  skip,
  timeout: 120_000,
}, async (t) => {
  const { members, records } = await mixedCluster(t, { type: 'vxlan', families: [4, 6] }, ['moving', 'peer']);
  const [moving, peer] = members as [Member, Member];
  await Promise.all([moving.startFlannel(), peer.startFlannel()]);
  await Promise.all([moving.flannel.ready(1), peer.flannel.ready(1)]);
  await allReach(members);
  const before = await records.list();
  const flows = await sending([peer], moving, 5000);
  const received = async () => {
    const [link] = JSON.parse(await moving.namespace.ip('-j', '-s', 'link', 'show', 'flannel.1'));
    return link.stats64.rx.packets as number;
  };
  const from = await received();
  await until('the flows run', async () => (await received()) > from + 100);
  await moving.flannel.stop();
  await moving.startTwill('--dataplane=kernel');
  await moving.agent.ready(2);
  assert.equal(await moving.agent.stop(), 0);
  await moving.startTwill('--dataplane=kernel');
  for (const { sent, received: got, lost } of await Promise.all(flows)) {
    t.diagnostic(`${lost} of ${sent.sent} datagrams lost, 1000 a second`);
    assert.ok(got.received > 0);
    assert.equal(lost, 0);
  }
  await allReach(members);
  assert.deepEqual(await records.list(), before, 'nobody has anything to learn');
});
