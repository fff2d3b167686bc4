/** A `twill run` agent inside a namespace. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TwillError } from '../errors.js';
import type { Json } from '../net/json.js';
import { controlRequest } from '../observe/control-socket.js';
import type { Namespace } from './namespace.js';

const cli = fileURLToPath(new URL('../cli/main.js', import.meta.url));

export interface AgentPlaces {
  /** Directory store, shared by the nodes. */
  readonly store: string;
  /** For control socket and subnet.env. */
  readonly directory: string;
  /** Underlay interface inside the namespace. */
  readonly iface: string;
}

/** What the lab wants to know of `twill status`. */
export interface AgentStatus {
  readonly node: {
    readonly subnet: string;
    readonly device: string;
    readonly mtuBytes: number;
    readonly publicIp: string;
  };
  readonly backend: { readonly mac?: string };
  readonly peers: number;
  readonly identity: { readonly encap: boolean; readonly decap: boolean };
}

export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #socket: string;
  readonly #label: string;
  #stderr = '';

  private constructor(child: ChildProcess, socket: string, label: string) {
    this.#child = child;
    this.#socket = socket;
    this.#label = label;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-64 * 1024);
    });
  }

  static start(namespace: Namespace, places: AgentPlaces, flags: readonly string[] = []): AgentProcess {
    const socket = join(places.directory, `${namespace.label}.sock`);
    const argv = [
      ...[cli, 'run', `--store=dir:${places.store}`, `--iface=${places.iface}`, `--control-socket=${socket}`],
      ...[`--subnet-file=${join(places.directory, `${namespace.label}.env`)}`, '--log-level=warn', ...flags],
    ];
    const child = namespace.spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    return new AgentProcess(child, socket, namespace.label);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async status(): Promise<AgentStatus> {
    return (await controlRequest(this.#socket, 'status')) as unknown as AgentStatus;
  }

  /** What `twill <method> --json` answers. */
  ask(method: string, params: Json = null): Promise<Json> {
    return controlRequest(this.#socket, method, params);
  }

  /** Waits until the agent forwards and has this many peers. Throws when it ends or takes longer than 15 s. */
  async ready(peers: number, signal?: AbortSignal): Promise<AgentStatus> {
    const endMs = performance.now() + 15_000;
    for (;;) {
      signal?.throwIfAborted();
      const status = await this.status().catch(() => null);
      if (status && status.peers >= peers) return status;
      const hasEnded = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (hasEnded || performance.now() > endMs) {
        const why = hasEnded ? 'ended' : `has no ${peers} peers after 15 s`;
        throw new TwillError(
          'ERR_TWILL_INTERNAL',
          `the agent of node ${this.#label} ${why}: ${lastLine(this.#stderr)}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** SIGTERM; the exit code. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const end = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await end;
    }
    return this.#child.exitCode;
  }
}

function lastLine(text: string): string {
  const lines = text.trim().split('\n');
  return lines.find((line) => line.startsWith('twill:')) ?? lines.at(-1) ?? '';
}
