/**
 * VXLAN traffic that others captured, with the answers of other decoders. `TWILL_CAPTURES` names the folder; without it
 * these cases are left out.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';
import { decapDatagram, type SpecifiedNode } from '../../src/wire/node.js';
import { type CapturedDatagram, datagramOf, readPcap } from '../support/pcap.js';
import { SteppedNode } from '../support/stepped-node.js';

const folder = process.env['TWILL_CAPTURES'] || undefined;
if (folder === undefined)
  console.log('TWILL_CAPTURES is not set: the tests of captured traffic are left out');

const remote = { address: IpAddress.parse('192.0.2.2'), port: 40_000 };
const BIG_TCP_BYTES = 65_535;

/** Trusting, so that only the format decides. */
function vtep(vni: number, mac: MacAddress): SpecifiedNode {
  const subnets = [Prefix.parse('198.18.0.0/24')];
  return {
    encap: 'vxlan',
    vni,
    port: 8472,
    mac,
    subnets,
    ownAddresses: [],
    mtuBytes: 65_535,
    sourceCheck: false,
    peers: [],
  };
}

function datagrams(name: string): CapturedDatagram[] {
  return readPcap(readFileSync(join(folder ?? '', name))).flatMap((frame) => datagramOf(frame) ?? []);
}

interface Verdicts {
  readonly delivered: readonly Uint8Array[];
  readonly drops: readonly string[];
}

/** What a VTEP of this VNI makes of them: each is asked under the MAC that its frame is for, groups under another. */
async function verdicts(captured: readonly CapturedDatagram[], vni: number): Promise<Verdicts> {
  const delivered: Uint8Array[] = [];
  const drops: string[] = [];
  for (const { payload, tos } of captured) {
    const wanted = payload.length >= 14 ? MacAddress.fromBytes(payload.subarray(8, 14)) : null;
    const specified = vtep(
      vni,
      wanted && !wanted.isMulticast ? wanted : MacAddress.parse('02:00:00:00:00:99'),
    );
    const engine = await SteppedNode.open(specified);
    const got = engine.fromUnderlay({ payload, remote, tos });
    await engine.dataplane.close();
    const spec = decapDatagram(specified, { payload, remote, tos });
    assert.deepEqual('drop' in spec ? [[], [spec.drop]] : [[Uint8Array.from(spec.packet)], []], [
      got.packets,
      got.drops,
    ]);
    delivered.push(...got.packets);
    drops.push(...got.drops);
  }
  return { delivered, drops };
}

/** Lengths of inner IPv4 packets in tcpdump's `-e` output, where the inner frame has a line of its own. */
function innerLengths(text: string): number[] {
  const lines = text.split('\n').filter((line) => /^([0-9a-f]{2}:){5}[0-9a-f]{2} > /.test(line));
  return lines.flatMap((line) =>
    (/ethertype IPv4 .*length (\d+):/.exec(line)?.slice(1) ?? []).map((frame) => Number(frame) - 14),
  );
}

