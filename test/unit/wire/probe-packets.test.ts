import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IpAddress } from '../../../src/net/ip.js';
import { internetChecksum } from '../../../src/wire/checksum.js';
import { echoPacket, ipHeaderBytes, readIcmp, tunnelPacket } from '../../../src/wire/probe-packets.js';
import { summarizePacket, summaryText } from '../../../src/wire/summary.js';
import { decodeTunnel } from '../../../src/wire/tunnel-frame.js';
import { hex, icmpError, parsed } from '../../support/packets.js';
import { times } from '../../support/properties.js';

const ends = { 4: ['192.0.2.1', '198.51.100.2'], 6: ['2001:db8::1', '2001:db8::2'] } as const;
const header = hex('08000000 00000100 c6d2326f8f44 121122334455 0800');

/** The transport's checksum as a receiver computes it: 0 where it is right. */
function transportChecksum(packet: Uint8Array): number {
  const { family, headerBytes, protocol, bytes } = parsed(packet);
  const payload = bytes.subarray(headerBytes);
  if (family === 4 && protocol === 1) return internetChecksum(payload);
  const addresses = bytes.subarray(family === 4 ? 12 : 8, family === 4 ? 20 : 40);
  return internetChecksum(payload, ~internetChecksum(addresses, protocol + payload.length) & 0xffff);
}

for (const family of [4, 6] as const) {
  const [source, destination] = ends[family].map((text) => IpAddress.parse(text)) as [IpAddress, IpAddress];

  test(`probe packets over IPv${family}: of exactly the length asked for, sound, DF set`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 160, max: 9000 }),
        fc.nat(0xffff),
        fc.nat(0xffff),
        (bytes, id, sequence) => {
          const echo = echoPacket({ source, destination, id, sequence }, bytes);
          const inner = echoPacket(
            { source: IpAddress.parse('10.5.1.0'), destination: IpAddress.parse('10.5.2.0'), id, sequence },
            64,
          );
          const tunnel = tunnelPacket(
            { address: source, port: 9 },
            { address: destination, port: 8472 },
            header,
            inner,
            bytes,
          );
          for (const packet of [echo, tunnel]) {
            assert.equal(packet.length, bytes);
            assert.equal(parsed(packet).bytes.length, bytes);
            assert.equal(transportChecksum(packet), 0);
            if (family === 4) {
              assert.equal(internetChecksum(packet.subarray(0, 20)), 0);
              assert.equal(packet[6], 0x40);
            }
          }
          const found = decodeTunnel(tunnel);
          assert.equal(found?.vni, 1);
          assert.equal(
            summaryText(summarizePacket(found?.inner ?? new Uint8Array())),
            `10.5.1.0 > 10.5.2.0 icmp echo request id ${id} seq ${sequence} len 44`,
          );
        },
      ),
      times(300),
    );
  });

  test(`ICMP over IPv${family}: what is said about a packet of ours`, () => {
    const offender = parsed(echoPacket({ source, destination, id: 1, sequence: 2 }, 100));
    const from = { about: offender, source: destination, mtuBytes: 1400 };
    const error = icmpError({ kind: 'fragmentationNeeded', ...from }).subarray(ipHeaderBytes(source));
    const about = { destination: destination.bytes(), protocol: family === 4 ? 1 : 58 };
    const found = readIcmp(error, family);
    assert.ok(found?.kind === 'tooBig');
    assert.equal(found.mtuBytes, 1400);
    assert.deepEqual({ ...found.about, destinationPort: 0 }, { ...about, destinationPort: 0 });
    const unreachable = readIcmp(
      icmpError({ kind: 'netUnreachable', ...from }).subarray(ipHeaderBytes(source)),
      family,
    );
    assert.ok(unreachable?.kind === 'unreachable' && unreachable.what === 'net');
    assert.deepEqual(readIcmp(hex(family === 4 ? '00000000 00070009' : '81000000 00070009'), family), {
      kind: 'echoReply',
      id: 7,
      sequence: 9,
    });
    assert.equal(readIcmp(hex(family === 4 ? '08000000 00070009' : '80000000 00070009'), family), null);
  });

  test(`ICMP over IPv${family}: hostile bytes are read or ignored`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 3, 1, 2, 129, 77),
        fc.constantFrom(0, 1, 4),
        fc.uint8Array({ maxLength: 70 }),
        (type, code, rest) => {
          const found = readIcmp(Uint8Array.from([type, code, ...rest]), family);
          if (found && found.kind !== 'echoReply')
            assert.equal(found.about.destination.length, family === 4 ? 4 : 16);
        },
      ),
      times(2000),
    );
  });
}
