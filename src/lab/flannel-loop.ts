/** A node that runs flannel's own udp proxy, as far as we could write it anew: see native/traffic/flannel_loop.h. */
import { fileURLToPath } from 'node:url';
import { LineProcess } from './line-process.js';
import type { Namespace } from './namespace.js';

const tool = fileURLToPath(new URL('flannel-loop-tool.js', import.meta.url));

export interface FlannelLoopPlan {
  /** The whole overlay network: one route. */
  readonly network: string;
  /** Of this node; its base address becomes the device's. */
  readonly subnet: string;
  /** Underlay address to bind. */
  readonly local: string;
  readonly port: number;
  /** Of the device; longer datagrams are cut to it. */
  readonly mtuBytes: number;
  readonly peers: readonly { readonly subnet: string; readonly endpoint: string }[];
}

export class FlannelLoop {
  readonly device: string;
  readonly #process: LineProcess;

  private constructor(device: string, process: LineProcess) {
    this.device = device;
    this.#process = process;
  }

  /** Resolves when packets flow. */
  static async start(inside: Namespace, plan: FlannelLoopPlan): Promise<FlannelLoop> {
    const process = new LineProcess(inside, tool, [JSON.stringify(plan)]);
    const { device } = (await process.next()) as { device: string };
    return new FlannelLoop(device, process);
  }

  stop(): Promise<void> {
    return this.#process.end();
  }
}
