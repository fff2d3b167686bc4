/**
 * How `twill status`, `peers` and `trace` ask a running agent: a Unix socket for its owner alone, one JSON line in, one out.
 *
 *   {"method":"trace","params":{"address":"10.244.2.1"}}   ->   {"result":...}  or  {"error":{"code":...,"message":...}}
 */
import { once } from 'node:events';
import { chmod, link, lstat, mkdir, mkdtemp, rm, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { TwillError, type TwillErrorCode } from '../errors.js';
import type { Json } from '../net/json.js';

/** An answer that goes on: behind the line with `result` come bytes, until one of both has enough. */
export class ControlStream {
  readonly result: Json;
  readonly send: (socket: Writable, signal: AbortSignal) => Promise<void>;

  /** `send` ends with the answer; the signal aborts when the other side is gone. */
  constructor(result: Json, send: (socket: Writable, signal: AbortSignal) => Promise<void>) {
    this.result = result;
    this.send = send;
  }
}

/** A long array, made and sent piece by piece: the agent has other things to do in between. */
export class JsonRows {
  constructor(readonly rows: Iterable<object>) {}
}

/** Whatever JSON can hold. */
type Answer = Json | object | JsonRows | ControlStream;
export type ControlHandlers = { readonly [method: string]: (params: Json) => Answer | Promise<Answer> };

const LONGEST_REQUEST_CHARS = 64 * 1024;
const IDLE_MS = 10_000;
const ROWS_A_PIECE = 200;
/** sun_path holds 108 bytes with its end. */
const LONGEST_PATH_BYTES = 107;
/** `/.XXXXXX/s` behind a folder: where a socket is made. */
const ROOM_BYTES = 10;

export class ControlServer {
  readonly #server: Server;
  readonly #sockets: ReadonlySet<Socket>;
  readonly #unbind: () => Promise<void>;

  private constructor(server: Server, sockets: ReadonlySet<Socket>, unbind: () => Promise<void>) {
    this.#server = server;
    this.#sockets = sockets;
    this.#unbind = unbind;
  }

  /** Takes over a socket file that nobody listens on; one that is alive is ERR_TWILL_CONTROL. */
  static async listen(path: string, handlers: ControlHandlers): Promise<ControlServer> {
    checkPath(path, Buffer.byteLength(dirname(path)) + ROOM_BYTES);
    const sockets = new Set<Socket>();
    // Whoever ends a conversation half-way still gets what is on its way.
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      serve(socket, handlers);
    });
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      const unbind = await bind(server, path);
      server.on('error', () => {});
      return new ControlServer(server, sockets, unbind);
    } catch (cause) {
      server.close();
      if (cause instanceof TwillError) throw cause;
      const fix = 'choose another with --control-socket';
      throw new TwillError(
        'ERR_TWILL_CONTROL',
        `cannot listen on control socket ${path}: ${(cause as Error).message}; ${fix}`,
        { cause },
      );
    }
  }

  /** Ends the conversations and removes the socket file. A second call does nothing. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    await this.#unbind();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }
}

/** Throws ERR_TWILL_CONTROL where no agent answers, or the error that the agent answered with. */
export async function controlRequest(
  path: string,
  method: string,
  params: Json = null,
  timeoutMs = 5000,
): Promise<Json> {
  checkPath(path);
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let answer = '';
    const fail = (why: string, cause?: unknown) => {
      socket.destroy();
      reject(new TwillError('ERR_TWILL_CONTROL', why, { cause }));
    };
    socket.setEncoding('utf8').setTimeout(timeoutMs);
    socket.once('connect', () => socket.write(`${JSON.stringify({ method, params })}\n`));
    socket.on('data', (text) => {
      answer += text;
    });
    socket.once('timeout', () => fail(`the agent on ${path} does not answer within ${timeoutMs} ms`));
    socket.once('error', (error: NodeJS.ErrnoException) => fail(connectFailure(path, error), error));
    socket.once('end', () => {
      try {
        resolve(readAnswer(answer));
      } catch (error) {
        if (error instanceof TwillError) reject(error);
        else fail(`the agent on ${path} answered nothing that makes sense`, error);
      }
      socket.destroy();
    });
  });
}

/** How long the other side may take to come to an end. */
const ENDING_MS = 10_000;

/**
 * As `controlRequest`, for an answer that goes on: what comes behind its first line. The signal asks for its end: what is on
 * its way still arrives.
 */
export async function controlStream(
  path: string,
  method: string,
  params: Json,
  signal: AbortSignal,
): Promise<{ readonly result: Json; readonly chunks: AsyncIterable<Buffer> }> {
  checkPath(path);
  const socket = connect(path);
  let timer: NodeJS.Timeout | undefined;
  const hangUp = () => {
    socket.end();
    timer = setTimeout(() => socket.destroy(), ENDING_MS);
  };
  signal.addEventListener('abort', hangUp, { once: true });
  const fail = (error: NodeJS.ErrnoException) =>
    new TwillError('ERR_TWILL_CONTROL', connectFailure(path, error), { cause: error });
  try {
    await once(socket, 'connect');
  } catch (error) {
    throw fail(error as NodeJS.ErrnoException);
  }
  socket.write(`${JSON.stringify({ method, params })}\n`);
  const source = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let head = Buffer.alloc(0);
  while (!head.includes(10)) {
    const { value, done } = await source.next();
    if (done)
      throw new TwillError('ERR_TWILL_CONTROL', `the agent on ${path} answered nothing that makes sense`);
    head = Buffer.concat([head, value]);
  }
  const end = head.indexOf(10);
  const result = readAnswer(head.toString('utf8', 0, end));
  async function* rest(): AsyncGenerator<Buffer> {
    try {
      if (head.length > end + 1) yield head.subarray(end + 1);
      for (;;) {
        const { value, done } = await source.next();
        if (done) return;
        yield value;
      }
    } catch (error) {
      if (!signal.aborted) throw fail(error as NodeJS.ErrnoException);
    } finally {
      signal.removeEventListener('abort', hangUp);
      clearTimeout(timer);
      socket.destroy();
    }
  }
  return { result, chunks: rest() };
}

