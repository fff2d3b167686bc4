/**
 * Reads pcap (https://www.tcpdump.org/manpages/pcap-savefile.5.html) and pcapng, either byte order, from pieces of any size.
 * A file is not to be believed: lengths are bounded, and what makes no sense ends the reading with one clear line, after
 * the frames that came before it.
 */
import { TwillError } from '../errors.js';
import type { CapturedFrame } from './frame.js';
import { PcapFormat } from './pcap-format.js';
import { PcapngFormat } from './pcapng-format.js';

/** Reads one record at `at`; null: more bytes are needed. */
export interface CaptureFormat {
  next(bytes: Uint8Array, at: number): { readonly end: number; readonly frame: CapturedFrame | null } | null;
}

export class CaptureReader {
  #format: CaptureFormat | null = null;
  #held = new Uint8Array();

  /** The frames that are whole now. Throws ERR_TWILL_CAPTURE. */
  *push(piece: Uint8Array): Generator<CapturedFrame> {
    const bytes = this.#held.length === 0 ? piece : concat(this.#held, piece);
    let at = 0;
    if (!this.#format) {
      if (bytes.length < 4) {
        this.#held = bytes.slice();
        return;
      }
      this.#format = formatOf(bytes);
      if (!this.#format)
        throw new TwillError(
          'ERR_TWILL_CAPTURE',
          'this is neither a pcap nor a pcapng file: give a capture file',
        );
    }
    for (let found = this.#format.next(bytes, at); found; found = this.#format.next(bytes, at)) {
      at = found.end;
      if (found.frame) yield found.frame;
    }
    this.#held = bytes.slice(at);
  }

  /** Throws ERR_TWILL_CAPTURE where the file is empty or ends in the middle of a record. */
  end(): void {
    if (this.#format && this.#held.length === 0) return;
    const what = this.#format ? 'in the middle of a record' : 'before it begins';
    throw new TwillError('ERR_TWILL_CAPTURE', `the capture file ends ${what}: it was cut short`);
  }
}

function formatOf(bytes: Uint8Array): CaptureFormat | null {
  return PcapngFormat.recognise(bytes) ?? PcapFormat.recognise(bytes);
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
