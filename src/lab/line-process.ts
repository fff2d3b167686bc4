/** A script of ours inside a namespace that speaks JSON, one value a line. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { TwillError } from '../errors.js';
import type { Namespace } from './namespace.js';

export class LineProcess {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #what: string;
  #stderr = '';

  constructor(inside: Namespace, script: string, args: readonly string[]) {
    this.#what = `${args[0]?.startsWith('{') ? script.replace(/^.*\//, '') : args[0]} in namespace ${inside.label}`;
    this.child = inside.spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdin?.on('error', () => {});
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#lines = lines(this.child);
  }

  /** The next value that it prints; throws with its standard error when it ended. */
  async next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (!done) return JSON.parse(value);
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    const why = this.#stderr.trim() || `ended by ${this.child.signalCode ?? this.child.exitCode}`;
    throw new TwillError('ERR_TWILL_INTERNAL', `${this.#what}: ${why}`);
  }

  send(value: unknown): void {
    this.child.stdin?.write(`${JSON.stringify(value)}\n`);
  }

  /** Closes its standard input and waits for its end. */
  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.stdin?.end();
    await exit;
  }
}

async function* lines(child: ChildProcess): AsyncGenerator<string, void> {
  if (child.stdout) yield* createInterface({ input: child.stdout });
}