if (folder !== undefined) {
  for (const name of ['vxlan', 'vxlan_port_8472']) {
    test(`${name}: the packets that tcpdump prints are delivered, ARP is counted`, async () => {
      const { delivered, drops } = await verdicts(datagrams(`tcpdump/${name}.pcap`), 100);
      const printed = innerLengths(readFileSync(join(folder, `tcpdump/${name}.out`), 'utf8'));
      assert.deepEqual(
        delivered.map(({ length }) => length),
        printed,
      );
      assert.equal(delivered.length, 8);
      assert.deepEqual(
        [...drops].sort(),
        ['ethertype', 'mac_destination'],
        'one ARP reply to us, one request to all',
      );
    });
  }

  for (const outer of [4, 6]) {
    for (const inner of [4, 6]) {
      const name = `gso-ipv${outer}-vxlan-ipv${inner}`;
      test(`${name}: a super-frame is decoded to the byte`, async () => {
        const captured = datagrams(`tcpdump/${name}.pcap`);
        const { delivered, drops } = await verdicts(captured, vniOf(captured));
        const text = readFileSync(join(folder, `tcpdump/${name}.out`), 'utf8');
        const lengths = [
          ...text.matchAll(/IP6 \(.*?payload length:? (\d+)|IP \(.*?proto TCP \(6\), length (\d+)\)/g),
        ];
        const last = lengths.at(-1);
        const printed = last?.[1] === undefined ? Number(last?.[2]) : Number(last[1]) + 40;
        assert.deepEqual([delivered.map(({ length }) => length), drops], [[printed], []]);
        // The card that was to finish the checksum never came; tcpdump prints what it should be.
        const finished = /incorrect -> 0x([0-9a-f]{4})/.exec(text)?.[1];
        const [packet] = delivered;
        const at = (inner === 4 ? 20 : 40) + 16;
        assert.equal(Buffer.from(packet?.subarray(at, at + 2) ?? []).toString('hex'), finished);
      });
      const big = `bigtcp-ipv${outer}-vxlan-ipv${inner}`;
      test(`${big}: no UDP datagram can be that long: refused, whole or cut`, async () => {
        const captured = datagrams(`tcpdump/${big}.pcap`);
        const [first] = captured;
        assert.ok(first && first.declaredBytes < 0 && first.payload.length > BIG_TCP_BYTES);
        await assert.rejects(verdicts(captured, vniOf(captured)), { code: 'ERR_TWILL_ARGUMENT' });
        const cut = { ...first, payload: first.payload.subarray(0, BIG_TCP_BYTES) };
        const { delivered, drops } = await verdicts([cut], vniOf(captured));
        // BIG TCP over IPv6 declares a payload of 0 bytes: all behind the header is then padding.
        assert.ok(delivered.every(({ length }) => length === 40));
        assert.equal(delivered.length + drops.length, 1);
      });
    }
  }

  test('nsh-over-vxlan-gpe: GPE is not spoken', async () => {
    const { delivered, drops } = await verdicts(datagrams('tcpdump/nsh-over-vxlan-gpe.pcap'), 0xffffff);
    assert.deepEqual([delivered, [...new Set(drops)]], [[], ['reserved_bits']]);
  });

  test('zeek vxlan: as the same traffic elsewhere', async () => {
    const { delivered, drops } = await verdicts(datagrams('zeek/vxlan.pcap'), 123);
    assert.deepEqual([delivered.length, drops.length], [8, 2]);
  });

  test('vxlan-encapsulated-http: every packet, jumbo ones too', async () => {
    const { delivered, drops } = await verdicts(datagrams('zeek/vxlan-encapsulated-http.pcap'), 1);
    assert.deepEqual([delivered.length, drops], [12, []]);
    assert.equal(Math.max(...delivered.map(({ length }) => length)), 9050 - 14);
  });

  test('vxlan-overlapping-http-get: of two networks with the same addresses only ours is delivered', async () => {
    const captured = datagrams('zeek/vxlan-overlapping-http-get.pcap').filter(
      ({ payload }) => payload[0] === 8,
    );
    assert.equal(captured.length, 28);
    const [ours, theirs] = [await verdicts(captured, 4711), await verdicts(captured, 4242)];
    assert.equal(ours.delivered.length + theirs.delivered.length, 28);
    assert.ok(ours.delivered.length > 0 && theirs.delivered.length > 0);
    assert.deepEqual([...new Set([...ours.drops, ...theirs.drops])], ['vni']);
  });

  test('vxlan-encapsulated-igmp-v2: frames for a group are dropped, counted', async () => {
    const { delivered, drops } = await verdicts(datagrams('zeek/vxlan-encapsulated-igmp-v2.pcap'), 4242);
    assert.deepEqual([delivered, drops], [[], ['mac_destination', 'mac_destination', 'mac_destination']]);
  });

  test('vxlan-inner-tcp-bad-checksum: what arrived wrong stays wrong', async () => {
    const captured = datagrams('zeek/vxlan-inner-tcp-bad-checksum.pcap');
    const { delivered } = await verdicts(captured, vniOf(captured));
    assert.deepEqual(
      delivered.map((packet) => Buffer.from(packet.subarray(36, 38)).toString('hex')),
      ['dead'],
    );
  });

  test('vxlan-triple-v2: reserved bits end it, nothing is unwrapped twice', async () => {
    const captured = datagrams('zeek/vxlan-triple-v2.pcap');
    const { delivered, drops } = await verdicts(captured, vniOf(captured));
    assert.deepEqual([delivered, [...new Set(drops)]], [[], ['reserved_bits']]);
  });

  test('geneve-vxlan-dns-truncated: nothing of it is delivered', async () => {
    const captured = datagrams('zeek/geneve-vxlan-dns-truncated.pcap');
    assert.ok(captured.length > 0);
    const { delivered, drops } = await verdicts(captured, 1);
    assert.deepEqual([delivered, drops.length], [[], captured.length]);
  });
}

function vniOf([first]: readonly CapturedDatagram[]): number {
  assert.ok(first);
  const { buffer, byteOffset } = first.payload;
  return new DataView(buffer, byteOffset).getUint32(4) >>> 8;
}
