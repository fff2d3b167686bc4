import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choosePlane, vxlanFaultOf } from '../../../src/agent/plane-choice.js';
import { refuseNat } from '../../../src/agent/refuse-nat.js';
import { createBackend } from '../../../src/backend/create.js';
import { TwillError } from '../../../src/errors.js';
import type { Link, VxlanPlan } from '../../../src/native/netlink.js';
import { IpAddress } from '../../../src/net/ip.js';

const backend = (type: string, more: { readonly [key: string]: boolean } = {}) =>
  createBackend({ type, raw: { Type: type, ...more } });
const has = () => null;
const hasNot = () => new TwillError('ERR_TWILL_DEVICE', 'this kernel has no vxlan device: load the module');
const asks = () => assert.fail('nobody needs to know');

test('each of the three, with and without vxlan in the kernel; and why', () => {
  const vxlan = backend('vxlan');
  assert.deepEqual(choosePlane({ dataplane: 'userspace' }, vxlan, asks), {
    ...{ kind: 'userspace', why: '--dataplane=userspace' },
  });
  assert.equal(choosePlane({ dataplane: 'kernel' }, vxlan, has).kind, 'kernel');
  assert.deepEqual(choosePlane({ dataplane: 'auto' }, vxlan, has), {
    ...{ kind: 'kernel', why: 'this kernel has vxlan' },
  });
  const { kind, why } = choosePlane({ dataplane: 'auto' }, vxlan, hasNot);
  assert.equal(kind, 'userspace');
  assert.match(why, /this kernel has no vxlan device/);
  assert.throws(() => choosePlane({ dataplane: 'kernel' }, vxlan, hasNot), {
    ...{ code: 'ERR_TWILL_DEVICE', message: /this kernel has no vxlan device/ },
  });
});

test('backends that need no tunnel, and udp, which the kernel cannot carry', () => {
  for (const dataplane of ['userspace', 'kernel', 'auto'] as const) {
    assert.equal(choosePlane({ dataplane }, backend('host-gw'), asks).kind, 'routes');
    assert.equal(choosePlane({ dataplane }, backend('alloc'), asks).kind, 'none');
  }
  assert.equal(choosePlane({ dataplane: 'auto' }, backend('udp'), asks).kind, 'userspace');
  assert.throws(() => choosePlane({ dataplane: 'kernel' }, backend('udp'), asks), {
    ...{ code: 'ERR_TWILL_CONFIG', message: /no device for the udp backend/ },
  });
});

test("GBP needs the kernel's device", () => {
  const gbp = backend('vxlan', { GBP: true });
  assert.equal(choosePlane({ dataplane: 'auto' }, gbp, has).kind, 'kernel');
  for (const [dataplane, probe] of [
    ['userspace', asks],
    ['auto', hasNot],
  ] as const)
    assert.throws(() => choosePlane({ dataplane }, gbp, probe), {
      ...{
        code: 'ERR_TWILL_CONFIG',
        message: /Backend\.GBP is true, which only the kernel's vxlan device can do/,
      },
    });
});

test('--tun-name asks for a TUN', () => {
  const vxlan = backend('vxlan');
  assert.equal(choosePlane({ dataplane: 'auto', tunName: 'pods0' }, vxlan, asks).kind, 'userspace');
  assert.throws(() => choosePlane({ dataplane: 'kernel', tunName: 'pods0' }, vxlan, asks), {
    code: 'ERR_TWILL_USAGE',
  });
});

test('whether the kernel has vxlan: seen, else tried and taken away again, else told', () => {
  const link = (name: string, kind: string) => ({ index: 9, name, kind }) as Link;
  const links: Link[] = [];
  const done: string[] = [];
  const netlink = {
    links: () => links,
    vxlanAdd({ name }: VxlanPlan) {
      links.push(link(name, 'vxlan'));
      done.push('add');
    },
    linkDelete(index: number) {
      assert.equal(index, 9);
      links.length = 0;
      done.push('delete');
    },
  };
  assert.equal(vxlanFaultOf(netlink), null);
  assert.deepEqual([done, links], [['add', 'delete'], []]);
  const refusing = (errno: number) => ({
    ...netlink,
    vxlanAdd() {
      throw new TwillError('ERR_TWILL_NETLINK', 'no', { errno });
    },
  });
  assert.match(vxlanFaultOf(refusing(95))?.message ?? '', /this kernel has no vxlan device: load the module/);
  assert.throws(
    () => vxlanFaultOf(refusing(1)),
    { message: 'no' },
    'without the right to ask nothing is known',
  );
  links.push(link('other', 'vxlan'));
  assert.equal(vxlanFaultOf(refusing(95)), null, 'one that is there is proof');
});

test('host-gw behind a NAT is refused in one line, other backends are not', () => {
  const ip = (text: string) => IpAddress.parse(text);
  const underlay = {
    ...{ interface: 'eth0', index: 2, mtuBytes: 1500, address: ip('192.0.2.1'), addressV6: null },
    ...{ publicIp: ip('198.51.100.7'), publicIpv6: null },
  };
  assert.throws(() => refuseNat(backend('host-gw'), underlay), {
    code: 'ERR_TWILL_CONFIG',
    message:
      /^Backend\.Type "host-gw": the public IP 198\.51\.100\.7 is not that of interface eth0 \(192\.0\.2\.1\): [^\n]+$/,
  });
  refuseNat(backend('host-gw'), { ...underlay, publicIp: underlay.address });
  refuseNat(backend('vxlan'), underlay);
});
