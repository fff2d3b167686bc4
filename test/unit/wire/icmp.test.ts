import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IpAddress } from '../../../src/net/ip.js';
import { internetChecksum } from '../../../src/wire/checksum.js';
import { mayAnswerWithIcmp } from '../../../src/wire/icmp-error.js';
import type { IpPacket } from '../../../src/wire/ip.js';
import { withChecksumFinished } from '../../../src/wire/unfinished-checksum.js';
import { hex, icmpError, ipPacket, parsed } from '../../support/packets.js';
import { times } from '../../support/properties.js';

const families = fc.constantFrom(
  { source: '10.5.2.9', destination: '10.5.1.9', router: '10.5.1.0' },
  { source: 'fd00:5:0:2::9', destination: 'fd00:5:0:1::9', router: 'fd00:5:0:1::' },
);

/** Pseudo-header and transport sum up to nothing where the checksum is right. */
function transportSum({ family, bytes, headerBytes, protocol }: IpPacket): number {
  const transport = bytes.subarray(headerBytes);
  const addresses = bytes.subarray(family === 4 ? 12 : 8, family === 4 ? 20 : 40);
  const length = [transport.length >> 8, transport.length & 255, 0, protocol];
  return internetChecksum(Uint8Array.from([...addresses, ...length, ...transport]));
}

test('icmp: an error quotes its offender, has right checksums, and is never itself answered', () => {
  const kinds = fc.constantFrom(
    'netUnreachable' as const,
    'fragmentationNeeded' as const,
    'timeExceeded' as const,
  );
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.uint8Array({ minLength: 1100, maxLength: 1400 }),
  );
  fc.assert(
    fc.property(families, kinds, payload, fc.nat(70_000), (addresses, kind, bytes, mtuBytes) => {
      const offender = parsed(ipPacket({ ...addresses, payload: bytes }));
      const source = IpAddress.parse(addresses.router);
      const answer = parsed(icmpError({ kind, about: offender, source, ttl: 8, mtuBytes }));
      assert.deepEqual(
        [`${answer.source}`, `${answer.destination}`, answer.ttl],
        [addresses.router, addresses.source, 8],
      );
      const icmp = answer.bytes.subarray(answer.headerBytes);
      const quoted = icmp.subarray(8);
      assert.deepEqual(quoted, offender.bytes.subarray(0, quoted.length));
      assert.equal(
        quoted.length,
        offender.family === 4
          ? Math.min(28, offender.bytes.length)
          : Math.min(1280 - 48, offender.bytes.length),
      );
      if (answer.family === 4) {
        assert.equal(internetChecksum(answer.bytes.subarray(0, 20)), 0);
        assert.equal(internetChecksum(icmp), 0);
      } else {
        assert.equal(transportSum(answer), 0);
      }
      assert.equal(mayAnswerWithIcmp(answer), false);
    }),
    times(2000),
  );
});

test('icmp: chains of IPv6 headers lead to an answer or to none, never out of the packet', () => {
  const header = fc.tuple(
    fc.constantFrom(0, 43, 44, 51, 60, 58, 17, 59),
    fc.nat(2),
    fc.uint8Array({ minLength: 6, maxLength: 6 }),
  );
  const chain = fc.tuple(
    fc.constantFrom(0, 43, 44, 51, 60, 58),
    fc.array(header, { maxLength: 10 }),
    fc.nat(90),
  );
  fc.assert(
    fc.property(chain, ([protocol, headers, length]) => {
      const payload = Uint8Array.from(headers.flatMap(([next, units, rest]) => [next, units, ...rest]));
      const bytes = ipPacket({
        ...{ source: 'fd00::1', destination: 'fd00::2', protocol },
        payload: payload.subarray(0, length),
      });
      assert.equal(typeof mayAnswerWithIcmp(parsed(bytes)), 'boolean');
    }),
    times(3000),
  );
  const may = (protocol: number, rest: string) =>
    mayAnswerWithIcmp(
      parsed(ipPacket({ source: 'fd00::1', destination: 'fd00::2', protocol, payload: hex(rest) })),
    );
  assert.equal(may(60, '3a000000 00000000 80000000'), true, 'an echo request');
  assert.equal(may(60, '3a000000 00000000 01000000'), false, 'an error');
  assert.equal(may(44, '11000008 00000000 03e807d0'), false, 'a later fragment');
});

test('unfinished checksums: the pseudo-header’s sum is finished, a right or a wrong one stays', () => {
  const transports = fc.constantFrom(
    { protocol: 6, at: 16, leastBytes: 20 },
    { protocol: 17, at: 6, leastBytes: 8 },
  );
  const rest = fc.uint8Array({ maxLength: 60 });
  fc.assert(
    fc.property(families, transports, rest, fc.nat(0xffff), (addresses, transport, more, value) => {
      const { protocol, at, leastBytes } = transport;
      const payload = Uint8Array.from([...new Uint8Array(leastBytes), ...more]);
      const bytes = ipPacket({ ...addresses, protocol, payload });
      const inner = parsed(bytes);
      const field = inner.headerBytes + at;
      const write = (checksum: number) => new DataView(bytes.buffer).setUint16(field, checksum);
      const pseudo = ~transportSum(parsed(ipPacket({ ...addresses, protocol, payload: new Uint8Array() })));
      // The sum of the pseudo-header with the true length.
      const sum = ~internetChecksum(new Uint8Array(), (pseudo & 0xffff) + payload.length) & 0xffff;
      write(sum);
      if (transportSum(parsed(bytes)) !== 0) {
        const finished = parsed(withChecksumFinished(parsed(bytes)));
        assert.equal(transportSum(finished), 0);
        assert.deepEqual(withChecksumFinished(finished), finished.bytes);
        const others = (packet: IpPacket) => packet.bytes.filter((_, i) => i !== field && i !== field + 1);
        assert.deepEqual(others(finished), others(parsed(bytes)));
      }
      write(value);
      if (value !== sum)
        assert.deepEqual(withChecksumFinished(parsed(bytes)), bytes, 'only that state is finished');
    }),
    times(2000),
  );
});
