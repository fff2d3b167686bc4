/**
 * One node's life. `start` reads from top to bottom in the order in which things happen: what the cluster is, where we
 * stand in it, our lease, the dataplane, subnet.env; then three loops run until the end: one keeps our lease, one follows
 * the leases of the others, one keeps the device as it should be. A start that fails half-way takes back what it made, except the lease: as with
 * flannel a lease outlives the process, and the next start finds it again.
 */

import type { Backend, BackendNode } from '../backend/backend.js';
import { createBackend } from '../backend/create.js';
import { type NetConf, parseNetConf } from '../config/net-conf.js';
import type { RunOptions } from '../config/run-options.js';
import type { Plane } from '../dataplane/plane.js';
import { UserspacePlane, type UserspacePlaneOptions } from '../dataplane/userspace.js';
import { TwillError } from '../errors.js';
import type { LeaseSubnets } from '../lease/lease.js';
import { LeaseSet } from '../lease/lease-set.js';
import { netlink as kernelNetlink } from '../native/netlink.js';
import { IpAddress, type IpFamily } from '../net/ip.js';
import type { Json } from '../net/json.js';
import { Prefix } from '../net/prefix.js';
import { ControlServer, type ControlStream } from '../observe/control-socket.js';
import type { Logger } from '../observe/log.js';
import type { Store } from '../store/store.js';
import { captureStream } from './capture.js';
import { type Clock, retryDelayMs, systemClock } from './clock.js';
import { DeviceKeeper } from './device-keeper.js';
import { type HostNetlink, readHostNetwork } from './host.js';
import { LeaseHolder } from './lease-holder.js';
import { explainOpenFailure } from './open-failure.js';
import { localTexts, peerJson } from './peer-choice.js';
import { PeerTable } from './peers.js';
import { peersJson, statusJson } from './status.js';
import { readSubnetEnv, type SubnetEnv, writeSubnetEnv } from './subnet-env.js';
import { traceJson } from './trace.js';
import { chooseUnderlay, type Underlay } from './underlay.js';
import { packageVersion } from './version.js';
import { chooseVtepMac } from './vtep-mac.js';

export interface AgentParts {
  /** Stays the caller's: `stop` does not close it. */
  readonly store: Store;
  readonly logger: Logger;
  readonly openPlane?: (options: UserspacePlaneOptions) => Plane;
  readonly netlink?: HostNetlink;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Ends a start that is still under way. */
  readonly signal?: AbortSignal;
}

interface Running {
  readonly options: RunOptions;
  readonly parts: AgentParts;
  readonly clock: Clock;
  readonly netConfText: string;
  readonly underlay: Underlay;
  readonly node: BackendNode;
  readonly backend: Backend;
  readonly holder: LeaseHolder;
  readonly plane: Plane;
  readonly control: ControlServer;
  readonly peers: PeerTable;
  readonly device: DeviceKeeper;
  readonly startedAtMs: number;
}

export class Agent {
  readonly #running: Running;
  readonly #stopping: AbortController;
  #netConfText: string;
  #closed: Promise<void> | undefined;
  /** Resolves after `stop`; rejects when the node cannot go on (ERR_TWILL_LEASE_LOST). All is closed by then. */
  readonly finished: Promise<void>;

  private constructor(running: Running, stopping: AbortController) {
    this.#running = running;
    this.#stopping = stopping;
    this.#netConfText = running.netConfText;
    this.finished = this.#live();
    this.finished.catch(() => {});
  }

