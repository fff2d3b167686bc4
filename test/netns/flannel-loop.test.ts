/** Flannel's proxy as we wrote it anew: it carries packets, as flannel's would show them, to itself and to Twill. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AgentProcess } from '../../src/lab/agent-process.js';
import { FlannelLoop } from '../../src/lab/flannel-loop.js';
import { joinByVeth, Namespace } from '../../src/lab/namespace.js';
import { ping, tcpBulk } from '../../src/lab/traffic.js';

const network = '10.244.0.0/16';
const addresses = ['192.0.2.1', '192.0.2.2'] as const;
const common = { network, port: 8285, mtuBytes: 1472 };

async function twoNodes(t: TestContext): Promise<[Namespace, Namespace]> {
  const left = await Namespace.create('left');
  t.after(() => left.close());
  const right = await Namespace.create('right');
  t.after(() => right.close());
  await joinByVeth(
    { namespace: left, device: 'eth0', addresses: [`${addresses[0]}/24`] },
    { namespace: right, device: 'eth0', addresses: [`${addresses[1]}/24`] },
  );
  return [left, right];
}

test('two proxies carry pings and TCP', { timeout: 60_000 }, async (t) => {
  const nodes = await twoNodes(t);
  const subnets = ['10.244.1.0/24', '10.244.2.0/24'] as const;
  const loops = await Promise.all(
    nodes.map((node, i) =>
      FlannelLoop.start(node, {
        ...common,
        subnet: subnets[i] ?? '',
        local: addresses[i] ?? '',
        peers: [{ subnet: subnets[1 - i] ?? '', endpoint: addresses[1 - i] ?? '' }],
      }),
    ),
  );
  const [left, right] = nodes;
  const [link] = JSON.parse(await left.ip('-j', 'link', 'show', 'flannel0'));
  assert.equal(link.mtu, 1472);
  assert.match(await left.ip('route', 'show', 'dev', 'flannel0'), /^10\.244\.0\.0\/16 /m);
  const pings = await ping(left, '10.244.2.0', { count: 50 });
  assert.deepEqual([pings.received, pings.corrupted], [50, 0]);
  const bulk = await tcpBulk(left, right, '10.244.2.0', { bytes: 20_000_000 });
  assert.ok(bulk.intact);
  await Promise.all(loops.map((loop) => loop.stop()));
  await assert.rejects(left.ip('link', 'show', 'flannel0'), /does not exist/, 'its device goes with it');
});

test('it speaks with an agent of ours', { timeout: 60_000 }, async (t) => {
  const [left, right] = await twoNodes(t);
  const directory = await mkdtemp(join(tmpdir(), 'twill-loop-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const store = join(directory, 'store');
  await mkdir(join(store, 'subnets'), { recursive: true });
  await writeFile(join(store, 'config'), JSON.stringify({ Network: network, Backend: { Type: 'udp' } }));
  await writeFile(join(store, 'subnets', '10.244.200.0-24'), JSON.stringify({ PublicIP: addresses[1] }));
  const agent = AgentProcess.start(left, { store, directory, iface: 'eth0' });
  t.after(() => agent.stop());
  const { node } = await agent.ready(1);
  await FlannelLoop.start(right, {
    ...common,
    subnet: '10.244.200.0/24',
    local: addresses[1],
    peers: [{ subnet: node.subnet, endpoint: addresses[0] }],
  });
  const pings = await ping(left, '10.244.200.0', { count: 50 });
  assert.deepEqual([pings.received, pings.corrupted], [50, 0]);
  const bulk = await tcpBulk(right, left, node.subnet.split('/')[0] ?? '', { bytes: 20_000_000 });
  assert.ok(bulk.intact);
});
