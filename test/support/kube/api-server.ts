/**
 * An API server of Kubernetes for the tests: real HTTP (or HTTPS) for what we and kubectl ask of nodes and pods, as the
 * real one answers it, and with every fault that a test wants. No more of Kubernetes is in it.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { DISCOVERY } from './discovery.js';
import { ApiError, type NodeObject, statusObject } from './objects.js';
import { patchKind } from './patch.js';
import { KubeState, type WatchEvent } from './state.js';

export interface ServerSetup {
  readonly host?: string;
  readonly port?: number;
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly clientCaFile?: string };
  /** Who bears which token. With none, and no CA of clients, everybody is an administrator. */
  readonly tokens?: { readonly [token: string]: string };
  /** How often a watch is told how far it has come; the real one does it each minute. */
  readonly bookmarkEachMs?: number;
}

type Verb = 'get' | 'list' | 'watch' | 'patch' | 'create' | 'delete';

export interface Asked {
  readonly verb: Verb;
  readonly resource: string;
  readonly user: string;
  readonly query: { readonly [name: string]: string };
  readonly atMs: number;
}

/** What goes wrong, each as long as it is set. */
export interface Faults {
  /** These, such as `list nodes`, are answered with an error. */
  refuse?: {
    readonly what: string;
    readonly status: number;
    readonly retryAfterS?: number;
    readonly times?: number;
  };
  /** These are forbidden by the role of whoever asks. */
  forbidden?: readonly string[];
  /** Requests are taken and never answered. */
  isSilent?: boolean;
  /** A list breaks off after so many bytes, so many times. */
  cutList?: { readonly afterBytes: number; readonly times: number };
  /** So many times the next page is gone (410). */
  lostPages?: number;
  /** Pages are not wanted: everything comes at once, as servers do that answer from their cache. */
  ignoresLimit?: boolean;
  /** Watches tell of nothing any more, and stay open. */
  isDeaf?: boolean;
  /** A watch from a version that is too old is refused by the status, not within it. */
  refusesOldWatch?: boolean;
  /** Each watch is closed after so long. */
  watchLastsMs?: number;
}

export class KubeApiServer {
  readonly state = new KubeState();
  readonly asked: Asked[] = [];
  readonly #setup: ServerSetup;
  readonly #sockets = new Set<Socket>();
  readonly #watches = new Set<ServerResponse>();
  readonly #pages = new Map<string, readonly NodeObject[]>();
  #server: Server | null = null;
  #port: number;
  #tokens: { readonly [token: string]: string };
  #faults: Faults = {};

  constructor(setup: ServerSetup = {}) {
    this.#setup = setup;
    this.#port = setup.port ?? 0;
    this.#tokens = setup.tokens ?? {};
  }

  get url(): string {
    const { host = '127.0.0.1', tls } = this.#setup;
    return `${tls ? 'https' : 'http'}://${host}:${this.#port}`;
  }

  /** Open watches. */
  get watches(): number {
    return this.#watches.size;
  }

  setFaults(faults: Faults): void {
    this.#faults = { ...faults };
  }

  setTokens(tokens: { readonly [token: string]: string }): void {
    this.#tokens = tokens;
  }

