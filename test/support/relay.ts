/** A TCP relay in front of a server: the network between us and it, which a test can cut or make swallow everything. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export class Relay {
  readonly #server: Server;
  readonly #port: number;
  #targetPort: number;
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  /** How long what passes takes on its way, in each direction. */
  delayMs = 0;
  /** Connections that were let through. */
  connections = 0;

  private constructor(server: Server, port: number, targetPort: number) {
    this.#server = server;
    this.#port = port;
    this.#targetPort = targetPort;
    server.on('connection', (socket) => this.#relay(socket));
  }

  /** In front of the server at this URL; closed with the test. */
  static async open(t: TestContext, targetUrl: string): Promise<Relay> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const relay = new Relay(server, port, Number(new URL(targetUrl).port));
    t.after(() => relay.close());
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Connections break, and new ones too. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }
  heal(): void {
    this.#isCut = false;
  }
  /** Another server stands behind it from now on. */
  turnTo(targetUrl: string): void {
    this.#targetPort = Number(new URL(targetUrl).port);
  }

  async close(): Promise<void> {
    this.cut();
    await once(this.#server.close(), 'close');
  }

  #relay(socket: Socket): void {
    if (this.#isCut) {
      socket.destroy();
      return;
    }
    this.connections += 1;
    const target = connect(this.#targetPort, '127.0.0.1');
    for (const [from, to] of [
      [socket, target],
      [target, socket],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.on('data', (chunk) => {
        if (this.delayMs === 0) to.write(chunk);
        else setTimeout(() => to.write(chunk), this.delayMs).unref();
      });
    }
  }
}
