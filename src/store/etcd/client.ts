/**
 * Calls to an etcd cluster: to one member at a time, to the next one when that fails, with a token where there is a
 * user. Nothing here waits for a better day: what cannot be done within a round or two of the members is thrown.
 */
import type { EtcdOptions } from '../../config/store-options.js';
import { TwillError } from '../../errors.js';
import { Connection, type RpcStream } from './connection.js';
import { failureKind, failureText, unavailable } from './failure.js';
import type { Draft } from './protobuf.js';
import { AUTHENTICATE, type Rpc } from './rpc.js';

const CALL_TIMEOUT_MS = 5000;
/** Where there is a next member, the present one gets this time, and more the longer none of them answers. */
const CONNECT_TIMEOUT_MS = 1000;
const LONGEST_CONNECT_TIMEOUT_MS = 4000;

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

export class EtcdClient {
  readonly #options: EtcdOptions;
  #next = 0;
  #failedRounds = 0;
  #open: Connection | null = null;
  #opening: Promise<Connection> | null = null;
  #token: string | null = null;
  #isClosed = false;

  constructor(options: EtcdOptions) {
    this.#options = options;
  }

  /** Throws ERR_TWILL_STORE, or ERR_TWILL_STORE_UNAVAILABLE where trying again may help. */
  async call<Request, Response>(
    rpc: Rpc<Request, Response>,
    request: Draft<Request>,
    { signal, timeoutMs = CALL_TIMEOUT_MS }: RequestOptions = {},
  ): Promise<Response> {
    let failure: unknown;
    let tokens = 0;
    for (let attempt = 0; attempt <= this.#options.endpoints.length; attempt++) {
      const connection = await this.#connection(signal);
      try {
        const token = await this.#tokenFor(connection, signal);
        return await connection.unary(rpc, request, { timeoutMs, token, signal });
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof TwillError) throw error;
        failure = error;
        const kind = failureKind(error);
        // One new token for a call, for each costs etcd a tenth of a second.
        if (kind === 'token' && this.#token !== null && tokens++ === 0) {
          this.#token = null;
          continue;
        }
        if (kind !== 'elsewhere') throw this.#explained(error, connection);
        this.failed(connection);
      }
    }
    throw unavailable(
      `etcd at ${this.#options.endpoints.join(', ')} does not serve: ${failureText(failure)}`,
      failure,
    );
  }

  /** A stream to the present member, and the connection to blame when it fails. */
  async stream<Request, Response>(
    rpc: Rpc<Request, Response>,
    signal: AbortSignal,
  ): Promise<{ stream: RpcStream<Request, Response>; connection: Connection }> {
    const connection = await this.#connection(signal);
    try {
      const token = await this.#tokenFor(connection, signal);
      return { stream: connection.stream(rpc, token), connection };
    } catch (error) {
      if (error instanceof TwillError) throw error;
      if (failureKind(error) !== 'elsewhere') throw this.#explained(error, connection);
      this.failed(connection);
      throw unavailable(failureText(error), error);
    }
  }

  /** The member behind this connection did not serve: the next one is tried. */
  failed(connection: Connection): void {
    connection.close();
    if (this.#open !== connection) return;
    this.#open = null;
    this.#next += 1;
  }

  close(): void {
    this.#isClosed = true;
    this.#open?.close();
    this.#open = null;
  }

  async #connection(signal: AbortSignal | undefined): Promise<Connection> {
    signal?.throwIfAborted();
    if (this.#open?.isLost) this.failed(this.#open);
    if (this.#open) return this.#open;
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return orAbort(this.#opening, signal);
  }

  /** Each member once. */
  async #connect(): Promise<Connection> {
    const { endpoints } = this.#options;
    const wantedMs = CONNECT_TIMEOUT_MS * 2 ** this.#failedRounds;
    const timeoutMs =
      endpoints.length > 1 ? Math.min(wantedMs, LONGEST_CONNECT_TIMEOUT_MS) : LONGEST_CONNECT_TIMEOUT_MS;
    const reasons = new Map<string, string>();
    for (let i = 0; i < endpoints.length && !this.#isClosed; i++, this.#next++) {
      const endpoint = endpoints[this.#next % endpoints.length] ?? '';
      try {
        const connection = await Connection.open(endpoint, this.#options, timeoutMs);
        if (this.#isClosed) {
          connection.close();
          break;
        }
        this.#failedRounds = 0;
        this.#open = connection;
        return connection;
      } catch (error) {
        // A file of ours that is wrong is no fault of a member.
        if (error instanceof TwillError) throw error;
        reasons.set(endpoint, failureText(error));
      }
    }
    if (this.#isClosed) throw new TwillError('ERR_TWILL_CLOSED', 'the store is closed');
    this.#failedRounds += 1;
    // In their order, whichever was first: the same trouble is the same text.
    const texts = endpoints.map((endpoint) => `${endpoint}: ${reasons.get(endpoint) ?? 'not tried'}`);
    throw unavailable(`cannot reach etcd at ${texts.join('; ')}`);
  }

  async #tokenFor(connection: Connection, signal: AbortSignal | undefined): Promise<string | undefined> {
    const { username, password } = this.#options;
    if (username === undefined) return undefined;
    if (this.#token === null) {
      const request = { name: username, password: password?.reveal() ?? '' };
      try {
        const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
        this.#token = (await connection.unary(AUTHENTICATE, request, options)).token;
      } catch (error) {
        // As etcd's own client: a cluster without users takes everybody.
        if (failureKind(error) !== 'no-auth') throw error;
        return undefined;
      }
    }
    return this.#token;
  }

  #explained(error: unknown, { endpoint }: Connection): TwillError {
    const { username } = this.#options;
    const text = failureText(error);
    switch (failureKind(error)) {
      case 'busy':
        return unavailable(`etcd at ${endpoint} has no room now: ${text}`, error);
      case 'login': {
        const fix =
          username === undefined
            ? 'it wants a user: give --etcd-username and --etcd-password'
            : `it refuses user ${JSON.stringify(username)}: check --etcd-username and --etcd-password`;
        return new TwillError('ERR_TWILL_STORE', `etcd at ${endpoint}: ${text}; ${fix}`, { cause: error });
      }
      case 'denied': {
        const who = username === undefined ? 'we' : `user ${JSON.stringify(username)}`;
        const fix = `${who} must be allowed to read and write below the prefix`;
        return new TwillError('ERR_TWILL_STORE', `etcd at ${endpoint}: ${text}; ${fix}`, { cause: error });
      }
      default:
        return new TwillError('ERR_TWILL_STORE', `etcd at ${endpoint}: ${text}`, { cause: error });
    }
  }
}

function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
