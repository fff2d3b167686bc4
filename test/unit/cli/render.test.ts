import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { explainHeader } from '../../../src/agent/trace.js';
import { renderPeers } from '../../../src/cli/peers.js';
import { renderStatus } from '../../../src/cli/status.js';
import { renderTrace } from '../../../src/cli/trace.js';

const direction = (drops: Record<string, number>) => ({
  ...{ received: 10, receivedBytes: 2048, delivered: 7, deliveredBytes: 1024 },
  drops,
});
const status = {
  version: '0.1.0',
  node: {
    ...{ interface: 'eth0', publicIp: '192.0.2.1', publicIpv6: null, subnet: '10.5.1.0/24' },
    ...{
      leaseExpiresAt: '2030-01-02T00:00:00.000Z',
      leaseRenewsAt: '2030-01-01T23:00:00.000Z',
      device: 'flannel.1',
      mtuBytes: 1450,
    },
  },
  backend: { type: 'vxlan', port: 8472, vni: 1, mac: '02:00:00:00:00:01' },
  store: {
    description: 'directory /var/lib/twill',
    trouble: null,
    lastSnapshotAt: '2030-01-01T00:00:00.000Z',
  },
  ready: true,
  readiness: { lease: null, underlay: null, device: null, peers: null, firewall: null, 'subnet-file': null },
  ...{ generation: 5, peers: 3, quarantined: [{ key: '10.5.9.0-24', reason: 'not JSON\u001b[31m' }] },
  counters: {
    encap: direction({ no_route: 3, ttl: 0 }),
    decap: direction({ unknown_peer: 3 }),
    icmpSent: 1,
    icmpSuppressed: 0,
  },
  identity: { encap: true, decap: false },
  ...{ pool: { free: 4000, slots: 4096 }, workers: 1, uptimeSeconds: 3700 },
  offloads: {
    'tun-tso': { wanted: true, active: true, refused: 0 },
    'udp-gso': { wanted: true, active: false, refused: 2 },
    'udp-gro': { wanted: false, active: false, refused: 0 },
  },
  checksum: 'avx2',
};

