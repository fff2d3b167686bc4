/**
 * Throwaway network namespaces for the demo, the benchmarks and the tests.
 *
 * A namespace here has no name: it lives as long as a small holder process that waits on a pipe from us, and processes
 * inside that the kernel ends with us. However we end, the pipe closes, the holder goes, and the kernel removes the
 * namespace with every device in it. Nothing can be left over.
 */
import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlink } from 'node:fs/promises';
import { TwillError } from '../errors.js';

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
}

export class Namespace implements AsyncDisposable {
  readonly #holder: ChildProcess;
  readonly #children = new Set<ChildProcess>();
  #isClosed = false;
  readonly label: string;
  readonly pid: number;

  private constructor(label: string, holder: ChildProcess, pid: number) {
    this.label = label;
    this.#holder = holder;
    this.pid = pid;
  }

  /** Makes a namespace with `lo` up. Needs root, or to be inside a user namespace of one's own. */
  static async create(label: string): Promise<Namespace> {
    const holder = spawn('unshare', ['--net', '--', 'cat'], { stdio: ['pipe', 'ignore', 'pipe'] });
    holder.stdin?.on('error', () => {});
    let stderr = '';
    holder.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const failed = new Promise<never>((_, reject) => {
      holder.once('error', (cause) => reject(namespaceError(label, cause.message)));
      holder.once('exit', () => reject(namespaceError(label, stderr.trim() || 'the holder process ended')));
    });
    failed.catch(() => {});
    const own = await readlink('/proc/self/ns/net');
    const entered = async (): Promise<number> => {
      for (;;) {
        const pid = holder.pid;
        const [ns, exe] = await Promise.all([
          readlink(`/proc/${pid}/ns/net`).catch(() => own),
          readlink(`/proc/${pid}/exe`).catch(() => ''),
        ]);
        if (pid !== undefined && ns !== own && exe.endsWith('cat')) return pid;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    const namespace = new Namespace(label, holder, await Promise.race([entered(), failed]));
    await namespace.ip('link', 'set', 'lo', 'up');
    return namespace;
  }

  /** The command line that runs `command` inside, and ends it should this process die without a word (SIGKILL). */
  command(command: string, args: readonly string[]): [string, string[]] {
    const inside = ['nsenter', '--net', `--target=${this.pid}`, '--', command, ...args];
    return ['setpriv', ['--pdeathsig=KILL', '--', ...inside]];
  }

  /** Starts a process inside; it is ended with the namespace at the latest. Throws where that is closed. */
  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    // Somebody who has not noticed the end yet: nothing would end the process.
    if (this.#isClosed) throw new TwillError('ERR_TWILL_CLOSED', `namespace ${this.label} is closed`);
    const [file, argv] = this.command(command, args);
    const child = spawn(file, argv, options);
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Runs a command inside to its end; throws with its standard error when it fails. */
  exec(command: string, args: readonly string[], timeoutMs = 30_000): Promise<ExecResult> {
    const [file, argv] = this.command(command, args);
    return new Promise((resolve, reject) => {
      const options = { encoding: 'utf8', timeout: timeoutMs, maxBuffer: 1 << 26 } as const;
      execFile(file, argv, options, (error, stdout, stderr) => {
        if (!error) return resolve({ stdout, stderr });
        const why = `in namespace ${this.label}: ${command} ${args.join(' ')}: ${stderr.trim() || error.message}`;
        reject(
          Object.assign(new TwillError('ERR_TWILL_INTERNAL', why, { cause: error }), { stdout, stderr }),
        );
      });
    });
  }

  /** `ip ...` of iproute2 inside. */
  async ip(...args: string[]): Promise<string> {
    return (await this.exec('ip', args)).stdout;
  }

  /** Ends the processes started inside, then the namespace itself. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const ended = [...this.#children].map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    });
    await Promise.all(ended);
    if (this.#holder.exitCode === null && this.#holder.signalCode === null) {
      const exit = once(this.#holder, 'exit');
      this.#holder.stdin?.end();
      await exit;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export interface LinkEnd {
  readonly namespace: Namespace;
  readonly device: string;
  /** Addresses with their length, e.g. `192.0.2.1/24`. */
  readonly addresses?: readonly string[];
}

/** Joins two namespaces with a veth pair, up and addressed at both ends. */
export async function joinByVeth(a: LinkEnd, b: LinkEnd, mtuBytes = 1500): Promise<void> {
  await a.namespace.ip(
    ...['link', 'add', a.device, 'mtu', String(mtuBytes), 'type', 'veth'],
    ...['peer', 'name', b.device, 'mtu', String(mtuBytes), 'netns', String(b.namespace.pid)],
  );
  for (const { namespace, device, addresses } of [a, b]) {
    for (const address of addresses ?? []) {
      // `nodad`: an IPv6 address is usable at once.
      const extra = address.includes(':') ? ['nodad'] : [];
      await namespace.ip('address', 'add', address, 'dev', device, ...extra);
    }
    await namespace.ip('link', 'set', device, 'up');
  }
}

function namespaceError(label: string, why: string): TwillError {
  return new TwillError(
    'ERR_TWILL_PRIVILEGE',
    `cannot make network namespace ${label}: ${why}; run as root, or where unprivileged user namespaces are allowed`,
  );
}
