import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aliasOf, isOfTwill } from '../../../../src/dataplane/kernel/alias.js';
import { changesOf, type DevicePlan, whyNotKept } from '../../../../src/dataplane/kernel/vxlan-device.js';
import type { Link } from '../../../../src/native/netlink.js';
import { IpAddress } from '../../../../src/net/ip.js';
import { MacAddress } from '../../../../src/net/mac.js';
import { Prefix } from '../../../../src/net/prefix.js';

const plan: DevicePlan = {
  ...{ name: 'flannel.1', family: 4, vni: 1, port: 8472, mtu: 1450, lower: 2, learning: false, gbp: false },
  ...{ mac: MacAddress.parse('02:00:00:00:00:01'), local: IpAddress.parse('192.0.2.1') },
  alias: 'twill 10.77.0.0/16',
};
const vxlan = {
  ...{ vni: 1, port: 8472, local: plan.local, remote: null, external: false },
  ...{ learning: false, l2miss: false, gbp: false },
};
const link: Link = {
  ...{ index: 7, name: 'flannel.1', alias: plan.alias, kind: 'vxlan', mtu: 1450, up: true, mac: plan.mac },
  ...{ lower: 2, master: 0, carrier: true, vxlan },
};

test('one that is as it should be is kept, and so is one that does not say all', () => {
  assert.equal(whyNotKept(link, plan), null);
  assert.deepEqual(changesOf(link, plan), { change: {}, faults: [] });
  assert.equal(whyNotKept({ ...link, lower: 0, vxlan: { ...vxlan, local: null } }, plan), null);
});

const others: [string, Link][] = [
  ['another kind', { ...link, kind: 'dummy' }],
  ['another VNI', { ...link, vxlan: { ...vxlan, vni: 2 } }],
  ['another port', { ...link, vxlan: { ...vxlan, port: 4789 } }],
  ['another link below', { ...link, lower: 3 }],
  ['another local address', { ...link, vxlan: { ...vxlan, local: IpAddress.parse('192.0.2.9') } }],
  ['a default destination', { ...link, vxlan: { ...vxlan, remote: IpAddress.parse('239.1.1.1') } }],
  ['l2miss', { ...link, vxlan: { ...vxlan, l2miss: true } }],
  ['group policy', { ...link, vxlan: { ...vxlan, gbp: true } }],
  ['learning, which flannel does not look at', { ...link, vxlan: { ...vxlan, learning: true } }],
  ['tunnels packet by packet', { ...link, vxlan: { ...vxlan, external: true } }],
];
for (const [name, other] of others)
  test(`what makes a device another one: ${name}`, () =>
    assert.match(whyNotKept(other, plan) ?? '', /^(its|it) \S+/));

test('MTU and MAC, which flannel leaves as they are, are changed in place', () => {
  const mac = MacAddress.parse('02:00:00:00:00:09');
  const { change, faults } = changesOf({ ...link, mtu: 1300, mac, alias: '' }, plan);
  assert.deepEqual(change, { mtu: 1450, mac: plan.mac, alias: plan.alias });
  assert.deepEqual(faults, [
    'its MTU was 1300, not 1450',
    'its MAC was 02:00:00:00:00:09, not 02:00:00:00:00:01, which our lease says',
  ]);
});

test('our alias is known again where the overlays have a part in common', () => {
  const both = [Prefix.parse('10.77.0.0/16'), Prefix.parse('fd00:77::/48')];
  assert.equal(aliasOf(both), 'twill 10.77.0.0/16 fd00:77::/48');
  const aliased = { ...link, alias: aliasOf(both) };
  assert.ok(isOfTwill(aliased, [Prefix.parse('10.77.128.0/17')]));
  assert.ok(!isOfTwill(aliased, [Prefix.parse('10.78.0.0/16')]));
  assert.ok(!isOfTwill({ ...aliased, kind: 'dummy' }, both));
  assert.ok(!isOfTwill({ ...link, alias: 'twill nonsense' }, both));
});
