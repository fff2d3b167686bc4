import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TwillError } from '../../../src/errors.js';
import { CaptureReader } from '../../../src/pcap/capture-reader.js';
import { type CapturedFrame, LINK_TYPE } from '../../../src/pcap/frame.js';
import { pcapngHeader, pcapngPacket, pcapngStatistics } from '../../../src/pcap/pcapng-writer.js';
import { hex } from '../../support/packets.js';
import { times } from '../../support/properties.js';

const about = { linkType: LINK_TYPE.raw, name: 'flannel.1', description: 'ours', snapBytes: 0 };

const anyFrame: fc.Arbitrary<CapturedFrame> = fc
  .record({
    timeNs: fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
    bytes: fc.uint8Array({ maxLength: 200 }),
    more: fc.nat(5000),
    direction: fc.constantFrom(undefined, 'in' as const, 'out' as const),
    comment: fc.option(fc.string({ unit: 'grapheme', maxLength: 40 }), { nil: undefined }),
  })
  .map(({ bytes, more, direction, comment, timeNs }) => ({
    ...{ timeNs, bytes, linkType: LINK_TYPE.raw, originalBytes: bytes.length + more },
    ...(direction && { direction }),
    ...(comment !== undefined && { comment }),
  }));

/** In pieces of these sizes, turn by turn. */
function readAll(file: Uint8Array, sizes: readonly number[] = [file.length]): CapturedFrame[] {
  const reader = new CaptureReader();
  const frames: CapturedFrame[] = [];
  for (let at = 0, turn = 0; at < file.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    frames.push(...reader.push(file.subarray(at, at + size)));
    at += size;
  }
  reader.end();
  return frames;
}

test('pcapng: what is written is read, to the nanosecond, in pieces of any size', () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 }),
      (frames, sizes) => {
        const file = Buffer.concat([
          pcapngHeader('twill', about),
          ...frames.map(pcapngPacket),
          pcapngStatistics(7n, frames.length + 2, 2),
        ]);
        assert.deepEqual(readAll(file, sizes), frames);
      },
    ),
    times(500),
  );
});

/** One Ethernet frame of 4 bytes at 1.5 s. */
const pcaps: { readonly [what: string]: string } = {
  'little-endian, microseconds':
    'd4c3b2a1 02000400 00000000 00000000 00000400 01000000 01000000 20a10700 04000000 3c000000 aabbccdd',
  'big-endian, microseconds':
    'a1b2c3d4 00020004 00000000 00000000 00040000 00000001 00000001 0007a120 00000004 0000003c aabbccdd',
  'little-endian, nanoseconds':
    '4d3cb2a1 02000400 00000000 00000000 00000400 01000000 01000000 0065cd1d 04000000 3c000000 aabbccdd',
};
for (const [what, text] of Object.entries(pcaps)) {
  test(`pcap, ${what}`, () => {
    assert.deepEqual(readAll(hex(text), [5]), [
      { timeNs: 1_500_000_000n, linkType: 1, bytes: hex('aabbccdd'), originalBytes: 60 },
    ]);
  });
}

test('pcapng of a big-endian machine, with times in microseconds and a simple packet', () => {
  const section = '0a0d0d0a 0000001c 1a2b3c4d 00010000 ffffffffffffffff 0000001c';
  const interface_ = '00000001 00000014 00650000 00000002 00000014';
  const enhanced = '00000006 00000024 00000000 00000000 0016e360 00000002 00000003 45000000 00000024';
  const simple = '00000003 00000014 00000005 45010000 00000014';
  assert.deepEqual(readAll(hex(`${section}${interface_}${enhanced}${simple}`), [3]), [
    { timeNs: 1_500_000_000n, linkType: 101, bytes: hex('4500'), originalBytes: 3 },
    { timeNs: 0n, linkType: 101, bytes: hex('4501'), originalBytes: 5 },
  ]);
});

test('a file that is none, is damaged or was cut ends with one line, after the frames before', () => {
  const good = Buffer.concat([
    pcapngHeader('twill', about),
    pcapngPacket({ timeNs: 1n, bytes: hex('45'), originalBytes: 1 }),
  ]);
  const cases: [Uint8Array, RegExp, number][] = [
    [Buffer.from('hello, world'), /neither a pcap nor a pcapng file/, 0],
    [Buffer.from('he'), /cut short/, 0],
    [good.subarray(0, -3), /in the middle of a record: it was cut short/, 0],
    [Buffer.concat([good, hex('06000000 0d000000 00000000')]), /a block of 13 bytes/, 1],
    [Buffer.concat([good, hex('06000000 ffffffff 00000000')]), /a block of 4294967295 bytes/, 1],
    [Buffer.concat([good, hex('06000000 10000000 00000000 14000000')]), /two lengths disagree/, 1],
    [
      Buffer.concat([good, hex('06000000 20000000 09000000 00000000 00000000 00000000 00000000 20000000')]),
      /interface 9/,
      1,
    ],
    [
      hex(`${pcaps['little-endian, microseconds']?.slice(0, 54)} 00000000 00000000 ffffff7f 00000000`),
      /2147483647 bytes/,
      0,
    ],
  ];
  for (const [file, message, count] of cases) {
    const reader = new CaptureReader();
    let seen = 0;
    assert.throws(
      () => {
        for (const _ of reader.push(file)) seen += 1;
        reader.end();
      },
      { code: 'ERR_TWILL_CAPTURE', message },
    );
    assert.equal(seen, count, message.source);
  }
});

test('hostile files: frames or one clear error, never anything else', () => {
  const file = fc
    .tuple(fc.array(anyFrame, { maxLength: 4 }), fc.constantFrom(...Object.values(pcaps), ''))
    .map(([frames, pcap]) =>
      pcap === ''
        ? Buffer.concat([pcapngHeader('t', about), ...frames.map(pcapngPacket)])
        : Buffer.from(hex(pcap)),
    );
  const damaged = fc
    .tuple(file, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 6 }), fc.nat(400))
    .map(([bytes, changes, length]) => {
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes.subarray(0, length);
    });
  fc.assert(
    fc.property(
      fc.oneof(damaged, fc.uint8Array({ maxLength: 100 })),
      fc.integer({ min: 1, max: 50 }),
      (bytes, size) => {
        try {
          for (const frame of readAll(bytes, [size])) assert.ok(frame.bytes.length <= bytes.length);
        } catch (error) {
          assert.ok(error instanceof TwillError && error.code === 'ERR_TWILL_CAPTURE', String(error));
          assert.doesNotMatch(error.message, /\n/);
        }
      },
    ),
    times(3000),
  );
});
