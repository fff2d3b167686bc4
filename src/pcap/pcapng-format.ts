/** pcapng: blocks, each with its type and its length twice. Of packets the enhanced and the simple ones are read. */
import { TwillError } from '../errors.js';
import type { CaptureFormat } from './capture-reader.js';
import type { CapturedFrame } from './frame.js';

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** Far above a frame and its options. */
const LONGEST_BLOCK_BYTES = 16 * 1024 * 1024;
const MOST_INTERFACES = 10_000;

interface Interface {
  readonly linkType: number;
  readonly snapBytes: number;
  readonly timeNs: (ticks: bigint) => bigint;
}

export class PcapngFormat implements CaptureFormat {
  #isLittle = true;
  #interfaces: Interface[] = [];

  static recognise(bytes: Uint8Array): PcapngFormat | null {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return view.getUint32(0) === SECTION ? new PcapngFormat() : null;
  }

  next(bytes: Uint8Array, at: number): { end: number; frame: CapturedFrame | null } | null {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length - at < 12) return null;
    // The type of a section header reads the same in either order; its order stands behind its length.
    const isSection = view.getUint32(at) === SECTION;
    if (isSection) {
      const isLittle = view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC;
      if (!isLittle && view.getUint32(at + 8) !== BYTE_ORDER_MAGIC)
        throw damaged('a section without a byte order');
      this.#isLittle = isLittle;
      this.#interfaces = [];
    }
    const type = view.getUint32(at, this.#isLittle);
    const length = view.getUint32(at + 4, this.#isLittle);
    if (length < (isSection ? 28 : 12) || length % 4 !== 0 || length > LONGEST_BLOCK_BYTES)
      throw damaged(`a block of ${length} bytes`);
    const end = at + length;
    if (end > bytes.length) return null;
    if (view.getUint32(end - 4, this.#isLittle) !== length)
      throw damaged('a block whose two lengths disagree');
    const body = new DataView(bytes.buffer, bytes.byteOffset + at + 8, length - 12);
    if (type === INTERFACE) this.#addInterface(body);
    const frame =
      type === ENHANCED_PACKET ? this.#enhanced(body) : type === SIMPLE_PACKET ? this.#simple(body) : null;
    return { end, frame };
  }

  #addInterface(body: DataView): void {
    if (body.byteLength < 8) throw damaged('an interface without a link type');
    if (this.#interfaces.length >= MOST_INTERFACES) throw damaged(`more than ${MOST_INTERFACES} interfaces`);
    const resolution = optionOf(body, 8, 9, this.#isLittle)?.[0] ?? 6;
    this.#interfaces.push({
      linkType: body.getUint16(0, this.#isLittle),
      snapBytes: body.getUint32(4, this.#isLittle),
      timeNs: clockOf(resolution),
    });
  }

  #enhanced(body: DataView): CapturedFrame {
    if (body.byteLength < 20) throw damaged('a packet without its fields');
    const field = (offset: number) => body.getUint32(offset, this.#isLittle);
    const from = this.#interfaces[field(0)];
    if (!from) throw damaged(`a packet of interface ${field(0)}, which there is not`);
    const captured = field(12);
    if (captured > body.byteLength - 20) throw damaged('a packet longer than its block');
    const optionsAt = 20 + Math.ceil(captured / 4) * 4;
    const comment = optionOf(body, optionsAt, 1, this.#isLittle);
    const flags = optionOf(body, optionsAt, 2, this.#isLittle);
    const way = flags && flags.length === 4 ? (flags[this.#isLittle ? 0 : 3] ?? 0) & 3 : 0;
    return {
      timeNs: from.timeNs((BigInt(field(4)) << 32n) | BigInt(field(8))),
      linkType: from.linkType,
      bytes: bytesOf(body, 20, captured),
      originalBytes: field(16),
      ...(way === 1 && { direction: 'in' as const }),
      ...(way === 2 && { direction: 'out' as const }),
      ...(comment && { comment: new TextDecoder().decode(comment) }),
    };
  }

  #simple(body: DataView): CapturedFrame {
    const [from] = this.#interfaces;
    if (!from || body.byteLength < 4) throw damaged('a packet without an interface');
    const originalBytes = body.getUint32(0, this.#isLittle);
    const most = Math.min(body.byteLength - 4, from.snapBytes || Number.POSITIVE_INFINITY);
    const bytes = bytesOf(body, 4, Math.min(originalBytes, most));
    return { timeNs: 0n, linkType: from.linkType, bytes, originalBytes };
  }
}

/** The value of the first option of this code in a list that may be cut or never end. */
function optionOf(body: DataView, from: number, code: number, isLittle: boolean): Uint8Array | null {
  for (let at = from; at + 4 <= body.byteLength; ) {
    const found = body.getUint16(at, isLittle);
    const length = body.getUint16(at + 2, isLittle);
    if (found === 0 || at + 4 + length > body.byteLength) return null;
    if (found === code) return bytesOf(body, at + 4, length);
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return null;
}

/** Bit 7: the unit is a power of 2, else of 10. */
function clockOf(resolution: number): (ticks: bigint) => bigint {
  const exponent = BigInt(resolution & 0x7f);
  if ((resolution & 0x80) !== 0) return (ticks) => (ticks * 1_000_000_000n) >> exponent;
  if (exponent <= 9n) return (ticks) => ticks * 10n ** (9n - exponent);
  return (ticks) => ticks / 10n ** (exponent - 9n);
}

function bytesOf(body: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(body.buffer, body.byteOffset + at, length).slice();
}

function damaged(what: string): TwillError {
  return new TwillError('ERR_TWILL_CAPTURE', `the capture file has ${what}: it is damaged`);
}
