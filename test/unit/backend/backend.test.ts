import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBackend } from '../../../src/backend/create.js';
import { parseNetConf } from '../../../src/config/net-conf.js';
import { decodeLease, encodeLeaseValue } from '../../../src/lease/codec.js';
import { IpAddress } from '../../../src/net/ip.js';
import { MacAddress } from '../../../src/net/mac.js';

const backend = (section: string) =>
  createBackend(parseNetConf(`{"Network":"10.5.0.0/16","Backend":${section}}`).backend);
const tunnel = (section: string) => {
  const created = backend(section);
  assert.ok(created.carrier === 'tunnel');
  return created;
};
const lease = (value: string, key = '10.5.2.0-24') => decodeLease({ key, value });
const node = {
  publicIp: IpAddress.parse('192.0.2.1'),
  publicIpv6: null,
  mac: MacAddress.parse('02:00:00:00:00:01'),
};

test("udp: flannel's name, port, MTU and lease; peers whatever their type", () => {
  const udp = tunnel('{"Type":"udp"}');
  assert.deepEqual([udp.deviceName, udp.port, udp.deviceMtu(1500, 4)], ['flannel%d', 8285, 1472]);
  assert.equal(tunnel('{"Type":"udp","Port":7777}').port, 7777);
  assert.equal(encodeLeaseValue(udp.attributes(node)), '{"PublicIP":"192.0.2.1","PublicIPv6":null}');
  const decision = udp.decide(lease('{"PublicIP":"192.0.2.2","BackendType":"vxlan"}'));
  assert.ok('peers' in decision);
  assert.deepEqual(
    decision.peers.map(({ subnet, endpoint }) => `${subnet} ${endpoint.address} ${endpoint.port}`),
    ['10.5.2.0/24 192.0.2.2 8285'],
  );
});

test("vxlan: flannel's name, port, MTU and lease", () => {
  const vxlan = tunnel('{"Type":"vxlan"}');
  assert.deepEqual([vxlan.deviceName, vxlan.port, vxlan.vni], ['flannel.1', 8472, 1]);
  assert.deepEqual([vxlan.deviceMtu(1500, 4), vxlan.deviceMtu(1500, 6)], [1450, 1430]);
  const own = tunnel('{"Type":"vxlan","VNI":9,"Port":4789,"MTU":1400}');
  assert.deepEqual([own.deviceName, own.port, own.vni], ['flannel.9', 4789, 9]);
  assert.deepEqual([own.deviceMtu(1500, 4), own.deviceMtu(1500, 6)], [1350, 1330]);
  assert.equal(own.deviceMtu(1300, 4), 1250, 'never more than the interface carries');
  assert.equal(
    encodeLeaseValue(vxlan.attributes(node)),
    '{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}}',
  );
});

test('vxlan: dual stack becomes a row for each family, each to its own address', () => {
  const value =
    '{"PublicIP":"192.0.2.2","PublicIPv6":"2001:db8::2","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:02"},"BackendV6Data":{"VNI":1,"VtepMAC":"02:00:00:00:00:03"}}';
  const decision = backend('{"Type":"vxlan"}').decide(lease(value, '10.5.2.0-24&fd00:5:0:2::-64'));
  assert.ok('peers' in decision);
  assert.deepEqual(
    decision.peers.map(({ subnet, endpoint, mac }) => `${subnet} ${endpoint.address} ${mac}`),
    ['10.5.2.0/24 192.0.2.2 02:00:00:00:00:02', 'fd00:5:0:2::/64 2001:db8::2 02:00:00:00:00:03'],
  );
});

test('vxlan: a peer of flannel v0.11 names no VNI', () => {
  const value =
    '{"PublicIP":"192.0.2.2","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:02"}}';
  const decision = backend('{"Type":"vxlan","VNI":7}').decide(lease(value));
  assert.ok('peers' in decision);
  assert.equal(decision.peers[0]?.mac?.toString(), '02:00:00:00:00:02');
});

const refused: [string, RegExp][] = [
  ['"BackendType":"host-gw"', /BackendType is "host-gw"/],
  ['"BackendType":""', /BackendType is ""/],
  ['"BackendType":"vxlan"', /BackendData is missing/],
  ['"BackendType":"vxlan","BackendData":7', /BackendData is 7/],
  ['"BackendType":"vxlan","BackendData":{}', /no VtepMAC/],
  ['"BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:01"}', /must be written like/],
  ['"BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:00:00:01"}', /must be written like/],
  ['"BackendType":"vxlan","BackendData":{"VtepMAC":"00:00:00:00:00:00"}', /no device can have/],
  ['"BackendType":"vxlan","BackendData":{"VtepMAC":"ff:ff:ff:ff:ff:ff"}', /no device can have/],
  ['"BackendType":"vxlan","BackendData":{"VNI":2,"VtepMAC":"02:00:00:00:00:02"}', /has VNI 2: ours is 1/],
  ['"BackendType":"vxlan","BackendData":{"VNI":"1","VtepMAC":"02:00:00:00:00:02"}', /has VNI "1"/],
];
for (const [rest, why] of refused) {
  test(`vxlan refuses a lease with ${rest}`, () => {
    const decision = backend('{"Type":"vxlan"}').decide(lease(`{"PublicIP":"192.0.2.2",${rest}}`));
    assert.ok('refused' in decision);
    assert.match(decision.refused, why);
  });
}

