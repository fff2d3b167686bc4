/**
 * Leases in one map in memory, served on a Unix socket. A request is a line of JSON and so is its answer; who asks to watch gets
 * the whole map at once, and again after each change.
 */
import { EventEmitter } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { lines } from './lines.js';

/** A record as it goes over the socket. */
export interface WireRecord {
  readonly key: string;
  readonly value: string;
  readonly revision: string;
  /** When it was first made, as a number that only grows. */
  readonly order: number;
  /** Milliseconds since 1970; absent: it lasts until somebody removes it. */
  readonly expiresAtMs?: number;
}

export interface Request {
  readonly ask: 'config' | 'list' | 'watch' | 'create' | 'replace' | 'remove';
  readonly key?: string;
  readonly revision?: string;
  readonly value?: string;
  readonly ttlMs?: number;
}

export class LeaseServer {
  readonly #config: string;
  readonly #records = new Map<string, WireRecord>();
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #clients = new Set<Socket>();
  readonly #server: Server = createServer((socket) => void this.#serve(socket));
  #changeCount = 0;
  #expiry: NodeJS.Timeout | undefined;

  /** `config`: the text of net-conf.json. */
  constructor(config: string) {
    this.#config = config;
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen(path, resolve);
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#expiry);
    for (const client of this.#clients) client.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(socket: Socket): Promise<void> {
    this.#clients.add(socket);
    const publish = () => socket.write(`${JSON.stringify([...this.#records.values()])}\n`);
    try {
      for await (const line of lines(socket)) {
        // This process trusts its clients: a server for others would look at what they send first.
        const request = JSON.parse(line) as Request;
        if (request.ask === 'watch') {
          this.#changes.on('change', publish);
          publish();
        } else socket.write(`${JSON.stringify(this.#answer(request))}\n`);
      }
    } catch {
      // It is gone.
    } finally {
      socket.destroy();
      this.#clients.delete(socket);
      this.#changes.off('change', publish);
    }
  }

  #answer({ ask, key = '', revision, value = '', ttlMs }: Request): unknown {
    const held = this.#records.get(key);
    switch (ask) {
      case 'config':
        return this.#config;
      case 'create':
        return held ? null : this.#put(key, value, ttlMs, ++this.#changeCount);
      case 'replace':
        return held && held.revision === revision ? this.#put(key, value, ttlMs, held.order) : null;
      case 'remove':
        if (held?.revision !== revision) return false;
        this.#records.delete(key);
        this.#changed();
        return true;
      default:
        return [...this.#records.values()];
    }
  }

  #put(key: string, value: string, ttlMs: number | undefined, order: number): WireRecord {
    const ends = ttlMs === undefined ? {} : { expiresAtMs: Date.now() + ttlMs };
    const record = { key, value, revision: String(++this.#changeCount), order, ...ends };
    this.#records.set(key, record);
    this.#changed();
    return record;
  }

  #changed(): void {
    this.#changes.emit('change');
    clearTimeout(this.#expiry);
    const ends = [...this.#records.values()].map(({ expiresAtMs = Number.POSITIVE_INFINITY }) => expiresAtMs);
    const nextMs = Math.min(...ends) - Date.now();
    // Longer than a timer takes: a later change sets it anew.
    if (nextMs < 2 ** 31) this.#expiry = setTimeout(() => this.#expire(), Math.max(nextMs, 0));
    this.#expiry?.unref();
  }

  #expire(): void {
    const nowMs = Date.now();
    for (const { key, expiresAtMs } of this.#records.values())
      if (expiresAtMs !== undefined && expiresAtMs <= nowMs) this.#records.delete(key);
    this.#changed();
  }
}
