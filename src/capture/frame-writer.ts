/** Frames into a pcapng file or a pipe. The header goes out with the first frame, or at the end, so that the link type is known. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { TwillError } from '../errors.js';
import { type CapturedFrame, LINK_TYPE } from '../pcap/frame.js';
import { pcapngHeader, pcapngPacket, pcapngStatistics } from '../pcap/pcapng-writer.js';

type About = { readonly name: string; readonly description: string; readonly snapBytes: number };

export class FrameWriter {
  readonly #path: string;
  readonly #out: Writable;
  readonly #about: About;
  #linkType: number | null = null;
  #written = 0;
  #lastNs = 0n;
  #failure: Error | null = null;

  private constructor(path: string, out: Writable, about: About) {
    this.#path = path;
    this.#out = out;
    this.#about = about;
    out.on('error', (error) => {
      this.#failure = error;
    });
  }

  /** Only the owner may read a new file: it holds other people's packets. Throws ERR_TWILL_CAPTURE. */
  static async open(path: string, about: About): Promise<FrameWriter> {
    if (path === '-') return new FrameWriter('standard output', process.stdout, about);
    try {
      const file = await open(path, 'w', 0o600);
      return new FrameWriter(path, createWriteStream('', { fd: file }), about);
    } catch (cause) {
      throw new TwillError('ERR_TWILL_CAPTURE', `cannot write ${path}: ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  /** Waits while the file or the pipe takes no more. Throws ERR_TWILL_CAPTURE. */
  async write(frame: CapturedFrame): Promise<void> {
    if (this.#linkType === null) this.#begin(frame.linkType);
    if (frame.linkType !== this.#linkType)
      throw new TwillError(
        'ERR_TWILL_CAPTURE',
        `cannot write frames of link types ${this.#linkType} and ${frame.linkType} into one file: filter them apart`,
      );
    this.#written += 1;
    this.#lastNs = frame.timeNs;
    await this.#put(pcapngPacket(frame));
  }

  async close(lost: number): Promise<void> {
    if (this.#linkType === null) this.#begin(LINK_TYPE.raw);
    await this.#put(pcapngStatistics(this.#lastNs, this.#written + lost, lost));
    if (this.#out === process.stdout) return;
    this.#out.end();
    if (!this.#failure) await once(this.#out, 'close');
    this.#check();
  }

  #begin(linkType: number): void {
    this.#linkType = linkType;
    this.#out.write(pcapngHeader('twill', { ...this.#about, linkType }));
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#check();
    if (!this.#out.write(bytes)) await Promise.race([once(this.#out, 'drain'), once(this.#out, 'close')]);
    this.#check();
  }

  #check(): void {
    if (!this.#failure) return;
    throw new TwillError('ERR_TWILL_CAPTURE', `cannot write ${this.#path}: ${this.#failure.message}`, {
      cause: this.#failure,
    });
  }
}
