/** Classic pcap: a header of 24 bytes, then records with 16 in front. */
import { TwillError } from '../errors.js';
import type { CaptureFormat } from './capture-reader.js';
import type { CapturedFrame } from './frame.js';

const HEADER_BYTES = 24;
const RECORD_BYTES = 16;
/** libpcap's own bound, MAXIMUM_SNAPLEN. */
const LONGEST_FRAME_BYTES = 262_144;
const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;

export class PcapFormat implements CaptureFormat {
  readonly #isLittle: boolean;
  readonly #unitNs: bigint;
  #linkType: number | null = null;

  private constructor(isLittle: boolean, unitNs: bigint) {
    this.#isLittle = isLittle;
    this.#unitNs = unitNs;
  }

  static recognise(bytes: Uint8Array): PcapFormat | null {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const isLittle of [true, false]) {
      const magic = view.getUint32(0, isLittle);
      if (magic === MICROSECONDS) return new PcapFormat(isLittle, 1000n);
      if (magic === NANOSECONDS) return new PcapFormat(isLittle, 1n);
    }
    return null;
  }

  next(bytes: Uint8Array, at: number): { end: number; frame: CapturedFrame | null } | null {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#linkType === null) {
      if (bytes.length < HEADER_BYTES) return null;
      // The upper bits say whether a checksum of the frame follows.
      this.#linkType = view.getUint32(20, this.#isLittle) & 0x03ffffff;
      return { end: HEADER_BYTES, frame: null };
    }
    if (bytes.length - at < RECORD_BYTES) return null;
    const field = (offset: number) => view.getUint32(at + offset, this.#isLittle);
    const captured = field(8);
    if (captured > LONGEST_FRAME_BYTES)
      throw new TwillError(
        'ERR_TWILL_CAPTURE',
        `the capture file has a frame of ${captured} bytes, more than any capture keeps: it is damaged`,
      );
    const end = at + RECORD_BYTES + captured;
    if (end > bytes.length) return null;
    const frame = {
      timeNs: BigInt(field(0)) * 1_000_000_000n + BigInt(field(4)) * this.#unitNs,
      linkType: this.#linkType,
      bytes: bytes.slice(at + RECORD_BYTES, end),
      originalBytes: field(12),
    };
    return { end, frame };
  }
}
