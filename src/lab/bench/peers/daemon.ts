/** A peer's own program inside a node, and the network device that it makes. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { TwillError } from '../../../errors.js';
import type { Namespace } from '../../namespace.js';
import type { Site } from '../systems.js';

const READY_LIMIT_MS = 10_000;

export class Daemon {
  readonly #child: ChildProcess;
  readonly #inside: Namespace;
  readonly #command: string;
  #output = '';

  private constructor(child: ChildProcess, inside: Namespace, command: string) {
    this.#child = child;
    this.#inside = inside;
    this.#command = command;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-4096);
      });
  }

  static start(
    { bed, cleanUp }: Site,
    i: 0 | 1,
    command: string,
    args: readonly string[],
    env: { readonly [name: string]: string } = {},
  ): Daemon {
    const inside = bed.nodes[i].namespace;
    const child = inside.spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const daemon = new Daemon(child, inside, command);
    cleanUp.add(() => daemon.stop());
    return daemon;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Waits until `condition` holds. Throws with the program's last words when it ends or takes too long. */
  async until(condition: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + READY_LIMIT_MS;
    while (!(await condition())) {
      signal.throwIfAborted();
      const hasEnded = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (hasEnded || performance.now() > endMs) {
        const why = hasEnded ? 'ended' : `was not ready in ${READY_LIMIT_MS / 1000} s`;
        const words = this.#output.trim().split('\n').slice(-2).join('; ');
        throw new TwillError('ERR_TWILL_INTERNAL', `${this.#command} ${why}: ${words}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async device(name: string, signal: AbortSignal): Promise<void> {
    await this.until(() => hasDevice(this.#inside, name), signal);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 2000);
    await exit;
    clearTimeout(timer);
  }
}

function hasDevice(inside: Namespace, name: string): Promise<boolean> {
  return inside.ip('link', 'show', name).then(
    () => true,
    () => false,
  );
}

/** Address, MTU, up, and the route to the other node's subnet. */
export async function configureDevice(
  inside: Namespace,
  device: string,
  plan: { readonly address: string; readonly mtuBytes: number; readonly route?: string },
): Promise<void> {
  await inside.ip('address', 'add', plan.address, 'dev', device);
  await inside.ip('link', 'set', device, 'mtu', String(plan.mtuBytes), 'up');
  if (plan.route !== undefined) await inside.ip('route', 'replace', plan.route, 'dev', device);
}