describe('what people see', () => {
  test('status: a node that has moved says so', () => {
    const lines = (underlayMoves: number) =>
      renderStatus({ ...status, node: { ...status.node, underlayMoves } }, 0);
    const node = (moves: number) => lines(moves).find((line) => line.startsWith('node'));
    assert.deepEqual([0, 1, 3].map(node), [
      'node     192.0.2.1 on eth0',
      'node     192.0.2.1 on eth0, moved once',
      'node     192.0.2.1 on eth0, moved 3 times',
    ]);
  });

  test('status: compact, zero drop counters hidden, quarantined records named', () => {
    const lines = renderStatus(status, Date.parse('2030-01-01T00:00:03.000Z'));
    assert.deepEqual(lines, [
      'version  0.1.0, up 1 h 1 min',
      'ready    yes',
      'node     192.0.2.1 on eth0',
      'lease    10.5.1.0/24, ends 2030-01-02T00:00:00.000Z (in 23 h 59 min), renewed in 22 h 59 min',
      'device   flannel.1, MTU 1450',
      'backend  vxlan, port 8472, VNI 1, MAC 02:00:00:00:00:01',
      'store    directory /var/lib/twill: well, last read 3 s ago',
      'peers    3, generation 5',
      'workers  1, pool 4000 of 4096 free',
      'offload  tun-tso, udp-gso refused 2 times; checksums avx2',
      'icmp     1 sent, 0 suppressed',
      '',
      'packets  received           delivered           dropped  all accounted for',
      'encap    10        2.0 KiB  7          1.0 KiB  3        yes',
      'decap    10        2.0 KiB  7          1.0 KiB  3        NO',
      '',
      'drops',
      '  encap  no_route      3',
      '  decap  unknown_peer  3',
      '',
      'quarantined: 1',
      '  10.5.9.0-24: not JSON?[31m',
    ]);
  });

  test('status: trouble, a reservation, and an agent that tells less', () => {
    const dataplane = {
      ...{ kind: 'kernel', why: '--dataplane=kernel' },
      troubles: [
        { subnet: '10.5.2.0/24', reason: 'the route cannot be set: no' },
        { subnet: null, reason: 'more' },
      ],
      foreignRoutes: ['route to 10.5.7.0/24 via 192.0.2.9'],
      mended: { count: 3, last: [{ at: '2030-01-01T00:00:00.000Z', what: 'device flannel.1: it was gone' }] },
    };
    const { workers: _, ...kernel } = status;
    const uncounted = { ...kernel, dataplane, counters: { encap: null, decap: null } };
    const said = renderStatus(uncounted, Date.parse('2030-01-01T00:00:02.000Z'));
    assert.deepEqual(said.slice(6, 7), ['plane    kernel (--dataplane=kernel)']);
    assert.deepEqual(said.slice(10, -2), [
      'packets are not counted: the host routes them by itself',
      '',
      "TROUBLE with the kernel's tables: 2",
      '  10.5.2.0/24: the route cannot be set: no',
      '  more',
      '',
      'routes of others into the overlay, left alone: 1',
      '  route to 10.5.7.0/24 via 192.0.2.9',
      '',
      'put right: 3, the last 1',
      '  2 s ago: device flannel.1: it was gone',
      '',
    ]);
    const troubled = { ...status, store: { ...status.store, trouble: 'no such directory' } };
    assert.ok(renderStatus(troubled, 0).some((line) => line.includes('TROUBLE: no such directory')));
    const unready = { ...status, readiness: { lease: null, device: 'it is down', peers: 'none\nyet' } };
    assert.ok(renderStatus(unready, 0).includes('ready    NO: device: it is down; peers: none?yet'));
    const reserved = { ...status, node: { ...status.node, leaseExpiresAt: null } };
    assert.ok(renderStatus(reserved, 0).includes('lease    10.5.1.0/24, never ends (reservation)'));
    assert.doesNotThrow(() => renderStatus({}, 0));
    const late = renderStatus(status, Date.parse('2030-01-03T00:00:00.000Z'));
    assert.ok(
      late.includes('lease    10.5.1.0/24, ends 2030-01-02T00:00:00.000Z'),
      'what is over is not ahead',
    );
    const records = Array.from({ length: 130 }, (_, n) => ({ key: `10.5.${n}.0-24`, reason: 'why' }));
    assert.equal(
      renderStatus({ ...status, quarantined: records }, 0).at(-1),
      '  and 30 more: --json names them all',
    );
    assert.doesNotThrow(() => renderStatus(null, 0));
  });

  test('peers', () => {
    const peer = {
      ...{ key: '10.5.2.0-24', subnet: '10.5.2.0/24', mac: '02:00:00:00:00:02', expiresAt: null },
      ...{ way: 'tunnel', trouble: null },
      endpoint: { address: '192.0.2.2', port: 8472 },
      encap: { packets: 12, bytes: 2048, drops: 0 },
      decap: { packets: 0, bytes: 0, drops: 3 },
      idleSeconds: 0.2,
    };
    const v6 = {
      ...peer,
      subnet: 'fd00:2::/64',
      mac: null,
      endpoint: { address: '2001:db8::2', port: 8472 },
      idleSeconds: 61,
    };
    const { encap: _, decap: __, idleSeconds: ___, ...older } = peer;
    const routed = { ...peer, endpoint: { address: '192.0.2.2', port: 0 }, way: 'direct', mac: null };
    const uncounted = { ...routed, encap: null, decap: null, idleSeconds: null };
    const lost = { ...uncounted, trouble: 'Network is unreachable' };
    assert.deepEqual(renderPeers([uncounted, lost]), [
      'SUBNET       ENDPOINT   WAY      MAC  SENT  RECEIVED  LAST HEARD  LEASE ENDS',
      '10.5.2.0/24  192.0.2.2  direct   -    -     -         -           never',
      '10.5.2.0/24  192.0.2.2  TROUBLE  -    -     -         -           never',
    ]);
    assert.deepEqual(renderPeers([peer, v6, { ...peer, idleSeconds: null }, older]), [
      'SUBNET       ENDPOINT            WAY     MAC                SENT            RECEIVED               LAST HEARD     LEASE ENDS',
      '10.5.2.0/24  192.0.2.2:8472      tunnel  02:00:00:00:00:02  12 pkt 2.0 KiB  0 pkt 0 B (3 dropped)  now            never',
      'fd00:2::/64  [2001:db8::2]:8472  tunnel  -                  12 pkt 2.0 KiB  0 pkt 0 B (3 dropped)  1 min 1 s ago  never',
      '10.5.2.0/24  192.0.2.2:8472      tunnel  02:00:00:00:00:02  12 pkt 2.0 KiB  0 pkt 0 B (3 dropped)  never          never',
      '10.5.2.0/24  192.0.2.2:8472      tunnel  02:00:00:00:00:02  -               -                      -              never',
    ]);
    assert.deepEqual(renderPeers([]), ['no peers']);
  });

  test('trace: the header explained field by field, or the drop', () => {
    const header = explainHeader(Buffer.from('0800000000000100c6d2326f8f441211223344550800', 'hex'));
    const trace = {
      ...{ address: '10.5.2.9', ownSubnet: false, mtuBytes: 1450, drop: null, header },
      peer: { key: '10.5.2.0-24', subnet: '10.5.2.0/24', mac: 'c6:d2:32:6f:8f:44' },
      endpoint: { address: '192.0.2.2', port: 8472 },
    };
    assert.deepEqual(renderTrace(trace), [
      'address   10.5.2.9',
      'peer      10.5.2.0/24, MAC c6:d2:32:6f:8f:44',
      'endpoint  UDP 192.0.2.2:8472',
      'MTU       1450',
      'header    in front of the packet, inside UDP:',
      '  08000000      VXLAN flags: a VNI is given',
      '  00000100      VNI 1',
      '  c6d2326f8f44  inner destination MAC c6:d2:32:6f:8f:44',
      '  121122334455  inner source MAC 12:11:22:33:44:55',
      '  0800          EtherType IPv4',
    ]);
    const counted = {
      ...{ ...trace.peer, expiresAt: '2030-01-02T00:00:00.000Z', isReservation: false, idleSeconds: 3 },
      encap: { packets: 1, bytes: 84, drops: 0 },
      decap: { packets: 0, bytes: 0, drops: 2 },
    };
    assert.deepEqual(renderTrace({ ...trace, peer: counted }).slice(3, 5), [
      'lease     ends 2030-01-02T00:00:00.000Z',
      'so far    sent 1 pkt 84 B, received 0 pkt 0 B (2 dropped), last heard 3 s ago',
    ]);
    assert.ok(
      renderTrace({ ...trace, header: [] }).includes('header    none: the packet itself is the UDP payload'),
    );
    const drop = {
      address: '10.5.1.9',
      ownSubnet: true,
      mtuBytes: 1450,
      drop: 'no_route',
      peer: null,
      endpoint: null,
    };
    assert.deepEqual(renderTrace({ ...drop, header: [] }).slice(0, 2), [
      'address  10.5.1.9',
      'dropped  no_route',
    ]);
    const quarantined = [{ key: '10.5.1.0-24', reason: 'not JSON\u001b[31m' }];
    assert.ok(
      renderTrace({ ...drop, ownSubnet: false, header: [], quarantined }).includes(
        'because  10.5.1.0-24 is quarantined: not JSON?[31m',
      ),
    );
  });
});