  /** Throws a TwillError of one clear line. */
  static async start(options: RunOptions, parts: AgentParts): Promise<Agent> {
    const { store, logger, clock = systemClock, random = Math.random, netlink = kernelNetlink } = parts;
    const startedAtMs = clock.nowMs();
    const stopping = new AbortController();
    const signal = parts.signal ? AbortSignal.any([stopping.signal, parts.signal]) : stopping.signal;
    const undo: (() => void | Promise<void>)[] = [];
    try {
      const netConfText = await store.readConfig(signal);
      const { netConf, backend } = clusterOf(netConfText, store);
      logger.info(`Found network config - Backend type: ${backend.type}`);

      // Before anything is changed: a second agent is refused here.
      let agent: Agent | undefined;
      const started = (): Agent => {
        if (agent) return agent;
        throw new TwillError('ERR_TWILL_CONTROL', 'the agent is still starting: ask again in a moment');
      };
      const control = await ControlServer.listen(options.controlSocket, {
        status: () => started().status(),
        peers: () => started().peers(),
        trace: (params) => started().trace(addressParameter(params)),
        peer: (params) => started().peer(params),
        capture: (params) => started().capture(params),
      });
      undo.push(() => control.close());

      const underlay = chooseUnderlay(
        { ...options, families: underlayFamilies(netConf, backend) },
        readHostNetwork(netlink, options.ifaceCanReach),
      );
      logger.info(
        { mtuBytes: underlay.mtuBytes, publicIp: `${underlay.publicIp ?? underlay.publicIpv6}` },
        `Using interface with name ${underlay.interface} and address ${underlay.address ?? underlay.addressV6}`,
      );
      const identity = {
        publicIp: underlay.publicIp ?? IpAddress.of(4, 0n),
        publicIpv6: underlay.publicIpv6,
      };
      const mac =
        backend.encap === 'vxlan' ? chooseVtepMac(await store.list(signal), identity, random) : undefined;
      const node: BackendNode = { ...identity, ...(mac && { mac }) };

      const ttlMs = options.leaseTtlSeconds * 1000;
      const holder = await LeaseHolder.acquire(
        {
          ...{ store, netConf, logger, clock, random, ttlMs },
          attributes: backend.attributes(node),
          previous: await previousSubnets(options.subnetFile, logger),
          renewMarginMs: options.subnetLeaseRenewMarginMinutes * 60_000,
        },
        signal,
      );

      const plane = openPlane(parts, netlink, {
        ...{ backend, externalMtuBytes: underlay.mtuBytes, overlayNetworks: networkList(netConf) },
        ...{ workers: options.workers, sourceCheck: options.sourceCheck },
        offload: options.offload,
        workerCpus: options.workerCpus,
        subnets: holder.lease.subnets,
        ...localAddresses(netConf, underlay),
        ownAddresses: netlink.addresses().map(({ address }) => address),
        ...(mac && { mac }),
        ...(options.tunName !== undefined && { deviceName: options.tunName }),
      });
      undo.push(() => plane.close());
      const { mtuBytes } = plane;
      logger.info(
        { device: plane.deviceName, mtuBytes },
        `Device ${plane.deviceName} is up, MTU ${mtuBytes}`,
      );

      const { subnets } = holder.lease;
      const { ipMasq, subnetFile } = options;
      await publishSubnetEnv(
        subnetFile,
        { networks: networks(netConf), subnets, mtuBytes, ipMasq },
        { logger, clock, random, signal },
      );

      const peers = new PeerTable({
        ...{ store, backend, node, plane, logger, clock },
        leases: new LeaseSet({ networks: networkList(netConf), ownSubnets: subnets }),
        onSnapshot: (snapshot) => holder.observe(snapshot),
      });
      if (signal.aborted) throw new TwillError('ERR_TWILL_CLOSED', 'stopped while starting');
      const device = new DeviceKeeper({
        ...{ plane, netlink, logger, clock },
        explain: (error) => explained(error, netlink, { port: backend.port, deviceName: plane.deviceName }),
      });
      const wired = { underlay, node, backend, holder, plane, control, peers, device, startedAtMs };
      agent = new Agent({ options, parts, clock, netConfText, ...wired }, stopping);
      return agent;
    } catch (error) {
      stopping.abort();
      for (const takeBack of undo.reverse()) await takeBack();
      throw error;
    }
  }

