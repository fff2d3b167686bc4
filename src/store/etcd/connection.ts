/**
 * One connection to one member of etcd. It is opened once and lost once: it never reconnects behind our back, where it
 * would use old certificates. A ping each 8 s finds a member that hangs within 12 s; every call has a deadline besides.
 */
import {
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  connectivityState,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { EtcdOptions } from '../../config/store-options.js';
import { securityFor } from './credentials.js';
import type { Draft } from './protobuf.js';
import type { Rpc } from './rpc.js';

/** 100,000 leases are about 25 MB. */
const LONGEST_ANSWER_BYTES = 256 * 1024 * 1024;

const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': LONGEST_ANSWER_BYTES,
  // etcd refuses pings more often than each 5 s.
  'grpc.keepalive_time_ms': 8000,
  'grpc.keepalive_timeout_ms': 4000,
  // Connections of their own, with credentials of their own.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.enable_channelz': 0,
};

export interface CallOptions {
  readonly timeoutMs: number;
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type RpcStream<Request, Response> = ClientDuplexStream<Draft<Request>, Response>;

export class Connection {
  readonly endpoint: string;
  readonly #client: Client;
  readonly #calls = new Set<{ cancel(): void }>();
  #isLost = false;

  private constructor(endpoint: string, client: Client) {
    this.endpoint = endpoint;
    this.#client = client;
  }

  /** Throws what stands in the way, or that nothing came in time. */
  static async open(endpoint: string, options: EtcdOptions, timeoutMs: number): Promise<Connection> {
    const { credentials, channelOptions } = await securityFor(endpoint, options);
    const client = new Client(target(endpoint), credentials, { ...CHANNEL_OPTIONS, ...channelOptions });
    const connection = new Connection(endpoint, client);
    try {
      await connection.#connected(timeoutMs);
    } catch (error) {
      connection.close();
      throw error;
    }
    connection.#closeWhenLost();
    return connection;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  unary<Request, Response>(
    rpc: Rpc<Request, Response>,
    request: Draft<Request>,
    { timeoutMs, token, signal }: CallOptions,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest<Draft<Request>, Response>(
        rpc.path,
        (draft) => rpc.request.encode(draft),
        (answer) => rpc.response.decode(answer),
        request,
        metadata(token),
        { deadline: Date.now() + timeoutMs },
        (error, answer) => {
          this.#calls.delete(call);
          signal?.removeEventListener('abort', cancel);
          if (answer !== undefined) resolve(answer);
          else reject(signal?.aborted ? signal.reason : error);
        },
      );
      const cancel = () => call.cancel();
      this.#calls.add(call);
      signal?.addEventListener('abort', cancel, { once: true });
      if (signal?.aborted) cancel();
    });
  }

  /** Ends with an error, too, when the connection is lost or closed. */
  stream<Request, Response>(
    rpc: Rpc<Request, Response>,
    token: string | undefined,
  ): RpcStream<Request, Response> {
    const call = this.#client.makeBidiStreamRequest<Draft<Request>, Response>(
      rpc.path,
      (draft) => rpc.request.encode(draft),
      (answer) => rpc.response.decode(answer),
      metadata(token, { hasleader: 'true' }),
    );
    this.#calls.add(call);
    // Whoever reads it hears of its errors; nobody may be reading yet, or any more.
    call.on('error', () => {});
    call.once('status', () => this.#calls.delete(call));
    return call;
  }

  close(): void {
    this.#isLost = true;
    for (const call of this.#calls) call.cancel();
    this.#client.close();
  }

  async #connected(timeoutMs: number): Promise<void> {
    const channel = this.#client.getChannel();
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return;
      if (state === connectivityState.TRANSIENT_FAILURE) throw new Error(await this.#whyNot());
      const isInTime = await new Promise<boolean>((resolve) => {
        channel.watchConnectivityState(state, deadline, (late) => resolve(late === undefined));
      });
      if (!isInTime) throw new Error('no answer in time');
    }
  }

  /** A call that is made in this state fails at once and knows the reason. */
  async #whyNot(): Promise<string> {
    const nothing = { encode: () => Buffer.alloc(0), decode: () => ({}) };
    const call = this.unary({ path: '/', request: nothing, response: nothing }, {}, { timeoutMs: 1000 });
    const { details } = await call.then(
      () => ({ details: 'not connected' }),
      (error: ServiceError) => error,
    );
    return details.replace(/^.*Last error: (Error: )?/, '').replace(/\. Resolution note:.*$/, '');
  }

  #closeWhenLost(): void {
    this.#client
      .getChannel()
      .watchConnectivityState(connectivityState.READY, Number.POSITIVE_INFINITY, () => {
        if (!this.#isLost) this.close();
      });
  }
}

function metadata(token: string | undefined, more: { readonly [name: string]: string } = {}): Metadata {
  const all = new Metadata();
  if (token !== undefined) all.set('token', token);
  for (const [name, value] of Object.entries(more)) all.set(name, value);
  return all;
}

/** In gRPC's words. */
function target(endpoint: string): string {
  const { hostname, port, protocol } = new URL(endpoint);
  const authority = `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
  return hostname.startsWith('[') ? `ipv6:${authority}` : `dns:${authority}`;
}
