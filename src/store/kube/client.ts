/**
 * Requests to the API server over HTTP/1.1 with connections that are kept. Nothing here waits for a better day: what
 * cannot be done is thrown, in one line that says what was asked of whom, and never what we are known by.
 */
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { TwillError } from '../../errors.js';
import type { Access, TlsMaterial } from './access.js';
import { failureText, refused, unavailable } from './failure.js';
import type { KubeRequest } from './requests.js';

/** From the request to the head of its answer. */
const ANSWER_WITHIN_MS = 10_000;
/** A connection whose other end is gone is noticed some ten seconds after this. */
const KEEPALIVE_AFTER_MS = 5000;
const LONGEST_ANSWER_BYTES = 8 * 1024 * 1024;
const LONGEST_REFUSAL_BYTES = 64 * 1024;

export interface CallOptions {
  readonly query?: { readonly [name: string]: string };
  readonly signal?: AbortSignal | undefined;
  readonly answerWithinMs?: number;
  readonly body?: { readonly type: string; readonly text: string };
}

export class KubeClient {
  readonly #access: () => Promise<Access>;
  #agent: { readonly agent: HttpAgent; readonly madeFor: string } | null = null;
  #isClosed = false;

  /** `access`: is asked at each request. */
  constructor(access: () => Promise<Access>) {
    this.#access = access;
  }

  /** The answer to a small request, as JSON. Throws ERR_TWILL_STORE, or _STORE_UNAVAILABLE where trying again may help. */
  async call(what: KubeRequest, options: CallOptions = {}): Promise<unknown> {
    const answer = await this.stream(what, options);
    const text = await bodyText(
      answer,
      LONGEST_ANSWER_BYTES,
      options.answerWithinMs ?? ANSWER_WITHIN_MS,
    ).catch((error) => {
      throw unavailable(`${what.verb} ${what.resource}: ${failureText(error)}`, error);
    });
    try {
      return JSON.parse(text);
    } catch {
      throw unavailable(`${what.verb} ${what.resource}: the answer is no JSON`);
    }
  }

  /** A good answer whose body is still to come: it is the caller's to read or to destroy. Throws as `call` does. */
  async stream(what: KubeRequest, options: CallOptions = {}): Promise<IncomingMessage> {
    if (this.#isClosed) throw new TwillError('ERR_TWILL_CLOSED', 'the store is closed');
    options.signal?.throwIfAborted();
    const access = await this.#access();
    for (let isFirst = true; ; isFirst = false) {
      try {
        const answer = await this.#ask(what, options, access);
        const status = answer.statusCode ?? 0;
        if (status >= 200 && status < 300) return answer;
        const text = await bodyText(answer, LONGEST_REFUSAL_BYTES, ANSWER_WITHIN_MS).catch(() => '');
        throw refused(what, access, { status, text, retryAfter: answer.headers['retry-after'] });
      } catch (error) {
        options.signal?.throwIfAborted();
        if (error instanceof TwillError) throw error;
        // The server had closed the connection that we kept, and we had not heard of it.
        if (isFirst && error instanceof StaleConnection) continue;
        throw unavailable(`cannot reach the API server at ${access.server}: ${failureText(error)}`, error);
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#agent?.agent.destroy();
    this.#agent = null;
  }

  #ask(what: KubeRequest, options: CallOptions, access: Access): Promise<IncomingMessage> {
    const { query = {}, signal, body, answerWithinMs = ANSWER_WITHIN_MS } = options;
    const url = new URL(`${access.server}${what.path}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const settings: RequestOptions = {
      method: what.method,
      agent: this.#agentFor(access),
      headers: {
        accept: 'application/json',
        'user-agent': 'twill',
        ...(access.token && { authorization: `Bearer ${access.token.reveal()}` }),
        ...(body && { 'content-type': body.type, 'content-length': Buffer.byteLength(body.text) }),
      },
      ...(signal && { signal }),
    };
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const sent = send(url, settings, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      const timer = setTimeout(() => {
        sent.destroy(new Error(`no answer within ${answerWithinMs / 1000} s`));
      }, answerWithinMs);
      sent.on('socket', (socket) => socket.setKeepAlive(true, KEEPALIVE_AFTER_MS));
      sent.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        const isStale = sent.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '');
        reject(isStale ? new StaleConnection(error.message) : error);
      });
      sent.end(body?.text);
    });
  }

  /** The same one, and with it its connections, until what secures them changes. */
  #agentFor({ server, tls }: Access): HttpAgent {
    const { key, ...open } = tls;
    const madeFor = JSON.stringify([server, open, key?.reveal()]);
    if (this.#agent?.madeFor === madeFor) return this.#agent.agent;
    // A watch under way goes on over its old connection.
    for (const sockets of Object.values(this.#agent?.agent.freeSockets ?? {}))
      for (const socket of sockets ?? []) socket.destroy();
    const agent = server.startsWith('https:')
      ? new HttpsAgent({ keepAlive: true, ...tlsOptions(server, tls) })
      : new HttpAgent({ keepAlive: true });
    this.#agent = { agent, madeFor };
    return agent;
  }
}

class StaleConnection extends Error {}

function tlsOptions(server: string, { ca, cert, key, serverName, isUnverified }: TlsMaterial) {
  const { hostname } = new URL(server);
  // TLS knows no server name that is an address (RFC 6066).
  const name = serverName ?? (isIP(hostname.replace(/^\[|\]$/g, '')) ? undefined : hostname);
  return {
    minVersion: 'TLSv1.2' as const,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && key !== undefined && { cert, key: key.reveal() }),
    ...(name !== undefined && { servername: name }),
    ...(isUnverified && { rejectUnauthorized: false }),
  };
}

async function bodyText(answer: IncomingMessage, longestBytes: number, withinMs: number): Promise<string> {
  const timer = setTimeout(() => answer.destroy(new Error('the answer does not end')), withinMs);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > longestBytes) throw new Error(`the answer is longer than ${longestBytes} bytes`);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