const wrong: [string, RegExp][] = [
  ['{"Type":"vxlan","VNI":16777216}', /VNI is 16777216: write an integer from 0 to 16777215/],
  ['{"Type":"vxlan","VNI":-1}', /VNI is -1/],
  ['{"Type":"vxlan","VNI":"1"}', /VNI is "1"/],
  ['{"Type":"vxlan","Port":65536}', /Port is 65536/],
  ['{"Type":"vxlan","Port":-1}', /Port is -1/],
  ['{"Type":"vxlan","MTU":65536}', /MTU is 65536/],
  ['{"Type":"vxlan","GBP":"yes"}', /GBP is "yes": write true or false/],
  ['{"Type":"udp","Port":"8285"}', /Port is "8285"/],
  ['{"Type":"vxlan","DirectRouting":1}', /DirectRouting is 1: write true or false/],
  ['{"Type":"constructor"}', /this version has udp, vxlan, host-gw, alloc/],
];
for (const [section, why] of wrong) {
  test(`refused: ${section}`, () =>
    assert.throws(() => backend(section), { code: 'ERR_TWILL_CONFIG', message: why }));
}

test('vxlan: a MAC for each family where flannel had one for each, and IPv6 alone has no data of IPv4', () => {
  const macV6 = MacAddress.parse('02:00:00:00:00:06');
  const vxlan = backend('{"Type":"vxlan","VNI":7}');
  const publicIpv6 = IpAddress.parse('2001:db8::1');
  assert.equal(
    encodeLeaseValue(vxlan.attributes({ ...node, publicIpv6, macV6 })),
    '{"PublicIP":"192.0.2.1","PublicIPv6":"2001:db8::1","BackendType":"vxlan","BackendData":{"VNI":7,"VtepMAC":"02:00:00:00:00:01"},"BackendV6Data":{"VNI":7,"VtepMAC":"02:00:00:00:00:06"}}',
  );
  assert.equal(
    encodeLeaseValue(vxlan.attributes({ ...node, publicIp: IpAddress.parse('0.0.0.0'), publicIpv6 })),
    '{"PublicIP":"0.0.0.0","PublicIPv6":"2001:db8::1","BackendType":"vxlan","BackendV6Data":{"VNI":7,"VtepMAC":"02:00:00:00:00:01"}}',
  );
});

test('an underlay too small for the headers is refused', () => {
  assert.throws(() => backend('{"Type":"vxlan"}').deviceMtu(100, 4), {
    code: 'ERR_TWILL_CONFIG',
    message: /leaves 50 bytes/,
  });
  assert.equal(backend('{"Type":"vxlan"}').deviceMtu(1350, 6), 1280);
  assert.throws(() => backend('{"Type":"vxlan"}').deviceMtu(1349, 6), {
    code: 'ERR_TWILL_CONFIG',
    message: /leaves 1279 bytes after 70 of headers: IPv6 needs 1280/,
  });
});

test('vxlan: DirectRouting, GBP and Learning are off unless asked for', () => {
  const { directRouting, gbp, learning } = tunnel('{"Type":"vxlan"}');
  assert.deepEqual([directRouting, gbp, learning], [false, false, false]);
  const all = tunnel('{"Type":"vxlan","DirectRouting":true,"gbp":true,"Learning":true}');
  assert.deepEqual([all.directRouting, all.gbp, all.learning], [true, true, true]);
});

test("host-gw: flannel's lease, the interface's MTU, a row for each family; other types are no peers", () => {
  const hostGw = backend('{"Type":"Host-GW"}');
  assert.deepEqual([hostGw.type, hostGw.carrier, hostGw.deviceMtu(1500, 4)], ['host-gw', 'routes', 1500]);
  assert.equal(
    encodeLeaseValue(hostGw.attributes(node)),
    '{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"host-gw"}',
  );
  const value = '{"PublicIP":"192.0.2.2","PublicIPv6":"2001:db8::2","BackendType":"host-gw"}';
  const decision = hostGw.decide(lease(value, '10.5.2.0-24&fd00:5:0:2::-64'));
  assert.ok('peers' in decision);
  assert.deepEqual(
    decision.peers.map(({ subnet, endpoint }) => `${subnet} ${endpoint.address} ${endpoint.port}`),
    ['10.5.2.0/24 192.0.2.2 0', 'fd00:5:0:2::/64 2001:db8::2 0'],
  );
  const other = hostGw.decide(lease('{"PublicIP":"192.0.2.2","BackendType":"vxlan"}'));
  assert.ok('refused' in other);
  assert.match(other.refused, /its BackendType is "vxlan": this cluster runs host-gw/);
});

test('alloc: the lease says the public IP alone, and nobody is a peer', () => {
  const alloc = backend('{"Type":"alloc"}');
  assert.deepEqual([alloc.carrier, alloc.deviceMtu(1500, 4)], ['none', 1500]);
  assert.equal(encodeLeaseValue(alloc.attributes(node)), '{"PublicIP":"192.0.2.1","PublicIPv6":null}');
  assert.deepEqual(alloc.decide(lease('{"PublicIP":"192.0.2.2"}')), { peers: [] });
});