function serve(socket: Socket, handlers: ControlHandlers): void {
  let request = '';
  const answer = (value: { result: Json | object } | { error: { code: string; message: string } }) => {
    socket.end(`${JSON.stringify(value)}\n`);
  };
  const refuse = (code: TwillErrorCode, message: string) => answer({ error: { code, message } });
  socket.setEncoding('utf8').setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  const withdrawn = () => socket.end();
  socket.once('end', withdrawn);
  socket.on('data', (text) => {
    request += text;
    const end = request.indexOf('\n');
    if (end < 0 && request.length <= LONGEST_REQUEST_CHARS) return;
    socket.off('end', withdrawn).removeAllListeners('data').resume();
    if (end < 0)
      return refuse('ERR_TWILL_CONTROL', `a request is at most ${LONGEST_REQUEST_CHARS} characters`);
    void handle(request.slice(0, end), handlers).then(
      (result) => {
        if (result instanceof JsonRows) void answerRows(socket, result.rows);
        else if (result instanceof ControlStream) stream(socket, result);
        else answer({ result });
      },
      (error) => {
        const known = error instanceof TwillError;
        refuse(known ? error.code : 'ERR_TWILL_INTERNAL', (error as Error).message);
      },
    );
  });
}

/** As `answer`, but never for long at a time, and no faster than the asker reads. */
async function answerRows(socket: Socket, rows: Iterable<object>): Promise<void> {
  let text = '{"result":[';
  let count = 0;
  for (const row of rows) {
    text += count === 0 ? JSON.stringify(row) : `,${JSON.stringify(row)}`;
    count += 1;
    if (count % ROWS_A_PIECE !== 0) continue;
    if (socket.destroyed) return;
    if (!socket.write(text)) await drained(socket);
    text = '';
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end(`${text}]}\n`);
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

async function handle(line: string, handlers: ControlHandlers): Promise<Answer> {
  let request: { method?: unknown; params?: Json };
  try {
    request = JSON.parse(line) ?? {};
  } catch {
    throw new TwillError('ERR_TWILL_CONTROL', 'the request is not JSON');
  }
  const { method, params = null } = request;
  const handler =
    typeof method === 'string' && Object.hasOwn(handlers, method) ? handlers[method] : undefined;
  if (!handler) {
    const known = Object.keys(handlers).join(', ');
    throw new TwillError(
      'ERR_TWILL_CONTROL',
      `unknown method ${JSON.stringify(method)?.slice(0, 80)}: there is ${known}`,
    );
  }
  return handler(params);
}

function stream(socket: Socket, { result, send }: ControlStream): void {
  const gone = new AbortController();
  socket.setTimeout(0);
  socket.once('close', () => gone.abort());
  // Whoever ends its side has enough, and still gets what is on its way.
  socket.once('end', () => gone.abort());
  if (socket.destroyed || socket.readableEnded) gone.abort();
  socket.write(`${JSON.stringify({ result })}\n`);
  void send(socket, gone.signal).then(
    () => socket.end(),
    () => socket.destroy(),
  );
}

function readAnswer(text: string): Json {
  const answer = JSON.parse(text) as { result?: Json; error?: { code: TwillErrorCode; message: string } };
  if (answer.error) throw new TwillError(answer.error.code, answer.error.message);
  if (answer.result === undefined) throw new Error('neither result nor error');
  return answer.result;
}

/**
 * Listens with the file closed to others from its first moment: it is made where nobody else can look, and linked to its place
 * when it is so. (A umask is that of the whole process, and threads have none.) Gives what removes it.
 */
async function bind(server: Server, path: string): Promise<() => Promise<void>> {
  const room = await mkdtemp(`${dirname(path)}/.`);
  const made = join(room, 's');
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(made, () => {
        server.off('error', reject);
        resolve();
      });
    });
    await chmod(made, 0o600);
    await link(made, path).catch(async (error) => {
      if (error.code !== 'EEXIST') throw error;
      await removeStale(path);
      await link(made, path);
    });
    const { ino } = await lstat(path);
    return async () => {
      const found = await lstat(path).catch(() => null);
      if (found?.ino === ino) await unlink(path).catch(() => {});
    };
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path);
  if (!found.isSocket())
    throw new TwillError(
      'ERR_TWILL_CONTROL',
      `${path} is in the way and is no socket: remove it, or choose another with --control-socket`,
    );
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
  if (isAlive)
    throw new TwillError(
      'ERR_TWILL_CONTROL',
      `another agent listens on ${path}: stop it, or choose another with --control-socket`,
    );
  await unlink(path);
}

/** `alsoBytes`: of another path that is needed for it. */
function checkPath(path: string, alsoBytes = 0): void {
  if (Math.max(Buffer.byteLength(path), alsoBytes) <= LONGEST_PATH_BYTES) return;
  throw new TwillError(
    'ERR_TWILL_CONTROL',
    `control socket ${path} is too long: a path of a socket has at most ${LONGEST_PATH_BYTES} bytes`,
  );
}

function connectFailure(path: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    return `no agent listens on ${path}: start one with "twill run", or name its socket with --control-socket`;
  }
  if (code === 'EACCES' || code === 'EPERM')
    return `control socket ${path}: permission denied: run as the user of the agent`;
  return `cannot ask the agent on ${path}: ${message}`;
}
