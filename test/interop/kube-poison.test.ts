/**
 * Whatever anybody writes into annotations and PodCIDRs: no node becomes a peer by it, no peer moves, each is named, and
 * traffic is whole.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowing } from '../support/flowing.js';
import { labOnKube, PREFIX } from '../support/kube/lab.js';
import type { NodePlan } from '../support/kube/objects.js';
import { cannotRun, pings, until } from '../support/namespaces.js';
import { badFields, badKeys, badValues, macOf } from '../support/poison-records.js';

const skip = await cannotRun();

/** What flannel would have written on a node with this number, but for `wrong`. */
function annotations(i: number, wrong: { readonly [suffix: string]: string | undefined } = {}) {
  const right = {
    'kube-subnet-manager': 'true',
    'backend-type': 'vxlan',
    'backend-data': `{"VNI":1,"VtepMAC":"${macOf(i)}"}`,
    'public-ip': `198.51.100.${i}`,
    ...wrong,
  };
  return Object.fromEntries(
    Object.entries(right).flatMap(([suffix, text]) => (text === undefined ? [] : [[PREFIX + suffix, text]])),
  );
}

/** Annotations are text: what is none cannot be written there. */
function wrongText(fields: { readonly [field: string]: unknown }, i: number) {
  const { PublicIP: ip, BackendType: type, BackendData: data, ...vtep } = fields;
  const wrong: { [suffix: string]: string | undefined } = {};
  if ('PublicIP' in fields) wrong['public-ip'] = ip === null || ip === undefined ? undefined : `${ip}`;
  if ('BackendType' in fields) wrong['backend-type'] = `${type}`;
  if ('BackendData' in fields) wrong['backend-data'] = JSON.stringify(data);
  if (Object.keys(vtep).length > 0)
    wrong['backend-data'] = JSON.stringify({ VNI: 1, VtepMAC: macOf(i), ...vtep });
  return wrong;
}

function poison(a: { mac: string }, b: { mac: string }): NodePlan[] {
  let number = 0;
  const next = (
    wrong: (i: number) => { readonly [suffix: string]: string | undefined },
    podCidrs?: string[],
  ) => {
    const i = ++number;
    return { podCidrs: podCidrs ?? [`10.77.${100 + i}.0/24`], annotations: annotations(i, wrong(i)) };
  };
  // The other family is none of this cluster's, and a list of one address is as text that address.
  const fields = badFields(a, b).filter(
    (wrong) => !('PublicIPv6' in wrong) && !Array.isArray(wrong['PublicIP']),
  );
  const texts = badValues.filter((value) => typeof value === 'string');
  const cidrs = badKeys.flatMap((key) => key.split('&').map((part) => part.replace(/-([^-]*)$/, '/$1')));
  return [
    ...fields.map((wrong) => next((i) => wrongText(wrong, i))),
    // As long as annotations can be, which are 256 KiB together.
    ...texts.map((text) => next(() => ({ 'backend-data': text.slice(0, 200_000) }))),
    ...cidrs.map((cidr) => next(() => ({}), [cidr])),
    ...[[], ['10.77.99.0/24', '10.77.98.0/24'], ['10.77.99.0/24', 'fd00::/64', 'fd01::/64']].map((list) =>
      next(() => ({}), list),
    ),
    // Under, over and inside the subnets of the living, and the same.
    ...['10.77.0.0/25', '10.77.1.128/25', '10.77.0.0/23', '10.77.0.0/17', '10.77.0.0/24', '10.77.1.0/24'].map(
      (cidr) => next(() => ({}), [cidr]),
    ),
  ];
}

test('a hundred poisoned nodes: none is a peer, nobody moves, all are named, and no packet is lost', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const lab = await labOnKube(t, { Backend: { Type: 'vxlan' } });
  const [a, b] = [lab.node(0), lab.node(1)];
  for (const i of [0, 1]) {
    await lab.api.addNode(`n${i}`, { podCidrs: [`10.77.${i}.0/24`], createdAt: '2024-01-01T00:00:00Z' });
    lab.node(i).run();
  }
  const [left, right] = await Promise.all([a.ready(1), b.ready(1)]);
  await until('a reaches b', () => pings(a.namespace, '10.77.1.0'));
  const ways = async () => {
    const rows = (await a.peers()) as { key: string; endpoint: unknown; mac: unknown }[];
    return rows.map(({ key, endpoint, mac }) => ({ key, endpoint, mac }));
  };
  const before = await ways();
  const plans = poison({ mac: left.backend.mac }, { mac: right.backend.mac });
  t.diagnostic(`${plans.length} nodes`);
  await flowing(a.namespace, b.namespace, '10.77.1.0', async () => {
    for (const [i, plan] of plans.entries()) await lab.api.addNode(`poison-${i}`, plan);
    const unnamed = async () => {
      const { quarantined } = await a.status();
      const isNamed = (name: string) =>
        quarantined.some(({ key, reason }) => key === name || reason.includes(`node ${name}: `));
      return plans.flatMap((plan, i) => (isNamed(`poison-${i}`) ? [] : [[`poison-${i}`, plan]]));
    };
    await until('all are named', async () => (await unnamed()).length === 0).catch(async (error) => {
      assert.deepEqual({ unnamed: await unnamed(), peers: await ways() }, {}, String(error));
    });
    assert.deepEqual(await ways(), before);
    const shown = await a.twill('status');
    assert.ok(!shown.includes('\u001b'), 'nothing of it reaches the terminal as it is');
    assert.ok(
      shown.split('\n').every((line) => line.length < 600),
      'and no line is endless',
    );
    // A good one among them is taken, and when they are gone so are their names.
    await lab.api.addNode('good', { podCidrs: ['10.77.99.0/24'], annotations: annotations(250) });
    await until('the good one is a peer', async () => (await a.status()).peers === 2);
    for (const i of plans.keys()) await lab.api.deleteNode(`poison-${i}`);
    await until('their names are gone', async () => (await a.status()).quarantined.length === 0);
  });
  assert.equal((await a.status()).peers, 2);
  assert.deepEqual([await a.stop(), await b.stop()], [0, 0]);
});
