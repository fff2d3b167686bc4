/**
 * `twill/agent`: a whole node as an object, as `twill run` is one: it takes a lease from a store, makes the overlay device
 * and carries packets to the peers that the store names. For programs that are a node, and for tests.
 *
 *    const store = await openDirectoryStore('/srv/leases');
 *    await using agent = await Agent.start({ store, iface: 'eth0' });
 *    console.log(agent.status().node.subnet);
 */
import { Agent as Node } from './agent/agent.js';
import type { AgentStatus, PeerStatus, TraceStatus } from './agent/told.js';
import {
  type EtcdFields,
  etcdStoreOptions,
  type KubeFields,
  kubeStoreOptions,
  type RunFields,
  runOptionsOf,
} from './config/agent-options.js';
import { TwillError, wrongType } from './errors.js';
import { IpAddress } from './net/ip.js';
import { createLogger, type Logger } from './observe/log.js';
import { DirectoryStore } from './store/directory.js';
import { openStore } from './store/open.js';
import { ownStore } from './store/own-store.js';
import type { AnyStore, Store } from './store/store.js';

export type {
  AgentStatus,
  DirectionStatus,
  FirewallStatus,
  MendedStatus,
  PeerCounts,
  PeerStatus,
  TraceStatus,
} from './agent/told.js';
export type { EtcdFields, KubeFields, RunFields } from './config/agent-options.js';
export { type ArgumentError, TwillError, type TwillErrorCode } from './errors.js';
export { IpAddress, type IpFamily } from './net/ip.js';
export { MacAddress } from './net/mac.js';
export { Prefix } from './net/prefix.js';
export type {
  AnyStore,
  LeaseListing,
  LeaseRecord,
  PutOptions,
  Store,
  StoreRecord,
  StoreSnapshot,
  UnreadableRecord,
} from './store/store.js';

export interface AgentOptions extends RunFields {
  /**
   * Where leases are kept: text as `--store` takes it (`dir:/srv/leases`), or a store of yours, which stays yours: the agent
   * does not close it. Default `dir:/var/lib/twill`.
   */
  readonly store?: string | AnyStore;
  /** Default: nothing is logged, unless there is a `logLevel`: then JSON lines on standard error. */
  readonly logger?: Logger;
  /** Ends a start that is still under way: it rejects with ERR_TWILL_CLOSED or the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * A node of the overlay, from its start on.
 *
 * @example
 * await using agent = await Agent.start({ store: 'dir:/srv/leases', iface: 'eth0' });
 * console.log(agent.status().node.subnet, agent.peers().length);
 * await agent.finished;
 */
export class Agent implements AsyncDisposable {
  readonly #node: Node;
  /**
   * Resolves after `stop`; rejects with a TwillError when the node cannot go on, for example because another one holds its
   * lease (ERR_TWILL_LEASE_LOST). All is closed by then. Nobody has to listen.
   */
  readonly finished: Promise<void>;

  private constructor(node: Node, store: AnyStore | null) {
    if (!(node instanceof Node)) throw wrongType('Agent', 'made by Agent.start', node);
    this.#node = node;
    this.finished = node.finished.finally(() => store?.close());
    this.finished.catch(() => {});
  }

  /**
   * Resolves when the node carries: the first peers are in the plane, and the subnet file is written or cannot be. Needs
   * CAP_NET_ADMIN. Throws TypeError or RangeError at once for wrong options, and a TwillError of one clear line for what the
   * system or the store refuses; nothing is left behind then but the lease, which the next start finds again.
   */
  static async start(options: AgentOptions = {}): Promise<Agent> {
    const { store: given, logger: own, signal, ...fields } = checked(options);
    const run = runOptionsOf(fields, typeof given === 'string' ? given : undefined);
    const level = fields.logLevel === undefined ? 'silent' : run.logLevel;
    const logger = own ?? createLogger({ level });
    const say = (message: string) => logger.warn(message);
    const theirs =
      given === undefined || typeof given === 'string' ? null : ownStore('Agent.start: store', given);
    const store = theirs ?? (await openStore(run.store, { stateDirectory: run.stateDirectory, say }));
    try {
      const node = await Node.start(run, { store, logger, ...(signal && { signal }) });
      return new Agent(node, theirs ? null : store);
    } catch (error) {
      if (!theirs) await store.close();
      throw error;
    }
  }

