import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { joinByVeth, Namespace } from '../../src/lab/namespace.js';

const script = fileURLToPath(new URL('../support/netlink-script.js', import.meta.url));

test('links, addresses and routes: what we set is what iproute2 sees, and what we read back', {
  timeout: 60_000,
}, async (t) => {
  const a = await Namespace.create('netlink-a');
  t.after(() => a.close());
  const b = await Namespace.create('netlink-b');
  t.after(() => b.close());
  await joinByVeth({ namespace: a, device: 'eth0' }, { namespace: b, device: 'eth0' });
  const { stdout } = await a.exec(process.execPath, [script]);
  const ours = JSON.parse(stdout);

  const [link] = JSON.parse(await a.ip('-j', 'link', 'show', 'eth0'));
  assert.deepEqual([link.mtu, link.txqlen, link.ifindex], [1400, 77, ours.index]);
  assert.deepEqual([ours.link.mtu, ours.link.up, ours.link.kind], [1400, true, 'veth']);

  const [{ addr_info: addresses }] = JSON.parse(
    await a.ip('-j', 'address', 'show', 'dev', 'eth0', 'scope', 'global'),
  );
  const theirs = (addresses as { local?: string; prefixlen: number }[]).flatMap(({ local, prefixlen }) =>
    local ? [`${local}/${prefixlen}`] : [],
  );
  assert.deepEqual(theirs.sort(), ['192.0.2.1/24', '2001:db8::1/64']);
  const read = ours.addresses.map(
    ({ address, length }: { address: string; length: number }) => `${address}/${length}`,
  );
  for (const text of theirs) assert.ok(read.includes(text), `${text} is read back`);

  const routes = await a.ip('route', 'show', 'dev', 'eth0');
  assert.match(routes, /^10\.77\.0\.0\/16 via 192\.0\.2\.254/m, 'the second one replaced the first');
  assert.equal(routes.match(/10\.77\.0\.0/g)?.length, 1);
  assert.match(routes, /^10\.78\.0\.0\/16 via 198\.51\.100\.1 onlink/m);
  assert.doesNotMatch(routes, /10\.79/);
  assert.match(await a.ip('-6', 'route', 'show', 'dev', 'eth0'), /^fd00::\/64/m);
  const destinations = ours.routes.map(({ destination }: { destination: string }) => destination);
  for (const text of ['10.77.0.0/16', '10.78.0.0/16', 'fd00::/64'])
    assert.ok(destinations.includes(text), text);
  assert.deepEqual(ours.reach, { index: ours.index, source: '192.0.2.1', gateway: '192.0.2.254' });

  const [noLink, badMtu, badGateway] = ours.failures;
  assert.deepEqual([noLink.code, noLink.errno], ['ERR_TWILL_NETLINK', 19]);
  assert.match(noLink.message, /^cannot change link 999999: No such device/);
  assert.match(badMtu.message, /^cannot change link \d+ to MTU 1: Invalid argument \(.*mtu/i);
  assert.match(badGateway.message, /^cannot set a route of \/16 on link \d+: /);
  assert.ok(ours.removed.includes('address') && ours.removed.includes('route'), 'the watch saw removals too');
});