  /** On the same port as before, with all that it knew. */
  async start(): Promise<void> {
    const { host = '127.0.0.1', tls } = this.#setup;
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response);
    const server = tls
      ? createTlsServer(
          {
            cert: readFileSync(tls.certFile),
            key: readFileSync(tls.keyFile),
            ...(tls.clientCaFile !== undefined && {
              ca: readFileSync(tls.clientCaFile),
              requestCert: true,
              rejectUnauthorized: false,
            }),
          },
          answer,
        )
      : createServer(answer);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.listen(this.#port, host);
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Connections break, new ones are refused. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = null;
    for (const socket of this.#sockets) socket.destroy();
    await once(server.close(), 'close');
  }

  /** As servers do each few minutes. */
  closeWatches(): void {
    for (const response of this.#watches) response.end();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      if (this.#faults.isSilent) return;
      await this.#route(request, Buffer.concat(chunks).toString('utf8'), response);
    } catch (error) {
      const { code, reason, message } =
        error instanceof ApiError ? error : new ApiError(500, 'InternalError', String(error));
      if (response.headersSent) return void response.destroy();
      const { retryAfterS } = this.#faults.refuse ?? {};
      if (code === 429 && retryAfterS !== undefined) response.setHeader('retry-after', String(retryAfterS));
      this.#json(response, statusObject(code, reason, message), code);
    }
  }

  async #route(request: IncomingMessage, body: string, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://x');
    const found = DISCOVERY[url.pathname];
    if (found && request.method === 'GET') return this.#json(response, found);
    const { pathname } = url;
    if (this.state.objects.has(pathname)) {
      const { method = '', headers } = request;
      const given = body === '' ? null : (parsed(body) as { [field: string]: unknown });
      const asked = { method, path: pathname, query: Object.fromEntries(url.searchParams), body: given };
      return this.#json(response, this.state.objects.answer({ ...asked, type: headers['content-type'] }));
    }
    const pod = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)$/.exec(url.pathname);
    const node = /^\/api\/v1\/nodes(?:\/([^/]+)(?:\/(status))?)?$/.exec(url.pathname);
    if (!pod && !node)
      throw new ApiError(404, 'NotFound', 'the server could not find the requested resource');
    const [name, subresource] = pod ? [pod[2] ?? '', ''] : [node?.[1] ?? '', node?.[2] ?? ''];
    const query = Object.fromEntries(url.searchParams);
    const resource = pod ? 'pods' : subresource === '' ? 'nodes' : `nodes/${subresource}`;
    const verb = verbOf(request.method ?? '', name, query);
    this.#admit(request, verb, resource, name, query);
    if (pod) return this.#json(response, this.state.pod(pod[1] ?? '', name));
    switch (verb) {
      case 'list':
        return this.#list(query, response);
      case 'watch':
        return this.#watch(query, response);
      case 'get':
        return this.#json(response, this.state.node(name));
      case 'patch': {
        const kind = patchKind(request.headers['content-type']);
        return this.#json(response, this.state.patchNode(name, parsed(body), kind, subresource));
      }
      case 'create':
        return this.#json(response, this.#create(parsed(body) as NodeObject), 201);
      case 'delete':
        this.state.deleteNode(name);
        return this.#json(response, {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Success',
          code: 200,
        });
    }
  }

  /** Who asks, and whether he may. */
  #admit(request: IncomingMessage, verb: Verb, resource: string, name: string, query: Asked['query']): void {
    const user = this.#user(request);
    this.asked.push({ verb, resource, user, query, atMs: performance.now() });
    const { refuse, forbidden = [] } = this.#faults;
    const what = `${verb} ${resource}`;
    const isOpen = Object.keys(this.#tokens).length === 0 && this.#setup.tls?.clientCaFile === undefined;
    if (forbidden.includes(what) || (user === ANONYMOUS && !isOpen)) {
      const which = name === '' ? resource : `${resource.split('/')[0]} "${name}"`;
      throw new ApiError(
        403,
        'Forbidden',
        `${which} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "" at the cluster scope`,
      );
    }
    if (refuse?.what !== what || refuse.times === 0) return;
    if (refuse.times !== undefined)
      this.#faults = { ...this.#faults, refuse: { ...refuse, times: refuse.times - 1 } };
    throw new ApiError(refuse.status, 'Refused', `the server has refused (${refuse.status})`);
  }

  #user(request: IncomingMessage): string {
    const { authorization } = request.headers;
    if (authorization !== undefined) {
      const user = this.#tokens[authorization.replace(/^Bearer /, '')];
      if (user === undefined) throw new ApiError(401, 'Unauthorized', 'Unauthorized');
      return user;
    }
    const socket = request.socket as TLSSocket;
    const isKnown = this.#setup.tls?.clientCaFile !== undefined && socket.authorized;
    return isKnown ? String(socket.getPeerCertificate().subject.CN) : ANONYMOUS;
  }

  #list(query: Asked['query'], response: ServerResponse): void {
    const { lostPages = 0, ignoresLimit, cutList } = this.#faults;
    const limit = ignoresLimit ? 0 : Number(query['limit'] ?? 0);
    let nodes: readonly NodeObject[] = selected(this.state.nodes(), query['fieldSelector']);
    let version = String(this.state.version);
    let from = 0;
    if (query['continue'] !== undefined) {
      const [at = '', start = '0'] = Buffer.from(query['continue'], 'base64url').toString().split(':');
      const page = this.#pages.get(at);
      if (lostPages > 0) this.#faults = { ...this.#faults, lostPages: lostPages - 1 };
      if (!page || lostPages > 0)
        throw new ApiError(
          410,
          'Expired',
          'The provided continue parameter is too old to display a consistent list result.',
        );
      [nodes, version, from] = [page, at, Number(start)];
    }
    const items = limit > 0 ? nodes.slice(from, from + limit) : nodes.slice(from);
    const rest = nodes.length - from - items.length;
    if (rest > 0) this.#pages.set(version, nodes);
    const metadata = {
      resourceVersion: version,
      ...(rest > 0 && {
        continue: Buffer.from(`${version}:${from + items.length}`).toString('base64url'),
        remainingItemCount: rest,
      }),
    };
    // In a list items do not say what they are.
    const text = JSON.stringify({
      ...{ kind: 'NodeList', apiVersion: 'v1', metadata },
      items: items.map(({ metadata: own, spec, status }) => ({ metadata: own, spec, status })),
    });
    if (cutList && cutList.times > 0) {
      this.#faults = { ...this.#faults, cutList: { ...cutList, times: cutList.times - 1 } };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(text.slice(0, cutList.afterBytes), () => response.destroy());
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(text);
  }

  #watch(query: Asked['query'], response: ServerResponse): void {
    const { refusesOldWatch, watchLastsMs } = this.#faults;
    const given = query['resourceVersion'] ?? '';
    if (given !== '' && !/^\d+$/.test(given))
      throw new ApiError(
        400,
        'BadRequest',
        `Invalid value: ${JSON.stringify(given)}: strconv.ParseUint: invalid syntax`,
      );
    const selector = query['fieldSelector'];
    const isSelected = ({ object }: WatchEvent) => selected([object], selector).length > 0;
    const from = Number(given);
    const missed = from === 0 ? [] : this.state.eventsAfter(from);
    if (missed === null && refusesOldWatch)
      throw new ApiError(410, 'Expired', `too old resource version: ${from} (${this.state.version})`);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const write = (type: string, object: unknown) => {
      if (!this.#faults.isDeaf) response.write(`${JSON.stringify({ type, object })}\n`);
    };
    if (missed === null) {
      write(
        'ERROR',
        statusObject(410, 'Expired', `too old resource version: ${from} (${this.state.version})`),
      );
      response.end();
      return;
    }
    // From nowhere: what there is comes first.
    const first =
      from === 0 ? this.state.nodes().map((object) => ({ type: 'ADDED', object, version: 0 })) : [];
    for (const event of [...(first as WatchEvent[]), ...missed])
      if (isSelected(event)) write(event.type, event.object);
    const forget = this.state.listen((event) => {
      // The real one's cache leaves out what the asker has seen by his own word.
      if (event.version > from && isSelected(event)) write(event.type, event.object);
    });
    const { bookmarkEachMs = 1000 } = this.#setup;
    const bookmark = () => {
      const metadata = { resourceVersion: String(this.state.version), creationTimestamp: null };
      if (this.state.version >= from)
        write('BOOKMARK', { kind: 'Node', apiVersion: 'v1', metadata, spec: {}, status: {} });
    };
    const isMarked = query['allowWatchBookmarks'] === 'true';
    const marking = isMarked ? setInterval(bookmark, bookmarkEachMs) : undefined;
    const lastsMs = watchLastsMs ?? Number(query['timeoutSeconds'] ?? 1800) * 1000;
    const ending = setTimeout(() => response.end(), lastsMs);
    this.#watches.add(response);
    response.once('close', () => {
      this.#watches.delete(response);
      forget();
      clearInterval(marking);
      clearTimeout(ending);
    });
  }

  #create(node: NodeObject): NodeObject {
    const { name } = node.metadata ?? {};
    if (typeof name !== 'string') throw new ApiError(422, 'Invalid', 'metadata.name: Required value');
    this.state.addNode(name, {
      podCidrs: node.spec?.podCIDRs ?? (node.spec?.podCIDR ? [node.spec.podCIDR] : []),
      annotations: node.metadata.annotations ?? {},
    });
    return this.state.node(name);
  }

  #json(response: ServerResponse, body: object, status = 200): void {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  }
}

const ANONYMOUS = 'system:anonymous';

function verbOf(method: string, name: string, query: Asked['query']): Verb {
  const isWatch = ['true', '1'].includes(query['watch'] ?? '');
  const verbs: { readonly [method: string]: Verb } = {
    GET: name !== '' ? 'get' : isWatch ? 'watch' : 'list',
    PATCH: 'patch',
    POST: 'create',
    DELETE: 'delete',
  };
  const verb = verbs[method];
  if (verb) return verb;
  throw new ApiError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
  );
}

function selected(nodes: readonly NodeObject[], selector: string | undefined): NodeObject[] {
  if (selector === undefined || selector === '') return [...nodes];
  const [, name] = /^metadata\.name=(.+)$/.exec(selector) ?? [];
  if (name === undefined)
    throw new ApiError(400, 'BadRequest', `field label not supported: ${selector.split('=')[0]}`);
  return nodes.filter(({ metadata }) => metadata.name === name);
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new ApiError(400, 'BadRequest', `error decoding patch: ${(error as Error).message}`);
  }
}
