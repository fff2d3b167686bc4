/**
 * systemd, where it has started us as `Type=notify`: it hears when we are ready, how we are, when we read our configuration
 * again, and at regular times that we are alive. Everywhere else all of this does nothing. The protocol is one datagram of
 * `NAME=value` lines to $NOTIFY_SOCKET (sd_notify(3)).
 */
import { loadNative } from '../native/binding.js';
import { guard } from '../native/errors.js';
import type { Logger } from '../observe/log.js';
import type { Clock } from './clock.js';

export interface ServiceManagerParts {
  readonly logger: Logger;
  /** Default: a datagram to a Unix socket. */
  readonly send?: (socket: string, message: Uint8Array) => void;
  /** Default: ours. */
  readonly pid?: number;
}

const EAGAIN = 11;
const RETRY_MS = 100;
const MOST_RETRIES = 100;

export class ServiceManager {
  readonly #parts: ServiceManagerParts;
  readonly #socket: string | undefined;
  /** Silence for this long ends us. */
  readonly #watchdogMs: number | null;
  #waiting: string[] = [];
  #retries = 0;
  #isReady = false;
  #isAlive = true;

  /** Takes its variables out of `env`, so that programs which we start do not speak for us. */
  constructor(env: { [name: string]: string | undefined }, parts: ServiceManagerParts) {
    this.#parts = parts;
    this.#socket = env['NOTIFY_SOCKET'] || undefined;
    this.#watchdogMs = watchdogMs(env, parts.pid ?? process.pid);
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  }

  /** The start is over. Once is enough. */
  ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#notify('READY=1');
  }

  /** One line for `systemctl status`. */
  status(text: string): void {
    this.#notify(`STATUS=${text.replaceAll(/\s+/g, ' ')}`);
  }

  /** Between the two systemd counts us as reloading. */
  reloading(): void {
    if (this.#isReady) this.#notify(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }
  reloaded(): void {
    if (this.#isReady) this.#notify('READY=1');
  }

  stopping(): void {
    this.#notify('STOPPING=1');
  }

  /** Says twice in the time granted that we are alive, as long as we are, until `signal` aborts. */
  async watch(isAlive: () => boolean, clock: Clock, signal: AbortSignal): Promise<void> {
    if (this.#watchdogMs === null) return;
    while (!signal.aborted) {
      this.#heartbeat(isAlive());
      await clock.sleep(this.#watchdogMs / 2, signal);
    }
  }

  #heartbeat(isAlive: boolean): void {
    const { logger } = this.#parts;
    if (isAlive) this.#notify('WATCHDOG=1');
    else if (this.#isAlive) logger.error('a worker does not turn: systemd will start us anew');
    this.#isAlive = isAlive;
  }

  #notify(message: string): void {
    if (this.#socket === undefined) return;
    this.#waiting.push(message);
    this.#flush(this.#socket);
  }

  /** In order; a queue that is full over there gets some time. */
  #flush(socket: string): void {
    const { logger, send = sendDatagram } = this.#parts;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        send(socket, Buffer.from(next));
        this.#waiting.shift();
        this.#retries = 0;
      } catch (error) {
        this.#retries += 1;
        if ((error as { errno?: number }).errno === EAGAIN && this.#retries < MOST_RETRIES) {
          setTimeout(() => this.#flush(socket), RETRY_MS).unref();
        } else {
          this.#waiting = [];
          logger.warn({ err: error }, `systemd cannot be told anything: ${(error as Error).message}`);
        }
        return;
      }
    }
  }
}

/** Null: nobody watches, or somebody else is watched. */
function watchdogMs(env: { readonly [name: string]: string | undefined }, pid: number): number | null {
  const { NOTIFY_SOCKET, WATCHDOG_USEC = '', WATCHDOG_PID } = env;
  if (!NOTIFY_SOCKET || !/^[1-9]\d{0,15}$/.test(WATCHDOG_USEC)) return null;
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== '' && Number(WATCHDOG_PID) !== pid) return null;
  return Number(WATCHDOG_USEC) / 1000;
}

function sendDatagram(socket: string, message: Uint8Array): void {
  guard(() => loadNative().sendToUnixSocket(socket, message));
}
