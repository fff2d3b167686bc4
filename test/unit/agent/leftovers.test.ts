import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findLeftovers, type WantedDevice } from '../../../src/agent/leftovers.js';
import type { Link, Route } from '../../../src/native/netlink.js';
import { IpAddress } from '../../../src/net/ip.js';
import { MacAddress } from '../../../src/net/mac.js';
import { Prefix } from '../../../src/net/prefix.js';

const mac = MacAddress.parse('0e:2a:00:00:00:01');
const networks = [Prefix.parse('10.77.0.0/16')];
const vxlan: WantedDevice = { name: 'flannel.1', port: 8472, vni: 1, networks };
const udp: WantedDevice = { name: 'flannel%d', port: 8285, networks };
const attributes = {
  ...{ vni: 1, port: 8472, local: null, remote: null, external: false },
  ...{ learning: false, l2miss: false, gbp: false },
};

function link(name: string, kind: string, more: Partial<Link> = {}): Link {
  return {
    index: 7,
    name,
    kind,
    alias: '',
    mtu: 1450,
    up: true,
    mac,
    lower: 2,
    master: 0,
    carrier: true,
    ...more,
  };
}

function route(index: number, destination: string): Route {
  return {
    ...{ index, gateway: null, source: null, table: 254, priority: 0, type: 1, protocol: 3, scope: 0 },
    destination: Prefix.parse(destination),
  };
}

const names = (wanted: WantedDevice, links: Link[], routes: Route[] = []) =>
  findLeftovers(wanted, links, routes).map(({ name, family }) => `${name} IPv${family}`);

test("flannel's two vxlan devices are leftovers, each of its family, whatever our own is called", () => {
  const links = [
    link('eth0', '', { index: 2 }),
    link('flannel.1', 'vxlan', { vxlan: attributes }),
    link('flannel-v6.1', 'vxlan', { vxlan: attributes }),
    link('flannel.2', 'vxlan', { vxlan: { ...attributes, vni: 2 } }),
  ];
  assert.deepEqual(names(vxlan, links), ['flannel.1 IPv4', 'flannel-v6.1 IPv6']);
  assert.deepEqual(names({ ...vxlan, name: 'other' }, links), ['flannel.1 IPv4', 'flannel-v6.1 IPv6']);
  assert.deepEqual(names(udp, links), []);
});

test('a device that only bears the name is left alone, and named with what is foreign about it', () => {
  const refused: [Link, RegExp][] = [
    [link('flannel.1', 'dummy'), /a dummy device named flannel\.1 is in the way/],
    [link('flannel.1', ''), /a different device named flannel\.1/],
    [link('flannel.1', 'vxlan', { vxlan: { ...attributes, vni: 7 } }), /vxlan device of VNI 7, not 1 named/],
    [link('flannel.1', 'vxlan', { vxlan: { ...attributes, port: 4789 } }), /of port 4789, not 8472/],
    [link('flannel.1', 'vxlan', { vxlan: { ...attributes, external: true } }), /packet by packet/],
    [link('flannel.1', 'vxlan', { vxlan: attributes, master: 3 }), /part of a bridge or bond/],
    [
      link('flannel.1', 'vxlan', { vxlan: { ...attributes, remote: IpAddress.parse('239.1.1.1') } }),
      /with the remote 239\.1\.1\.1/,
    ],
  ];
  for (const [device, why] of refused) {
    assert.throws(() => findLeftovers(vxlan, [device], []), {
      code: 'ERR_TWILL_DEVICE',
      message: why,
    });
    // Where ours has another name it is in nobody's way.
    assert.deepEqual(findLeftovers({ ...vxlan, name: 'other' }, [device], []), []);
  }
  const shown =
    /rename it, or remove it with "ip link delete flannel\.1", or choose another name with --tun-name$/;
  assert.throws(() => findLeftovers(vxlan, [link('flannel.1', 'bridge')], []), { message: shown });
});

test('a device that a flannel with another configuration left is named where its routes would win over ours', () => {
  const left = link('flannel.1', 'vxlan', { vxlan: attributes });
  const routes = [route(7, '10.77.3.0/24')];
  for (const wanted of [udp, { ...vxlan, name: 'flannel.7', vni: 7 }]) {
    assert.deepEqual(findLeftovers(wanted, [left], []), []);
    assert.deepEqual(findLeftovers(wanted, [left], [route(7, '10.78.3.0/24')]), []);
    assert.throws(() => findLeftovers(wanted, [left], routes), {
      code: 'ERR_TWILL_DEVICE',
      message:
        /^device flannel\.1 \(VNI 1, port 8472\) has routes into the overlay network: .*"ip link delete flannel\.1"$/,
    });
  }
});

test("flannel's TUN is known by its route to the overlay network, ours by its name", () => {
  const links = [
    link('flannel0', 'tun', { index: 5, carrier: false }),
    link('flannel3', 'tun', { index: 6 }),
    link('flannelx', 'tun', { index: 8 }),
  ];
  assert.deepEqual(names(udp, links), []);
  const routes = [route(5, '10.77.0.0/16'), route(6, '10.78.0.0/16'), route(8, '10.77.0.0/16')];
  assert.deepEqual(
    findLeftovers(udp, links, routes).map(({ name, inUse }) => [name, inUse]),
    [['flannel0', false]],
  );
  assert.deepEqual(
    findLeftovers(vxlan, [link('flannel.1', 'tun')], []).map(({ kind, inUse }) => [kind, inUse]),
    [['tun', true]],
  );
});

test('what the kernel carried for us gives way under any name and any backend; for another overlay it stays', () => {
  const ours = link('flannel.9', 'vxlan', { vxlan: { ...attributes, vni: 9 }, alias: 'twill 10.77.0.0/16' });
  const alien = link('flannel.8', 'vxlan', { vxlan: { ...attributes, vni: 8 }, alias: 'twill 10.99.0.0/16' });
  const others = [
    link('flannel.7', 'vxlan', { vxlan: { ...attributes, vni: 7 }, alias: 'my twill 10.77.0.0/16' }),
    link('eth1', '', { alias: 'twill 10.77.0.0/16' }),
  ];
  const hostGw: WantedDevice = { name: null, port: 0, networks };
  for (const wanted of [vxlan, udp, hostGw])
    assert.deepEqual(names(wanted, [ours, alien, ...others], [route(7, '10.88.2.0/24')]), ['flannel.9 IPv4']);
  const moved = link('flannel.1', 'vxlan', {
    vxlan: { ...attributes, port: 4789 },
    alias: 'twill 10.77.0.0/16',
  });
  assert.deepEqual(names(vxlan, [moved]), ['flannel.1 IPv4'], 'with another port too');
});
