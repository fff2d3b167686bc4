import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseVtepMacs } from '../../../src/agent/vtep-mac.js';
import { IpAddress } from '../../../src/net/ip.js';
import { MacAddress } from '../../../src/net/mac.js';
import type { StoreSnapshot } from '../../../src/store/store.js';

const a = '02:00:00:00:00:0a';
const b = '02:00:00:00:00:0b';
const c = '02:00:00:00:00:0c';
const identity = { publicIp: IpAddress.parse('192.0.2.1'), publicIpv6: null };
const none = { v4: null, v6: null };

function lease(key: string, publicIp: string, mac?: string, macV6?: string) {
  const data = (text: string) => ({ VNI: 1, VtepMAC: text });
  const value = JSON.stringify({
    PublicIP: publicIp,
    BackendType: 'vxlan',
    ...(mac && { BackendData: data(mac) }),
    ...(macV6 && { BackendV6Data: data(macV6) }),
  });
  return { key, value, revision: '1', createdOrder: 1n };
}

function chosen(records: StoreSnapshot['records'], devices: { v4?: string; v6?: string } = {}) {
  const parsed = (text: string | undefined) => (text === undefined ? null : MacAddress.parse(text));
  const snapshot = { records, unreadable: [] } as unknown as StoreSnapshot;
  const held = { v4: parsed(devices.v4), v6: parsed(devices.v6) };
  const { mac, macV6 } = chooseVtepMacs(snapshot, identity, held, () => 0.5);
  return [mac.toString(), macV6?.toString()];
}

test('our lease first, for each family by itself, then what flannel left', () => {
  const own = lease('10.77.1.0-24', '192.0.2.1', a, b);
  assert.deepEqual(chosen([own]), [a, b]);
  assert.deepEqual(chosen([own], { v4: c, v6: c }), [a, b], 'peers send to what the lease says');
  assert.deepEqual(chosen([lease('10.77.1.0-24', '192.0.2.1', a)], { v6: b }), [a, b]);
  assert.deepEqual(chosen([], { v4: a, v6: b }), [a, b]);
  assert.deepEqual(chosen([], { v4: a }), [a, undefined], 'one for both');
  assert.deepEqual(chosen([], { v6: b }), [b, undefined]);
});

test('never a MAC that another node advertises, nor one that no device can have', () => {
  const clone = lease('10.77.2.0-24', '192.0.2.2', a.toUpperCase());
  const made = '82:80:80:80:80:80';
  assert.deepEqual(chosen([lease('10.77.1.0-24', '192.0.2.1', a), clone]), [made, undefined]);
  assert.deepEqual(chosen([lease('10.77.1.0-24', '192.0.2.1', a), clone], { v4: b }), [b, undefined]);
  assert.deepEqual(chosen([clone], { v4: a }), [made, undefined]);
  for (const useless of ['00:00:00:00:00:00', '01:00:5e:00:00:01', 'junk'])
    assert.deepEqual(chosen([lease('10.77.1.0-24', '192.0.2.1', useless)]), [made, undefined]);
});

test('with nothing to go by it is random and local', () => {
  const { mac, macV6 } = chooseVtepMacs(
    { records: [], unreadable: [] } as unknown as StoreSnapshot,
    ...([identity, none, () => 0.999] as const),
  );
  assert.equal(mac.toString(), 'fe:ff:ff:ff:ff:ff');
  assert.equal(macV6, undefined);
});
