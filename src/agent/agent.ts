/**
 * One node's life: a start (start.ts), then loops until the end: one keeps our lease, one follows the leases of the others,
 * one keeps the device as it should be, one the host's rules, one tells of readiness. subnet.env is written when the first
 * peers are in the dataplane and the rules are set, so whoever waits for it finds an overlay that carries.
 */
import { parseNetConf } from '../config/net-conf.js';
import type { RunOptions } from '../config/run-options.js';
import { TwillError } from '../errors.js';
import { Answers } from './answers.js';
import { changedParts, clusterOf, netConfReading } from './cluster.js';
import type { AgentParts, Running } from './running.js';
import { type StartTerms, startNode, stoppedWhileStarting } from './start.js';
import { subnetText } from './status.js';
import type { AgentStatus } from './told.js';

export type { AgentParts } from './running.js';

export class Agent {
  readonly #running: Running;
  readonly #answers: Answers;
  readonly #stopping: AbortController;
  #netConfText: string;
  #published: () => void = () => {};
  /** Resolves once the peers are in the plane and subnet.env has been tried. */
  readonly #up = new Promise<void>((resolve) => {
    this.#published = resolve;
  });
  /** Resolves after `stop`; rejects when the node cannot go on (ERR_TWILL_LEASE_LOST). All is closed by then. */
  readonly finished: Promise<void>;

  private constructor(running: Running, stopping: AbortController) {
    this.#running = running;
    this.#answers = new Answers(running);
    this.#stopping = stopping;
    this.#netConfText = running.netConfText;
    this.finished = this.#live();
    this.finished.catch(() => {});
  }

  /** Resolves when the first peers are in the plane and subnet.env is written, or cannot be. Throws a TwillError of one clear line. */
  static async start(options: RunOptions, parts: AgentParts): Promise<Agent> {
    const stopping = new AbortController();
    const signal = parts.signal ? AbortSignal.any([stopping.signal, parts.signal]) : stopping.signal;
    const undo: StartTerms['undo'] = [];
    let agent: Agent | undefined;
    try {
      const answers = () => (agent ? agent.#answers : null);
      agent = new Agent(await startNode({ options, parts, signal, undo, answers }), stopping);
      await Promise.race([agent.#up, agent.finished, aborted(signal)]);
      if (signal.aborted) throw stoppedWhileStarting();
      return agent;
    } catch (error) {
      stopping.abort();
      await agent?.finished.catch(() => {});
      for (const takeBack of undo.reverse()) await takeBack();
      throw error;
    }
  }

  /** The loops, then the end. */
  async #live(): Promise<void> {
    const { loops, plane, readiness, clock, parts } = this.#running;
    const { signal } = this.#stopping;
    const tellers = [
      readiness.follow(clock, signal, (missing) => this.#tell(missing)),
      parts.serviceManager?.watch(() => plane.isTurning(), clock, signal),
    ];
    let standIn = this.#running.standIn;
    try {
      await Promise.all([...loops.map((loop) => loop(signal)), this.#publish(signal), ...tellers]);
    } catch (error) {
      // Our subnet is somebody else's, or our place: packets must not pass here any more.
      standIn = null;
      const isLost = error instanceof TwillError && error.code === 'ERR_TWILL_LEASE_LOST';
      const flannels = isLost ? 'Lease has been revoked. Shutting down daemon. ' : '';
      parts.logger.fatal({ err: error }, `${flannels}${(error as Error).message}`);
      throw error;
    } finally {
      await this.#close(standIn);
    }
  }

  /** subnet.env makes a CNI plugin start pods: not before they can reach the others, and the world by our rules. */
  async #publish(signal: AbortSignal): Promise<void> {
    const { peers, firewall, readiness, subnetFile, subnetEnv } = this.#running;
    await Promise.race([Promise.all([peers.applied, firewall.attempted]), aborted(signal)]);
    await subnetFile.keep(subnetEnv, signal, () => {
      readiness.look();
      this.#published();
    });
  }

  #tell(missing: readonly string[]): void {
    const { parts, holder, plane } = this.#running;
    const { logger, serviceManager } = parts;
    if (missing.length > 0) {
      const text = `not ready: ${missing.join('; ')}`;
      logger.info({ missing }, text);
      serviceManager?.status(text);
      return;
    }
    logger.info('ready');
    holder.carries?.();
    serviceManager?.status(`ready: ${subnetText(holder.lease.subnets)} on ${plane.deviceName}`);
    serviceManager?.ready();
  }

  /** Stops forwarding and closes everything but the store. The lease stays, so that a restart finds it again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.finished.catch(() => {});
  }

  async #close(standIn: (() => void) | null): Promise<void> {
    this.#stopping.abort();
    const { plane, control, health, readiness, parts } = this.#running;
    readiness.end('stopping');
    parts.serviceManager?.stopping();
    plane.close();
    standIn?.();
    await Promise.all([control.close(), health?.close()]);
    parts.logger.info('stopped');
  }

  /** SIGHUP: looks at the store afresh and at what of net-conf has changed. */
  reload(): void {
    const { parts, peers } = this.#running;
    const { store, logger, serviceManager } = parts;
    serviceManager?.reloading();
    peers.refresh();
    const read = async () => {
      const text = await store.readConfig(this.#stopping.signal);
      const reading = netConfReading(store);
      const changes = changedParts(
        parseNetConf(this.#netConfText, reading),
        clusterOf(text, store.description, reading).netConf,
      );
      this.#netConfText = text;
      if (changes.length === 0) logger.info('reloaded: the network configuration is as it was');
      else
        logger.warn({ changes }, `reloaded: ${changes.join(', ')} changed, which takes effect at a restart`);
    };
    read()
      .catch((error) => {
        if (!this.#stopping.signal.aborted)
          logger.error({ err: error }, `reload failed, all stays as it is: ${error.message}`);
      })
      .finally(() => serviceManager?.reloaded());
  }

  /** As `twill status --json` prints it. */
  status(): AgentStatus {
    return this.#answers.status();
  }

  /** What it says on its control socket. */
  get answers(): Answers {
    return this.#answers;
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
