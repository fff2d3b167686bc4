/** Raw traffic inside a namespace: the door to probe.py. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Namespace } from '../../src/lab/namespace.js';

// Beside the source of this file: the compiler does not copy it.
const script = fileURLToPath(new URL('../../../test/support/probe.py', import.meta.url));

export class Probe {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  static async start(inside: Namespace, ...argv: readonly string[]): Promise<Probe> {
    const child = inside.spawn('python3', [script, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] });
    assert.ok(child.stdout);
    const probe = new Probe(child, createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    assert.equal(await probe.#line(), 'ready');
    return probe;
  }

  send(payload: Uint8Array, tos = 0): void {
    this.#write({ hex: Buffer.from(payload).toString('hex'), tos });
  }

  /** The same; resolves when it has left. */
  async sendNow(payload: Uint8Array): Promise<void> {
    this.#write({ hex: Buffer.from(payload).toString('hex'), tell: true });
    assert.equal(await this.#line(), 'sent');
  }

  #write(value: object): void {
    this.#child.stdin?.write(`${JSON.stringify(value)}\n`);
  }

  async next<Report>(): Promise<Report> {
    return JSON.parse(await this.#line()) as Report;
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    assert.ok(!done, 'the probe ended early');
    return value;
  }
}

/** What `listen` reports. */
export interface Arrival {
  readonly to: string;
  readonly tos: number;
  readonly hex: string;
}
