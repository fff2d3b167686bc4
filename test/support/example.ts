/** Programs of examples/, run as a reader runs them. */
import assert from 'node:assert/strict';
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { root } from './documents.js';

export interface ExamplePlace {
  /** In front of the command, such as `asNobody`. */
  readonly before?: readonly string[];
  readonly namespace?: Namespace;
}

export class Example {
  /** What it printed so far. */
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #printed: AsyncIterator<string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    assert.ok(child.stdout);
    this.#printed = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Ended with the test at the latest. */
  static start(t: TestContext, name: string, args: readonly string[], place: ExamplePlace = {}): Example {
    const script = join(root, `dist/examples/${name}.js`);
    const [command = '', ...argv] = [...(place.before ?? []), process.execPath, script, ...args];
    const options: SpawnOptions = { stdio: ['ignore', 'pipe', 'inherit'] };
    const child = place.namespace?.spawn(command, argv, options) ?? spawn(command, argv, options);
    t.after(() => child.kill('SIGKILL'));
    return new Example(child);
  }

  /** The next line that it prints. */
  async line(): Promise<string> {
    const next = await this.#printed.next();
    assert.ok(next.done !== true, `it ended after: ${this.lines.join('\n')}`);
    this.lines.push(next.value);
    return next.value;
  }

  /** Asks it to end. */
  stop(): void {
    this.#child.kill('SIGTERM');
  }

  /** Waits until it has ended; its exit code. */
  async end(): Promise<number | null> {
    const exit =
      this.#child.exitCode === null && this.#child.signalCode === null ? once(this.#child, 'exit') : null;
    for (let next = await this.#printed.next(); next.done !== true; next = await this.#printed.next())
      this.lines.push(next.value);
    await exit;
    return this.#child.exitCode;
  }
}