  /** As `twill status --json` prints it; after `stop` as it was at the end. */
  status(): AgentStatus {
    return this.#node.answers.status();
  }

  /** One row for each peer in the plane, as `twill peers --json`. */
  peers(): readonly PeerStatus[] {
    return [...this.#node.answers.peers()];
  }

  /** What would happen to a packet to this address. Throws TypeError, and ERR_TWILL_ADDRESS where the text is no address. */
  trace(address: string | IpAddress): TraceStatus {
    if (typeof address !== 'string' && !(address instanceof IpAddress))
      throw wrongType('Agent.trace: address', 'an IpAddress or its text', address);
    return this.#node.answers.trace(`${address}`);
  }

  /** Looks at the store afresh. What has changed of the network's configuration takes effect at the next start. */
  reload(): void {
    this.#node.reload();
  }

  /** Ends the node; the lease stays, so that the next start finds it again. A second call is the same. Never rejects. */
  async stop(): Promise<void> {
    await this.#node.stop();
    await this.finished.catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

const LOGGER_METHODS = ['debug', 'info', 'warn', 'error', 'fatal'] as const;

function checked(options: AgentOptions): AgentOptions {
  if (typeof options !== 'object' || options === null)
    throw wrongType('Agent.start: options', 'an object', options);
  const { logger, signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw wrongType('Agent.start: signal', 'an AbortSignal', signal);
  if (logger !== undefined) {
    const missing = LOGGER_METHODS.find((name) => typeof logger?.[name] !== 'function');
    if (missing !== undefined) throw wrongType('Agent.start: logger', `a Logger with ${missing}()`, logger);
  }
  return options;
}

/**
 * Leases as files, for one machine or a shared file system: `PATH/config` is the network's configuration. Makes the folders
 * that are missing. Throws TypeError, ERR_TWILL_STORE.
 *
 * @example
 * const store = await openDirectoryStore('/srv/leases');
 * console.log(await store.readConfig());
 * await store.close();
 */
export async function openDirectoryStore(path: string): Promise<Store> {
  if (typeof path !== 'string' || path === '') throw wrongType('openDirectoryStore: path', 'a path', path);
  return DirectoryStore.open(path);
}

/**
 * Leases in etcd v3, as flannel keeps them. Nothing is asked yet: an etcd that is not there is waited for by the agent. Throws
 * TypeError, RangeError, ERR_TWILL_STORE.
 *
 * @example
 * const store = await openEtcdStore({ endpoints: 'https://192.0.2.10:2379', prefix: '/coreos.com/network' });
 * const agent = await Agent.start({ store });
 */
export async function openEtcdStore(fields: EtcdFields = {}): Promise<Store> {
  const options = etcdStoreOptions(fields);
  if (options.kind !== 'etcd') throw new TwillError('ERR_TWILL_INTERNAL', 'these are not options of etcd');
  return openStore(options);
}

/**
 * Leases in Kubernetes, as flannel keeps them: each node's subnet is its PodCIDR, which the cluster gives, and annotations say
 * how it is reached. Nothing is asked yet: an API server that is not there is waited for by the agent. Throws TypeError,
 * RangeError.
 *
 * @example
 * const store = await openKubeStore({ environment: process.env });
 * await using agent = await Agent.start({ store, ipMasq: true, logLevel: 'info' });
 * console.log(agent.status().node.subnet);
 */
export async function openKubeStore(fields: KubeFields = {}): Promise<AnyStore> {
  return openStore(kubeStoreOptions(fields));
}
