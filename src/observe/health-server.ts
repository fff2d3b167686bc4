/**
 * What probes and monitoring ask over HTTP, as flannel has it: `/healthz` says that the process turns, `/readyz` whether
 * the node carries traffic. Further pages, such as `/metrics`, are the caller's. Meant for machines of the operator, yet
 * safe when anybody asks: few and short requests, each of them brief, nothing that changes anything.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { TwillError } from '../errors.js';
import type { IpAddress } from '../net/ip.js';

export interface Page {
  readonly contentType: string;
  readonly text: string;
}

export interface HealthOptions {
  readonly ip: IpAddress;
  readonly port: number;
  /** What stands between the node and its traffic, in words; empty: ready. */
  readonly missing: () => readonly string[];
  /** By path, with its "/" in front. One that throws answers 500. */
  readonly pages?: { readonly [path: string]: () => Page | Promise<Page> };
}

const LONGEST_HEADERS_BYTES = 8 * 1024;
/** From the connection on, so that one that says nothing ends too. */
const REQUEST_MS = 5000;
const KEEP_ALIVE_MS = 5000;
const MOST_CONNECTIONS = 256;
/** Requests in hand at the end get this long. */
const CLOSE_MS = 3000;

export class HealthServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Throws ERR_TWILL_HEALTH where the port cannot be had. */
  static async listen(options: HealthOptions): Promise<HealthServer> {
    const limits = {
      ...{ maxHeaderSize: LONGEST_HEADERS_BYTES, headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS },
      ...{ keepAliveTimeout: KEEP_ALIVE_MS, connectionsCheckingInterval: 1000 },
    };
    const server = createServer(limits, (request, response) => {
      void answer(request, response, options);
    });
    server.maxConnections = MOST_CONNECTIONS;
    const { ip, port } = options;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        // 0.0.0.0 is every address of both families, as for Go; without IPv6, Node takes IPv4 alone by itself.
        server.listen({ ...(!ip.isUnspecified && { host: ip.toString() }), port }, resolve);
      });
    } catch (cause) {
      throw new TwillError('ERR_TWILL_HEALTH', refusal(ip, port, cause as NodeJS.ErrnoException), { cause });
    }
    server.removeAllListeners('error').on('error', () => {});
    return new HealthServer(server);
  }

  /** The one that was asked for, or that the kernel chose for 0. */
  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  }

  /** Answers what was asked, then ends; what takes longer than three seconds is cut off. A second call does nothing. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const cut = setTimeout(() => this.#server.closeAllConnections(), CLOSE_MS);
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
    clearTimeout(cut);
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { missing, pages = {} }: HealthOptions,
): Promise<void> {
  // Nobody who asks sends a body: it is not worth reading.
  request.on('error', () => {}).resume();
  response.on('error', () => {});
  const send = (status: number, text: string, contentType = 'text/plain; charset=utf-8') => {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(status, {
      'Content-Type': contentType,
      'Content-Length': Buffer.byteLength(text),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...(status === 405 && { Allow: 'GET, HEAD' }),
      ...(status >= 400 && status !== 503 && { Connection: 'close' }),
    });
    response.end(request.method === 'HEAD' ? undefined : text);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'only GET and HEAD\n');
  const [path = ''] = (request.url ?? '').split('?');
  if (path === '/healthz') return send(200, 'flanneld is running');
  if (path === '/readyz') {
    const lacks = missing();
    if (lacks.length === 0) return send(200, 'flanneld is ready');
    // The first line is flannel's; what follows says why.
    return send(503, ['flanneld is not ready yet', ...lacks].join('\n'));
  }
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (!page) return send(404, `there is ${['/healthz', '/readyz', ...Object.keys(pages)].join(', ')}\n`);
  try {
    const { text, contentType } = await page();
    send(200, text, contentType);
  } catch (error) {
    send(500, `${(error as Error).message}\n`);
  }
}

function refusal(ip: IpAddress, port: number, { code, message }: NodeJS.ErrnoException): string {
  const place = ip.family === 6 ? `[${ip}]:${port}` : `${ip}:${port}`;
  const cannot = `cannot listen on ${place} for health checks`;
  switch (code) {
    case 'EADDRINUSE':
      return `${cannot}: another program holds it; stop that, or choose another --healthz-port`;
    case 'EADDRNOTAVAIL':
      return `${cannot}: no interface of this host carries that address; mend --healthz-ip`;
    case 'EACCES':
      return `${cannot}: permission denied; choose a --healthz-port from 1024 on`;
    default:
      return `${cannot}: ${message}; mend --healthz-ip or --healthz-port`;
  }
}
