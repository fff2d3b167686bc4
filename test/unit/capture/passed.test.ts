import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withOuterHeaders } from '../../../src/capture/outer.js';
import { accepts, decodePassed, passedJson, passedLine } from '../../../src/capture/passed.js';
import { tapFrames } from '../../../src/capture/tap-records.js';
import { printable } from '../../../src/cli/table.js';
import { Dataplane } from '../../../src/dataplane/dataplane.js';
import { loadNative } from '../../../src/native/binding.js';
import { IpAddress } from '../../../src/net/ip.js';
import { MacAddress } from '../../../src/net/mac.js';
import { Prefix } from '../../../src/net/prefix.js';
import { LINK_TYPE } from '../../../src/pcap/frame.js';
import { internetChecksum } from '../../../src/wire/checksum.js';
import { hex, ipPacket, vxlanPayload } from '../../support/packets.js';
import { times } from '../../support/properties.js';

const node = {
  port: 8472,
  addresses: [IpAddress.parse('192.0.2.1'), IpAddress.parse('2001:db8::1')],
  drops: loadNative().dropReasons,
  isLittle: new Uint8Array(Uint16Array.of(1).buffer)[0] === 1,
};
const ownMac = '12:11:22:33:44:55';
const peerMac = 'c6:d2:32:6f:8f:44';

async function opened() {
  const dataplane = await Dataplane.open({
    ...{ encap: 'vxlan', mac: ownMac, workers: 0, poolSlots: 512, subnets: ['10.5.1.0/24', 'fd00:1::/64'] },
    overlay: { kind: 'user' },
    underlay: { kind: 'user' },
  });
  const endpoint = (address: string) => ({ address: IpAddress.parse(address), port: 8472 });
  dataplane.peers.replace([
    { subnet: Prefix.parse('10.5.2.0/24'), endpoint: endpoint('192.0.2.2'), mac: MacAddress.parse(peerMac) },
    {
      subnet: Prefix.parse('fd00:2::/64'),
      endpoint: endpoint('2001:db8::2'),
      mac: MacAddress.parse(peerMac),
    },
  ]);
  return dataplane;
}

test('records of the tap become frames with outer headers, and lines', async () => {
  await using dataplane = await opened();
  const tap = dataplane.openTap();
  assert.throws(() => dataplane.openTap(), { code: 'ERR_TWILL_BUSY' });
  const out = ipPacket({ source: '10.5.1.9', destination: '10.5.2.9', tos: 2 });
  dataplane.overlay?.write(out);
  dataplane.overlay?.write(ipPacket({ source: '10.5.1.9', destination: '10.9.9.9' }));
  dataplane.overlay?.write(ipPacket({ source: 'fd00:1::9', destination: 'fd00:2::9' }));
  dataplane.step();
  const payload = vxlanPayload({
    inner: ipPacket({ source: '10.5.2.9', destination: '10.5.1.9' }),
    destinationMac: ownMac,
    sourceMac: peerMac,
  });
  const inward = dataplane.pool.allocate(payload.length);
  assert.ok(inward);
  inward.bytes.set(payload);
  inward.remote = { address: IpAddress.parse('192.0.2.2'), port: 40_000 };
  dataplane.underlay?.send([inward]);
  dataplane.step();
  const bytes = new Uint8Array(1 << 16);
  const frames = [...tapFrames(bytes.subarray(0, tap.read(bytes)), node)];
  const lines = frames.map((frame) => passedLine(decodePassed(frame), { macs: true }).replace(/^\S+ /, ''));
  assert.deepEqual(lines, [
    `out 192.0.2.1:8472 > 192.0.2.2:8472 ect0 vxlan 1 ${ownMac} > ${peerMac}: 10.5.1.9:1000 > 10.5.2.9:2000 udp len 4 ect0`,
    'out 10.5.1.9:1000 > 10.9.9.9:2000 udp len 4 [dropped: no_route]',
    `out [2001:db8::1]:8472 > [2001:db8::2]:8472 vxlan 1 ${ownMac} > ${peerMac}: [fd00:1::9]:1000 > [fd00:2::9]:2000 udp len 4`,
    `in 192.0.2.2:40000 > 192.0.2.1:8472 vxlan 1 ${peerMac} > ${ownMac}: 10.5.2.9:1000 > 10.5.1.9:2000 udp len 4`,
  ]);
  const nowNs = BigInt(Date.now()) * 1_000_000n;
  for (const { timeNs } of frames)
    assert.ok(nowNs - timeNs < 60_000_000_000n && nowNs - timeNs > -1_000_000_000n);
  assert.deepEqual(tap.counts(), { kept: 4, lost: 0 });
  tap.close();
  tap.close();
  assert.deepEqual([tap.read(bytes), tap.counts()], [0, { kept: 4, lost: 0 }]);
  dataplane.openTap().close();
});

