/** Where captured frames come from: the plane of a running agent, an interface, a file. */
import { createReadStream } from 'node:fs';
import { TwillError } from '../errors.js';
import { controlStream } from '../observe/control-socket.js';
import { CaptureReader } from '../pcap/capture-reader.js';
import type { CapturedFrame } from '../pcap/frame.js';
import { InterfaceCapture } from './interface.js';
import { tapNode, tapPieces } from './tap-records.js';

export interface CaptureSource {
  /** Ends with the source or the signal. */
  readonly frames: AsyncIterable<CapturedFrame>;
  /** For the interface description of a file; a file may have several, then that of its first frame. */
  readonly name: string;
  readonly description: string;
  readonly snapBytes: number;
  /** UDP ports that are known to be a tunnel's. */
  readonly ports: readonly number[];
  /** Whether the frames are those that were asked for already. */
  readonly isFiltered: boolean;
  /** Packets that were wanted and came too fast. */
  lost(): number;
  close(): void;
}

export interface SourceOptions {
  readonly socket: string;
  readonly interface: string;
  readonly filter: string;
  readonly readPath: string;
  readonly peer: string;
  readonly subnets: readonly string[];
  readonly drops: readonly string[];
  readonly every: number;
  readonly ports: readonly number[];
  readonly snapBytes: number;
}

/** Throws ERR_TWILL_CONTROL or ERR_TWILL_CAPTURE. */
export async function openSource(options: SourceOptions, signal: AbortSignal): Promise<CaptureSource> {
  if (options.readPath !== '') return fileSource(options.readPath, signal);
  return options.interface === '' ? planeSource(options, signal) : interfaceSource(options, signal);
}

async function planeSource(options: SourceOptions, signal: AbortSignal): Promise<CaptureSource> {
  const { socket, peer, subnets, drops, every, snapBytes } = options;
  const params = {
    ...(peer !== '' && { peer }),
    ...{ subnets: [...subnets], drops: drops.length > 0 ? [...drops] : null, every, snapBytes },
  };
  const { result, chunks } = await controlStream(socket, 'capture', params, signal);
  const node = tapNode(result);
  const { device = '' } = result as { device?: string };
  let lost = 0;
  async function* frames(): AsyncGenerator<CapturedFrame> {
    for await (const piece of tapPieces(chunks, node)) {
      if ('counts' in piece) lost = piece.counts.lost;
      else yield piece.frame;
    }
    if (!signal.aborted) throw new TwillError('ERR_TWILL_CONTROL', 'the agent has ended');
  }
  return {
    frames: frames(),
    name: device,
    description: 'packet path of twill: out is from overlay to underlay, outer headers are written anew',
    ...{ snapBytes: 0, ports: [node.port], isFiltered: true },
    lost: () => lost,
    close: () => {},
  };
}

async function interfaceSource(options: SourceOptions, signal: AbortSignal): Promise<CaptureSource> {
  const filter = options.filter || options.ports.map((port) => `udp port ${port}`).join(' or ');
  const capture = await InterfaceCapture.open(options.interface, filter);
  const close = () => capture.close();
  signal.addEventListener('abort', close, { once: true });
  if (signal.aborted) close();
  return {
    frames: capture.frames(),
    name: options.interface,
    description: `interface ${options.interface}, ${filter}`,
    ...{ snapBytes: 0, ports: [], isFiltered: false, close },
    lost: () => capture.lost,
  };
}

async function fileSource(path: string, signal: AbortSignal): Promise<CaptureSource> {
  async function* frames(): AsyncGenerator<CapturedFrame> {
    const reader = new CaptureReader();
    try {
      const pieces = path === '-' ? process.stdin : createReadStream(path, { signal });
      for await (const piece of pieces) {
        if (signal.aborted) return;
        yield* reader.push(piece as Uint8Array);
      }
    } catch (cause) {
      if (cause instanceof TwillError) throw cause;
      if (signal.aborted) return;
      throw new TwillError('ERR_TWILL_CAPTURE', `cannot read ${path}: ${(cause as Error).message}`, {
        cause,
      });
    }
    reader.end();
  }
  return {
    frames: frames(),
    name: path,
    description: `read from ${path}`,
    ...{ snapBytes: 0, ports: [], isFiltered: false },
    lost: () => 0,
    close: () => {},
  };
}