  /** The three loops, then the end. */
  async #live(): Promise<void> {
    const { holder, peers, device, parts } = this.#running;
    const { signal } = this.#stopping;
    try {
      await Promise.all([holder.keep(signal), peers.follow(signal), device.keep(signal)]);
    } catch (error) {
      parts.logger.fatal({ err: error }, (error as Error).message);
      throw error;
    } finally {
      await this.#close();
    }
  }

  /** Stops forwarding and closes everything but the store. The lease stays, so that a restart finds it again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.finished.catch(() => {});
  }

  #close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#stopping.abort();
      const { plane, control, parts } = this.#running;
      plane.close();
      await control.close();
      parts.logger.info('stopped');
    })();
    return this.#closed;
  }

  /** SIGHUP: looks at the store afresh and at what of net-conf has changed. */
  reload(): void {
    const { parts, peers } = this.#running;
    const { store, logger } = parts;
    peers.refresh();
    const read = async () => {
      const text = await store.readConfig(this.#stopping.signal);
      const changes = changedParts(parseNetConf(this.#netConfText), clusterOf(text, store).netConf);
      this.#netConfText = text;
      if (changes.length === 0) logger.info('reloaded: the network configuration is as it was');
      else
        logger.warn({ changes }, `reloaded: ${changes.join(', ')} changed, which takes effect at a restart`);
    };
    read().catch((error) => {
      if (!this.#stopping.signal.aborted)
        logger.error({ err: error }, `reload failed, all stays as it is: ${error.message}`);
    });
  }

  status(): Json {
    const { parts, holder, clock, startedAtMs, device, ...running } = this.#running;
    return statusJson({
      ...running,
      version: packageVersion(),
      lease: holder.lease,
      deviceTrouble: device.trouble,
      storeDescription: parts.store.description,
      upMs: clock.nowMs() - startedAtMs,
    });
  }

  peers(): Json {
    return peersJson(this.#running.peers.entries);
  }

  /** The peer that somebody means, and what lies between it and us. Throws ERR_TWILL_ADDRESS or _ARGUMENT. */
  peer(params: Json): Json {
    const { backend, peers, plane, underlay } = this.#running;
    return peerJson(textParameter(params, 'peer'), { backend, plane, underlay, entries: peers.entries });
  }

  /** What passes the plane. Throws ERR_TWILL_ARGUMENT, _ADDRESS or _CONTROL. */
  capture(params: Json): ControlStream {
    const { backend, node, peers, plane, underlay } = this.#running;
    return captureStream(params, plane, peers.entries, {
      ...{ device: plane.deviceName, encap: backend.encap, port: backend.port, mtuBytes: plane.mtuBytes },
      addresses: localTexts(underlay),
      mac: node.mac?.toString() ?? null,
    });
  }

  /** Throws ERR_TWILL_ADDRESS. */
  trace(address: string): Json {
    const { plane, peers, holder } = this.#running;
    const destination = IpAddress.parse(address);
    return traceJson(destination, plane.trace(destination), peers.entries, holder.lease.subnets);
  }
}

/** Throws ERR_TWILL_CONFIG, naming the store. */
function clusterOf(netConfText: string, store: Store): { netConf: NetConf; backend: Backend } {
  try {
    const netConf = parseNetConf(netConfText);
    const backend = createBackend(netConf.backend);
    if (backend.encap === 'udp' && !netConf.enableIpv4) {
      throw new TwillError(
        'ERR_TWILL_CONFIG',
        'Backend.Type "udp" carries IPv4 alone: set EnableIPv4 to true, or Backend.Type to "vxlan"',
      );
    }
    return { netConf, backend };
  } catch (error) {
    if (!(error instanceof TwillError)) throw error;
    throw new TwillError(error.code, `${store.description}: ${error.message}`, { cause: error });
  }
}

/** Of the addresses that we need outside: one for each family inside, and udp carries IPv4 alone. */
function underlayFamilies(netConf: NetConf, { encap }: Backend): IpFamily[] {
  if (encap === 'udp') return [4];
  return [...(netConf.enableIpv4 ? [4 as const] : []), ...(netConf.enableIpv6 ? [6 as const] : [])];
}

function networks({ v4, v6 }: NetConf): LeaseSubnets {
  return { ...(v4 && { v4: v4.network }), ...(v6 && { v6: v6.network }) };
}

function networkList({ v4, v6 }: NetConf): Prefix[] {
  return [v4, v6].flatMap((range) => (range ? [range.network] : []));
}

function localAddresses(netConf: NetConf, { address, addressV6 }: Underlay) {
  const first = netConf.enableIpv4 ? address : addressV6;
  if (!first) throw new TwillError('ERR_TWILL_INTERNAL', 'an interface without an address was chosen');
  return { localAddress: first, ...(addressV6 && { localAddressV6: addressV6 }) };
}

function openPlane(parts: AgentParts, netlink: HostNetlink, options: UserspacePlaneOptions): Plane {
  try {
    return (parts.openPlane ?? UserspacePlane.open)(options);
  } catch (error) {
    const deviceName = options.deviceName ?? options.backend.deviceName;
    throw explained(error, netlink, { port: options.backend.port, deviceName });
  }
}

function explained(
  error: unknown,
  netlink: HostNetlink,
  wanted: { port: number; deviceName: string },
): unknown {
  return explainOpenFailure(error, wanted, netlink.links());
}

async function previousSubnets(path: string, logger: Logger): Promise<LeaseSubnets | null> {
  try {
    const read = await readSubnetEnv(path);
    if (read && read.skipped.length > 0)
      logger.warn({ skipped: read.skipped }, `subnet file ${path} is partly unreadable`);
    return read && (read.subnets.v4 || read.subnets.v6) ? read.subnets : null;
  } catch (error) {
    logger.warn({ err: error }, (error as Error).message);
    return null;
  }
}

/** Returns after the first attempt; where that failed, further ones follow in the background. */
async function publishSubnetEnv(
  path: string,
  env: SubnetEnv,
  life: { logger: Logger; clock: Clock; random: () => number; signal: AbortSignal },
): Promise<void> {
  const { logger, clock, random, signal } = life;
  const attempt = async (failures: number): Promise<void> => {
    try {
      await writeSubnetEnv(path, env);
      logger.info(`Wrote subnet file to ${path}`);
    } catch (error) {
      const retryInMs = Math.round(retryDelayMs(failures + 1, random));
      logger.warn({ err: error, retryInMs }, (error as Error).message);
      void clock.sleep(retryInMs, signal).then(() => (signal.aborted ? undefined : attempt(failures + 1)));
    }
  };
  await attempt(0);
}

/** Which top-level parts of net-conf differ, by name. */
function changedParts(before: NetConf, after: NetConf): string[] {
  const plain = (_: string, part: unknown) =>
    part instanceof IpAddress || part instanceof Prefix ? `${part}` : part;
  const text = (value: unknown) => JSON.stringify(value, plain) ?? '';
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])] as (keyof NetConf & string)[];
  return names.filter((name) => text(before[name]) !== text(after[name]));
}

function textParameter(params: Json, name: string): string {
  const value =
    params !== null && typeof params === 'object' && !Array.isArray(params) ? params[name] : undefined;
  if (typeof value === 'string') return value;
  throw new TwillError('ERR_TWILL_ARGUMENT', `the request needs ${name}`);
}

function addressParameter(params: Json): string {
  const address =
    params !== null && typeof params === 'object' && !Array.isArray(params) ? params['address'] : params;
  if (typeof address === 'string') return address;
  throw new TwillError('ERR_TWILL_ARGUMENT', 'trace needs an address');
}
