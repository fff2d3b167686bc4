/** Bytes known from elsewhere: flannel's contract, worked out by hand, against both the specification and the engine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';
import { checksumAfterTtlDecrement } from '../../src/wire/checksum.js';
import { decapDatagram, encapPacket, type SpecifiedNode } from '../../src/wire/node.js';
import { hex } from '../support/packets.js';
import { SteppedNode } from '../support/stepped-node.js';

/** 10.5.72.2 to 10.5.99.9, UDP 1000 to 2000, TTL 64, DF. */
const packet = hex('45000020 00014000 40117bb7 0a054802 0a056309 03e807d0 000c0000 61626364');
const onceForwarded = hex('45000020 00014000 3f117cb7 0a054802 0a056309 03e807d0 000c0000 61626364');
const twiceForwarded = hex('45000020 00014000 3e117db7 0a054802 0a056309 03e807d0 000c0000 61626364');
const netUnreachable = hex(
  '45000038 00000000 08010eba 0a054800 0a054802 0300f13b 00000000 45000020 00014000 40117bb7 0a054802 0a056309 03e807d0 000c0000',
);
const vxlanPayload = hex(
  '08000000 00000100 c6d2326f8f44 121122334455 0800 45000020 00014000 3f117cb7 0a054802 0a056309 03e807d0 000c0000 61626364',
);
const here = IpAddress.parse('192.0.2.1');
const there = IpAddress.parse('192.0.2.2');

function node(
  encap: 'vxlan' | 'udp',
  own: string,
  mac: string,
  peer?: { subnet: string; endpoint: IpAddress; mac: string },
): SpecifiedNode {
  const port = encap === 'vxlan' ? 8472 : 8285;
  return {
    ...{ encap, port, vni: 1, mtuBytes: 1450, sourceCheck: true, mac: MacAddress.parse(mac) },
    subnets: [Prefix.parse(own)],
    ownAddresses: [],
    peers: peer
      ? [
          {
            subnet: Prefix.parse(peer.subnet),
            endpoint: { address: peer.endpoint, port },
            mac: MacAddress.parse(peer.mac),
          },
        ]
      : [],
  };
}
const macs = { a: '12:11:22:33:44:55', b: 'c6:d2:32:6f:8f:44' };
const toB = { subnet: '10.5.99.0/24', endpoint: there, mac: macs.b };
const toA = { subnet: '10.5.72.0/24', endpoint: here, mac: macs.a };

test('udp without a route: net-unreachable, written back as flannel writes it', async () => {
  const specified = node('udp', '10.5.72.0/24', macs.a);
  const wanted = encapPacket(specified, packet);
  assert.ok('drop' in wanted && wanted.answer);
  assert.deepEqual(Buffer.from(wanted.answer), Buffer.from(netUnreachable));
  const engine = await SteppedNode.open(specified);
  const got = engine.fromOverlay(packet);
  assert.deepEqual([got.packets, got.drops], [[netUnreachable], ['no_route']]);
  await engine.dataplane.close();
});

test('udp with a route: the TTL falls by one at each end', async () => {
  const a = await SteppedNode.open(node('udp', '10.5.72.0/24', macs.a, toB));
  const [datagram] = a.fromOverlay(packet).datagrams;
  assert.deepEqual(
    [datagram?.payload, `${datagram?.remote.address}`, datagram?.remote.port],
    [onceForwarded, '192.0.2.2', 8285],
  );
  const specified = node('udp', '10.5.99.0/24', macs.b, toA);
  const arrived = { payload: onceForwarded, remote: { address: here, port: 8285 }, tos: 0 };
  assert.deepEqual(decapDatagram(specified, arrived), { packet: twiceForwarded });
  const b = await SteppedNode.open(specified);
  assert.deepEqual(b.fromUnderlay(arrived).packets, [twiceForwarded]);
  await a.dataplane.close();
  await b.dataplane.close();
});

test('vxlan: header, MACs and EtherType in front; the TTL stays as the kernel left it', async () => {
  const specified = node('vxlan', '10.5.72.0/24', macs.a, toB);
  const a = await SteppedNode.open(specified);
  const [datagram] = a.fromOverlay(onceForwarded).datagrams;
  assert.deepEqual([datagram?.payload, datagram?.tos], [vxlanPayload, 0]);
  assert.deepEqual(encapPacket(specified, onceForwarded), {
    payload: vxlanPayload,
    remote: { address: there, port: 8472 },
    tos: 0,
  });
  const b = await SteppedNode.open(node('vxlan', '10.5.99.0/24', macs.b, toA));
  const arrived = { payload: vxlanPayload, remote: { address: here, port: 50_000 }, tos: 0 };
  assert.deepEqual(b.fromUnderlay(arrived).packets, [onceForwarded]);
  await a.dataplane.close();
  await b.dataplane.close();
});

test("the TTL's checksum, at its edges", () => {
  const edges = { feff: '0000', ffff: '0100', ff00: '0001', '0000': '0100', fefe: 'fffe' };
  for (const [before, after] of Object.entries(edges))
    assert.equal(checksumAfterTtlDecrement(Number.parseInt(before, 16)).toString(16).padStart(4, '0'), after);
});
