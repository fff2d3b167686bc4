/** An agent among 10,000 leases. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { vxlanLease } from '../support/agent-node.js';
import { type Etcd, noEtcd } from '../support/etcd.js';
import { labOnEtcd } from '../support/etcd-lab.js';
import { cannotRun, until } from '../support/namespaces.js';

const skip = (await cannotRun()) || noEtcd();
const COUNT = 10_000;

/** Leases of nodes 192.168.0.0 and on. */
async function fill(etcd: Etcd): Promise<void> {
  const records = Array.from({ length: COUNT }, (_, i): [string, string] => {
    const [high, low] = [i >> 8, i & 255];
    const mac = `02:00:00:00:${high.toString(16).padStart(2, '0')}:${low.toString(16).padStart(2, '0')}`;
    return [`subnets/10.${100 + high}.${low}.0-24`, vxlanLease(`192.168.${high}.${low}`, mac)];
  });
  await etcd.putMany(records, await etcd.grant(86_400));
}

test('10,000 leases become peers', { skip }, async (t) => {
  const config = {
    Network: '10.0.0.0/8',
    Backend: { Type: 'vxlan' },
    SubnetMin: '10.1.0.0',
    SubnetMax: '10.1.255.0',
  };
  const { etcd, node } = await labOnEtcd(t, config, { nodes: 1 });
  const agent = node(0);
  // As the units have it.
  agent.environment = { ...agent.environment, NODE_OPTIONS: '--max-semi-space-size=2' };
  await fill(etcd);
  const beganMs = performance.now();
  agent.run();
  await agent.ready(COUNT);
  const startMs = performance.now() - beganMs;
  const rss = /VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${agent.process?.pid}/status`, 'utf8'))?.[1];
  const times = agent.records.map(({ time, msg }) => [Date.parse(time), msg] as const);
  const at = (pattern: RegExp) => times.find(([, msg]) => pattern.test(msg))?.[0] ?? Number.NaN;
  t.diagnostic(
    `${COUNT} peers ${Math.round(startMs)} ms after the start of the process; ` +
      `${at(/^Subnets: 10000 added/) - at(/^Device .* is up/)} ms after the device was up; ` +
      `RSS ${Math.round(Number(rss) / 1024)} MiB`,
  );
  assert.equal((await agent.status()).peers, COUNT);
  // One more is one more, and soon.
  const changedMs = performance.now();
  await etcd.put('subnets/10.99.0.0-24', vxlanLease('192.168.250.1', '02:00:00:00:ff:01'));
  await until('one more peer', async () => (await agent.status()).peers === COUNT + 1);
  t.diagnostic(`one more ${Math.round(performance.now() - changedMs)} ms after etcdctl was started`);
});
