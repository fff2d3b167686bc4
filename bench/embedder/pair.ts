/** Two processes that packets go between, over one system. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer, Exchange, Question } from './end.js';
import type { Usage } from './meter.js';

const end = fileURLToPath(new URL('end.js', import.meta.url));

export interface Measured extends Exchange {
  readonly near: Usage;
  readonly far: Usage;
}

export class Pair implements AsyncDisposable {
  readonly system: string;
  readonly #near: ChildProcess;
  readonly #far: ChildProcess;

  private constructor(system: string, near: ChildProcess, far: ChildProcess) {
    this.system = system;
    this.#near = near;
    this.#far = far;
  }

  /** They take these two UDP ports, near and far, and send to those of each other, or to the ones given. */
  static async open(
    system: string,
    ports: readonly [number, number],
    others: readonly [number, number] = [ports[1], ports[0]],
  ): Promise<Pair> {
    const [near, far] = (['near', 'far'] as const).map((side, i) =>
      // Infinity is a number that JSON does not know.
      fork(end, [system, side, `${ports[i]}`, `${others[i]}`], {
        serialization: 'advanced',
        execArgv: [...process.execArgv, '--expose-gc'],
      }),
    ) as [ChildProcess, ChildProcess];
    const pair = new Pair(system, near, far);
    try {
      await Promise.all([near, far].map(heard));
    } catch (error) {
      await pair[Symbol.asyncDispose]();
      throw error;
    }
    return pair;
  }

  /** Packets of this length go there and back, until so many have or so long. */
  async exchange(lengthBytes: number, packets: number, seconds: number): Promise<Measured> {
    const both = [this.#near, this.#far];
    await Promise.all(both.map((child) => ask(child, { kind: 'measure' })));
    const exchange = (await ask(this.#near, { kind: 'exchange', lengthBytes, packets, seconds })) as Exchange;
    const [near, far] = (await Promise.all(both.map((child) => ask(child, { kind: 'usage' })))) as [
      Usage,
      Usage,
    ];
    return { ...exchange, near, far };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [this.#near, this.#far]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exit = once(child, 'exit');
      if (child.connected) child.disconnect();
      else child.kill();
      await exit;
    }
  }
}

async function ask(child: ChildProcess, question: Question): Promise<Answer> {
  const answer = heard(child);
  child.send(question);
  return answer;
}

async function heard(child: ChildProcess): Promise<Answer> {
  const over = new AbortController();
  const { signal } = over;
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`an end has gone, with ${code}`);
  });
  ended.catch(() => {});
  try {
    const [answer] = await Promise.race([once(child, 'message', { signal }), ended]);
    return answer as Answer;
  } finally {
    over.abort();
  }
}
