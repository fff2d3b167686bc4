/** A store of our own: all that an agent asks of one, from a lease server on a Unix socket. */
import { createConnection, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type PutOptions, type Store, type StoreRecord, type StoreSnapshot, TwillError } from 'twill/agent';
import type { Request, WireRecord } from './lease-server.js';
import { lines } from './lines.js';

const RETRY_MS = 200;

export class SocketStore implements Store {
  readonly description: string;
  readonly #path: string;
  readonly #open = new Set<Socket>();

  constructor(path: string) {
    this.#path = path;
    this.description = `lease server at ${path}`;
  }

  async readConfig(): Promise<string> {
    return (await this.#ask({ ask: 'config' })) as string;
  }

  async list(): Promise<StoreSnapshot> {
    return snapshotOf((await this.#ask({ ask: 'list' })) as WireRecord[]);
  }

  /** Goes on for ever: what goes wrong is told, and tried again. */
  async *watch(
    signal: AbortSignal,
    onTrouble: (error: Error | null) => void = () => {},
  ): AsyncIterable<StoreSnapshot> {
    while (!signal.aborted) {
      const socket = this.#connect();
      const stop = () => socket.destroy();
      signal.addEventListener('abort', stop);
      let why = new Error('it has ended the connection');
      try {
        send(socket, { ask: 'watch' });
        for await (const line of lines(socket)) {
          onTrouble(null);
          yield snapshotOf(JSON.parse(line));
        }
      } catch (error) {
        why = error as Error;
      } finally {
        signal.removeEventListener('abort', stop);
        socket.destroy();
      }
      if (signal.aborted) return;
      onTrouble(unavailable(this.description, why));
      await pause(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async create(key: string, value: string, { ttlMs }: PutOptions): Promise<StoreRecord | null> {
    return recordOf(await this.#ask({ ask: 'create', key, value, ...(ttlMs !== undefined && { ttlMs }) }));
  }

  async replace(
    key: string,
    revision: string,
    value: string,
    { ttlMs }: PutOptions,
  ): Promise<StoreRecord | null> {
    const end = ttlMs !== undefined && { ttlMs };
    return recordOf(await this.#ask({ ask: 'replace', key, revision, value, ...end }));
  }

  async remove(key: string, revision: string): Promise<boolean> {
    return (await this.#ask({ ask: 'remove', key, revision })) as boolean;
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
  }

  #connect(): Socket {
    const socket = createConnection(this.#path);
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    return socket;
  }

  /** A connection for each request: leases change rarely. */
  async #ask(request: Request): Promise<unknown> {
    const socket = this.#connect();
    try {
      send(socket, request);
      for await (const line of lines(socket)) return JSON.parse(line);
      throw new Error('it has ended the connection');
    } catch (cause) {
      throw unavailable(this.description, cause as Error);
    } finally {
      socket.destroy();
    }
  }
}

function send(socket: Socket, request: Request): void {
  socket.write(`${JSON.stringify(request)}\n`);
}

function recordOf(answer: unknown): StoreRecord | null {
  if (answer === null) return null;
  const { order, ...record } = answer as WireRecord;
  return { ...record, createdOrder: BigInt(order) };
}

function snapshotOf(records: readonly WireRecord[]): StoreSnapshot {
  return { records: records.flatMap((record) => recordOf(record) ?? []), unreadable: [] };
}

/** With this code an agent tries again; with ERR_TWILL_STORE it would give up. */
function unavailable(description: string, cause: Error): TwillError {
  return new TwillError('ERR_TWILL_STORE_UNAVAILABLE', `${description}: ${cause.message}`, { cause });
}
