/**
 * Frames of a network interface, by the optional package `cap` (libpcap). The one place that knows it, and what it needs:
 * it writes to its buffer through a bare pointer, so the buffer must stay referenced; an object whose opening failed, or that
 * was closed, must not be opened again; its one buffer is overwritten by the next frame; it tells no times, so ours are
 * those of arrival here.
 */
import { TwillError } from '../errors.js';
import { loadOptional, type OptionalPackage } from '../native/optional-package.js';
import { type CapturedFrame, LINK_TYPE } from '../pcap/frame.js';

const LINK_TYPES: { readonly [name: string]: number } = {
  ETHERNET: LINK_TYPE.ethernet,
  RAW: LINK_TYPE.raw,
  NULL: LINK_TYPE.null,
  LINUX_SLL: LINK_TYPE.linuxSll,
};
/** Of the kernel, for frames that we have not fetched yet. */
const KERNEL_BUFFER_BYTES = 10 * 1024 * 1024;
const LONGEST_FRAME_BYTES = 65_535;
/** Fetched, not yet used. */
const MOST_WAITING = 8192;

const CAP: OptionalPackage = {
  ...{ name: 'cap', neededBy: '--interface', code: 'ERR_TWILL_CAPTURE' },
  install:
    'install it with "apt-get install libpcap-dev g++ make python3" and "npm install --no-save cap@0.2.1" in the package of twill',
};

export class InterfaceCapture {
  readonly linkType: number;
  /** Frames that came while too many were waiting. */
  lost = 0;
  readonly #cap: { close(): void };
  // Referenced for as long as the capture is open.
  readonly #buffer: Buffer;
  readonly #waiting: CapturedFrame[] = [];
  #wake: () => void = () => {};
  #isClosed = false;

  private constructor(cap: { close(): void }, buffer: Buffer, linkType: number) {
    this.#cap = cap;
    this.#buffer = buffer;
    this.linkType = linkType;
  }

  /** `filter`: in the language of libpcap. Throws ERR_TWILL_CAPTURE. */
  static async open(device: string, filter: string): Promise<InterfaceCapture> {
    const { Cap } = await loadOptional(() => import('cap'), CAP);
    const cap = new Cap();
    const buffer = Buffer.alloc(LONGEST_FRAME_BYTES);
    let name: string;
    try {
      name = cap.open(device, filter, KERNEL_BUFFER_BYTES, buffer);
    } catch (cause) {
      throw openFailure(device, filter, (cause as Error).message);
    }
    const capture = new InterfaceCapture(cap, buffer, LINK_TYPES[name] ?? -1);
    cap.on('packet', (bytes) => capture.#take(bytes));
    if (capture.linkType >= 0) return capture;
    capture.close();
    throw new TwillError(
      'ERR_TWILL_CAPTURE',
      `interface ${device} has frames of kind ${name}, which we cannot read`,
    );
  }

  #take(bytes: number): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.lost += 1;
      return;
    }
    this.#waiting.push({
      timeNs: BigInt(Date.now()) * 1_000_000n,
      linkType: this.linkType,
      bytes: Uint8Array.from(this.#buffer.subarray(0, bytes)),
      originalBytes: bytes,
    });
    this.#wake();
  }

  /** Until it is closed. */
  async *frames(): AsyncGenerator<CapturedFrame> {
    while (!this.#isClosed || this.#waiting.length > 0) {
      const frame = this.#waiting.shift();
      if (frame) {
        yield frame;
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** A second call does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cap.close();
    this.#wake();
  }
}

function openFailure(device: string, filter: string, message: string): TwillError {
  const [line = ''] = message.split('\n');
  const fix = /permission|not permitted/i.test(line)
    ? 'run as root'
    : /syntax|filter|expression|parse/i.test(line)
      ? `mend the filter ${JSON.stringify(filter)}`
      : '"ip link" lists the interfaces';
  return new TwillError('ERR_TWILL_CAPTURE', `cannot capture on ${device}: ${line}; ${fix}`);
}
