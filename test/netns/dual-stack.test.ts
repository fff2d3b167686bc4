/** Whole agents with IPv6 inside: beside IPv4, and alone. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { labWith } from '../support/agent-node.js';
import { base, cannotRun, makePair, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

for (const [name, families, outside] of [
  ['IPv4 and IPv6', { EnableIPv6: true, IPv6Network: 'fd00:77::/48' }, ['192.0.2.', '2001:db8::']],
  ['IPv6 alone', { EnableIPv4: false, EnableIPv6: true, IPv6Network: 'fd00:77::/48' }, ['2001:db8::']],
] as const) {
  test(`${name}: both ways in each family, also after the device was set down and deleted`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const addresses = (last: number) =>
      outside.map((prefix) => `${prefix}${last}/${prefix.includes(':') ? 64 : 24}`);
    const { nodes, store } = await labWith(t, { ...families, Backend: { Type: 'vxlan' } }, (make) =>
      makePair(t, addresses(1), addresses(2)).then(([a, b]) => [make(a), make(b)] as const),
    );
    const [a, b] = nodes;
    a.run();
    b.run();
    const [left, right] = await Promise.all([a.ready(1), b.ready(1)]);
    // One row of the table for each family.
    const subnets = (text: string) => text.split(' ').map(base);
    assert.equal(subnets(left.node.subnet).length, outside.length);
    assert.equal(left.node.mtuBytes, 1430, 'room for the larger of the headers');
    const keys = await readdir(join(store, 'subnets'));
    assert.ok(
      keys.every((key) => key.includes('&fd00:77:0:') && key.endsWith('-64')),
      keys.join(' '),
    );
    const env = await readFile(a.subnetFile, 'utf8');
    assert.match(env, /^FLANNEL_IPV6_NETWORK=fd00:77::\/48$/m);
    assert.equal(/^FLANNEL_NETWORK=/m.test(env), outside.length === 2);
    assert.match(env, /^FLANNEL_MTU=1430$/m);
    const reaches = async () => {
      for (const to of subnets(right.node.subnet))
        if (!(await pings(a.namespace, to, '-W', '0.3'))) return false;
      for (const to of subnets(left.node.subnet))
        if (!(await pings(b.namespace, to, '-W', '0.3'))) return false;
      return true;
    };
    await until('both ways are open', reaches);
    // IPv6 addresses and routes go when a device is set down.
    await a.namespace.ip('link', 'set', left.node.device, 'down');
    await a.namespace.ip('link', 'set', left.node.device, 'up');
    await until('both ways are open after down and up', reaches);
    await a.namespace.ip('link', 'delete', left.node.device);
    await until('both ways are open with a new device', reaches);
    const { identity, node } = await a.status();
    assert.deepEqual([identity, node.deviceTrouble], [{ encap: true, decap: true }, null]);
    assert.deepEqual([await a.stop(), await b.stop()], [0, 0]);
    a.run();
    assert.equal((await a.started()).node.subnet, left.node.subnet);
  });
}
