/** A lease as annotations of a node: flannel's bytes, and what becomes of others'. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createBackend } from '../../../src/backend/create.js';
import { decodeLease } from '../../../src/lease/codec.js';
import { annotationsOf, leaseOfNode, type NodeFacts } from '../../../src/lease/node-annotations.js';
import { IpAddress } from '../../../src/net/ip.js';
import { MacAddress } from '../../../src/net/mac.js';
import { times } from '../../support/properties.js';

const v4Alone = { families: [4], verifyAddresses: false } as const;
const both = { families: [4, 6], verifyAddresses: false } as const;
const vxlan = createBackend({ type: 'vxlan', raw: {} });
const node = {
  publicIp: IpAddress.parse('192.0.2.1'),
  publicIpv6: IpAddress.parse('2001:db8::1'),
  mac: MacAddress.parse('12:c6:65:89:b4:e3'),
};

function facts(more: Partial<NodeFacts> = {}): NodeFacts {
  return {
    ...{ name: 'worker-1', uid: 'u', createdAtMs: 1, podCidrs: ['10.244.1.0/24'], addresses: [] },
    annotations: {
      'kube-subnet-manager': 'true',
      'backend-type': 'vxlan',
      'backend-data': '{"VNI":1,"VtepMAC":"12:c6:65:89:b4:e3"}',
      'public-ip': '192.0.2.1',
    },
    ...more,
  };
}

test("what is written is flannel's to the byte", () => {
  const ipv4 = { ...node, publicIpv6: null };
  assert.deepEqual(annotationsOf(vxlan.attributes(ipv4), {}), facts().annotations);
  assert.deepEqual(annotationsOf(vxlan.attributes(node), {}), {
    ...facts().annotations,
    'backend-v6-data': '{"VNI":1,"VtepMAC":"12:c6:65:89:b4:e3"}',
    'public-ipv6': '2001:db8::1',
  });
  // A type without data says so by four letters, and has an empty type.
  assert.deepEqual(annotationsOf(createBackend({ type: 'udp', raw: {} }).attributes(node), {}), {
    'kube-subnet-manager': 'true',
    'backend-type': '',
    'backend-data': 'null',
    'public-ip': '192.0.2.1',
  });
  // IPv6 alone leaves what is there of IPv4.
  const alone = { ...node, publicIp: IpAddress.of(4, 0n) };
  assert.deepEqual(Object.keys(annotationsOf(vxlan.attributes(alone), {})), [
    'kube-subnet-manager',
    'backend-type',
    'backend-v6-data',
    'public-ipv6',
  ]);
});

test('an overwrite goes into the public IP, unless it is rubbish', () => {
  const written = (overwrite: string) =>
    annotationsOf(vxlan.attributes(node), {
      'public-ip-overwrite': overwrite,
      'public-ipv6-overwrite': '2001:db8::99',
    });
  assert.equal(written('203.0.113.9')['public-ip'], '203.0.113.9');
  assert.equal(written('203.0.113.9')['public-ipv6'], '2001:db8::99');
  for (const bad of ['', 'x', '203.0.113.256', '2001:db8::5', '203.0.113.9 '])
    assert.equal(written(bad)['public-ip'], '192.0.2.1', bad);
});

test('what flannel has written becomes the same lease as in etcd', () => {
  assert.deepEqual(leaseOfNode(facts(), v4Alone), {
    key: '10.244.1.0-24',
    value:
      '{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"12:c6:65:89:b4:e3"}}',
  });
  const dual = facts({
    podCidrs: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
    annotations: {
      ...facts().annotations,
      'backend-v6-data': '{"VNI":1,"VtepMAC":"12:c6:65:89:b4:e4"}',
      'public-ipv6': '2001:db8::1',
    },
  });
  const lease = leaseOfNode(dual, both);
  assert.ok(lease && 'value' in lease);
  assert.equal(lease.key, '10.244.1.0-24&fd00:10:244:1::-64');
  const { attributes } = decodeLease(lease);
  assert.deepEqual(
    [`${attributes.publicIpv6}`, attributes.backendV6Data],
    ['2001:db8::1', { VNI: 1, VtepMAC: '12:c6:65:89:b4:e4' }],
  );
  // What the configuration does not enable is passed over.
  assert.deepEqual(leaseOfNode(dual, v4Alone), leaseOfNode(facts(), v4Alone));
  // Not yet of both families: what there is counts.
  assert.deepEqual(leaseOfNode(facts({ podCidrs: dual.podCidrs }), both), leaseOfNode(facts(), v4Alone));
  // udp: data is null.
  const udp = facts({ annotations: { ...facts().annotations, 'backend-type': '', 'backend-data': 'null' } });
  assert.deepEqual(leaseOfNode(udp, v4Alone), {
    key: '10.244.1.0-24',
    value: '{"PublicIP":"192.0.2.1","PublicIPv6":null}',
  });
});

test('a node counts only where it says "true", and nothing else', () => {
  for (const said of ['True', 'yes', '', ' true', 'false'])
    assert.equal(
      leaseOfNode(facts({ annotations: { ...facts().annotations, 'kube-subnet-manager': said } }), v4Alone),
      null,
    );
  assert.equal(leaseOfNode(facts({ annotations: {} }), v4Alone), null);
});

const wrong: [what: string, more: Partial<NodeFacts>, reason: RegExp][] = [
  ['no PodCIDR', { podCidrs: [] }, /^it has no PodCIDR$/],
  ['three', { podCidrs: ['10.1.0.0/24', 'fd00::/64', 'fd01::/64'] }, /^it has 3 PodCIDRs/],
  ['two of one family', { podCidrs: ['10.1.0.0/24', '10.2.0.0/24'] }, /^it has two IPv4 PodCIDRs$/],
  ['rubbish', { podCidrs: ['10.1.0.0'] }, /^its PodCIDR "10.1.0.0" is no prefix$/],
  ['the wrong family', { podCidrs: ['fd00::/64'] }, /^it has no PodCIDR with an annotation public-ip to it$/],
];
for (const [what, more, reason] of wrong) {
  test(`PodCIDRs that are none: ${what}`, () => {
    const lease = leaseOfNode(facts(more), v4Alone);
    assert.ok(lease && 'reason' in lease);
    assert.equal(lease.key, 'worker-1');
    assert.match(lease.reason, reason);
  });
}

test('data that is no JSON is named, under the key of the lease', () => {
  const bad = facts({ annotations: { ...facts().annotations, 'backend-data': '{' } });
  const lease = leaseOfNode(bad, v4Alone);
  assert.ok(lease && 'reason' in lease);
  assert.equal(lease.key, '10.244.1.0-24');
  assert.match(lease.reason, /^its backend-data is not JSON: /);
});

test("with addresses verified, a public IP must be one of the node's", () => {
  const verified = { families: [4], verifyAddresses: true } as const;
  const lease = leaseOfNode(facts({ addresses: ['192.0.2.7', 'worker-1'] }), verified);
  assert.ok(lease && 'reason' in lease);
  assert.equal(lease.reason, 'its public-ip "192.0.2.1" is no address of its node');
  assert.ok('value' in (leaseOfNode(facts({ addresses: ['192.0.2.1'] }), verified) ?? {}));
});

test('whatever the annotations are, it is a lease, or a reason', () => {
  const any = fc.oneof(fc.string(), fc.json(), fc.constantFrom('null', 'true', '192.0.2.1', '::1', '{}'));
  const names = ['backend-type', 'backend-data', 'public-ip', 'public-ipv6', 'backend-v6-data', '__proto__'];
  const annotations = fc.dictionary(fc.constantFrom(...names), any);
  const cidrs = fc.array(fc.oneof(fc.string(), fc.constantFrom('10.244.1.0/24', 'fd00::/64')), {
    maxLength: 3,
  });
  const property = fc.property(annotations, cidrs, fc.boolean(), (given, podCidrs, verifyAddresses) => {
    const of = facts({ podCidrs, annotations: { ...given, 'kube-subnet-manager': 'true' } });
    const lease = leaseOfNode(of, { families: [4, 6], verifyAddresses });
    assert.ok(lease !== null);
    if ('reason' in lease) return;
    assert.doesNotThrow(() => JSON.parse(lease.value));
    try {
      decodeLease(lease);
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'ERR_TWILL_LEASE');
    }
  });
  fc.assert(property, times(2000));
});