test('outer headers: lengths and checksums as a receiver checks them', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.uint8Array({ maxLength: 200 }), fc.nat(255), (isV6, payload, tos) => {
      const address = (last: number) => IpAddress.parse(isV6 ? `2001:db8::${last}` : `192.0.2.${last}`);
      const outer = {
        source: { address: address(1), port: 5 },
        destination: { address: address(2), port: 8472 },
        tos,
      };
      const packet = withOuterHeaders(outer, payload, payload.length);
      const view = new DataView(packet.buffer);
      const udp = isV6 ? 40 : 20;
      assert.equal(isV6 ? view.getUint16(4) + 40 : view.getUint16(2), packet.length);
      assert.equal(view.getUint16(udp + 4), 8 + payload.length);
      assert.equal(isV6 ? (view.getUint16(0) >> 4) & 255 : view.getUint8(1), tos);
      if (!isV6) assert.equal(internetChecksum(packet.subarray(0, 20)), 0);
      else {
        const pseudo = Uint8Array.from([
          ...packet.subarray(8, 40),
          0,
          17,
          (8 + payload.length) >> 8,
          (8 + payload.length) & 255,
        ]);
        assert.equal(internetChecksum(Uint8Array.from([...pseudo, ...packet.subarray(40)])), 0);
      }
    }),
    times(500),
  );
});

test('filters of what no agent has filtered: peer outside, subnet inside, fate', () => {
  const outer = {
    source: { address: IpAddress.parse('192.0.2.1'), port: 9 },
    destination: { address: IpAddress.parse('192.0.2.2'), port: 8472 },
    tos: 0,
  };
  const payload = vxlanPayload({
    inner: ipPacket({ source: '10.5.1.9', destination: '10.5.2.9' }),
    destinationMac: ownMac,
    sourceMac: peerMac,
  });
  const frame = {
    timeNs: 0n,
    linkType: LINK_TYPE.raw,
    bytes: withOuterHeaders(outer, payload, payload.length),
    originalBytes: 0,
  };
  const passed = decodePassed(frame);
  const dropped = decodePassed({ ...frame, comment: 'dropped: vni; and more' });
  assert.equal(dropped.drop, 'vni');
  const peer = (text: string) => ({ peer: IpAddress.parse(text) });
  const subnets = (text: string) => ({ subnets: [Prefix.parse(text)] });
  assert.deepEqual(
    [
      ...[{}, peer('192.0.2.2'), peer('192.0.2.3'), subnets('10.5.2.0/24'), subnets('10.6.0.0/16')].map((f) =>
        accepts(f, passed),
      ),
      ...['any', 'none', 'vni', 'short'].map((name) => accepts({ drops: [name] }, dropped)),
      ...['any', 'none'].map((name) => accepts({ drops: [name] }, passed)),
    ],
    [true, true, false, true, false, true, false, true, false, false, true],
  );
});

test('no frame of a hostile file ends the decoding or reaches the terminal with control characters', () => {
  const anyFrame = fc.record({
    timeNs: fc.bigInt({ min: 0n, max: 1n << 90n }),
    linkType: fc.constantFrom(0, 1, 12, 101, 113, 228, 276, 147),
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 120 }),
      fc.constant(ipPacket({ source: '10.0.0.1', destination: '10.0.0.2' })),
    ),
    originalBytes: fc.nat(),
    comment: fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.constant('dropped: \u001b[2J')),
  });
  fc.assert(
    fc.property(anyFrame, (frame) => {
      const passed = decodePassed(frame);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these must not come out
      assert.doesNotMatch(printable(passedLine(passed, { macs: true })), /[\u0000-\u001f\u007f-\u009f]/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these must not come out
      assert.doesNotMatch(JSON.stringify(passedJson(passed)), /[\u0000-\u001f]/);
    }),
    times(3000),
  );
});

test('a stream that is no stream of records is one clear error', () => {
  for (const text of ['00', '40000000 ff000000', `${'ffffffff'.repeat(20)}`, '00'.repeat(60)])
    assert.throws(() => [...tapFrames(hex(text), node)], { code: 'ERR_TWILL_CONTROL' });
});
