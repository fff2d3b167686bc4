/** An agent among nodes by the thousand, each as large as real ones are. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { flannelPlan } from '../support/kube/followed.js';
import { labOnKube } from '../support/kube/lab.js';
import { cannotRun, until } from '../support/namespaces.js';

const skip = await cannotRun();
/** Of what the kubelet tells of, so many make a node of 12 KB. */
const IMAGES = 50;

for (const count of [1000, 5000]) {
  test(`${count} nodes become peers`, { skip }, async (t) => {
    const lab = await labOnKube(t, { Network: '10.0.0.0/8', Backend: { Type: 'vxlan' } }, { nodes: 1 });
    await lab.api.addNode('n0', { podCidrs: ['10.99.0.0/24'] });
    for (let i = 1; i <= count; i++) await lab.api.addNode(`w${i}`, flannelPlan(i, { images: IMAGES }));
    const agent = lab.node(0);
    // As the units have it.
    agent.environment = { ...agent.environment, NODE_OPTIONS: '--max-semi-space-size=2' };
    agent.run();
    await agent.ready(count);
    const memory = await readFile(`/proc/${agent.process?.pid}/status`, 'utf8');
    const mib = (name: string) =>
      Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(memory)?.[1]) / 1024);
    const times = agent.records.map(({ time, msg }) => [Date.parse(time), msg] as const);
    const at = (pattern: RegExp) => times.find(([, msg]) => pattern.test(msg))?.[0] ?? Number.NaN;
    t.diagnostic(
      `all peers ${at(/^Subnets: /) - at(/^Using interface/)} ms after the list was asked for; ` +
        `RSS ${mib('VmRSS')} MiB, at most ${mib('VmHWM')} MiB`,
    );
    if (count <= 1000) assert.ok(mib('VmRSS') <= 80, `${mib('VmRSS')} MiB`);
    const asked = await lab.api.asked();
    const lists = asked.filter(({ verb, query }) => verb === 'list' && query['fieldSelector'] === undefined);
    assert.equal(lists.length, count / 500 + 1, 'one listing');
    // One more is one more, and soon; what kubelets report is nothing.
    for (let i = 1; i <= 200; i++) await lab.api.heartbeat(`w${i}`);
    const changedMs = performance.now();
    await lab.api.addNode('more', flannelPlan(30_000));
    await until('one more peer', async () => (await agent.status()).peers === count + 1);
    t.diagnostic(`one more ${Math.round(performance.now() - changedMs)} ms after it joined`);
  });
}
