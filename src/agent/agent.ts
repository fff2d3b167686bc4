/**
 * One node's life. `start` reads from top to bottom in the order in which things happen: what the cluster is, where we
 * stand in it, our lease, the dataplane; then loops run until the end: one keeps our lease, one follows the leases of the
 * others, one keeps the device as it should be, one tells of readiness. subnet.env is written when the first peers are in
 * the dataplane, so whoever waits for it finds an overlay that carries. A start that fails half-way takes back what it
 * made, except the lease: as with flannel a lease outlives the process, and the next start finds it again.
 */

import type { Backend, BackendNode } from '../backend/backend.js';
import { parseNetConf } from '../config/net-conf.js';
import type { RunOptions } from '../config/run-options.js';
import type { Plane } from '../dataplane/plane.js';
import type { UserspacePlaneOptions } from '../dataplane/userspace.js';
import { TwillError } from '../errors.js';
import { LeaseSet } from '../lease/lease-set.js';
import { netlink as kernelNetlink } from '../native/netlink.js';
import { IpAddress } from '../net/ip.js';
import type { Json } from '../net/json.js';
import { ControlServer, type ControlStream, JsonRows } from '../observe/control-socket.js';
import type { HealthServer } from '../observe/health-server.js';
import type { Logger } from '../observe/log.js';
import type { DataplaneSample } from '../observe/metrics.js';
import type { Store } from '../store/store.js';
import { captureStream } from './capture.js';
import { type Clock, systemClock } from './clock.js';
import { changedParts, clusterOf, networkList, networks, underlayFamilies } from './cluster.js';
import { DeviceKeeper } from './device-keeper.js';
import { openHealth } from './health.js';
import { type HostNetlink, readHostNetwork } from './host.js';
import { LeaseHolder } from './lease-holder.js';
import { dataplaneSample, SubnetTexts } from './metrics-sample.js';
import { explained, localAddresses, openPlane, unregistered, wantedDevice } from './open-plane.js';
import { addressParameter, textParameter } from './parameters.js';
import { localTexts, peerJson } from './peer-choice.js';
import { PeerTable } from './peers.js';
import { Readiness } from './readiness.js';
import type { ServiceManager } from './service-manager.js';
import { peerRows, statusJson, subnetText } from './status.js';
import type { SubnetEnv } from './subnet-env.js';
import { SubnetFile } from './subnet-file.js';
import { leftoverMacs, supplanter, takeable, takeoverLine } from './takeover.js';
import { traceJson } from './trace.js';
import { TrafficWatch, trafficRequest } from './traffic.js';
import { chooseUnderlay, type Underlay } from './underlay.js';
import { untilServed } from './until-served.js';
import { packageVersion } from './version.js';
import { chooseVtepMacs } from './vtep-mac.js';

export interface AgentParts {
  /** Stays the caller's: `stop` does not close it. */
  readonly store: Store;
  readonly logger: Logger;
  readonly openPlane?: (options: UserspacePlaneOptions) => Plane;
  readonly netlink?: HostNetlink;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Hears how we are. */
  readonly serviceManager?: ServiceManager;
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
  readonly health: HealthServer | null;
  readonly peers: PeerTable;
  readonly device: DeviceKeeper;
  readonly readiness: Readiness;
  readonly subnetFile: SubnetFile;
  readonly subnetEnv: SubnetEnv;
  readonly startedAtMs: number;
}

export class Agent {
  readonly #running: Running;
  readonly #stopping: AbortController;
  readonly #subnetTexts = new SubnetTexts();
  readonly #traffic: TrafficWatch;
  #netConfText: string;
  #closed: Promise<void> | undefined;
  #published: () => void = () => {};
  /** Resolves once the peers are in the plane and subnet.env has been tried. */
  readonly #up = new Promise<void>((resolve) => {
    this.#published = resolve;
  });
  /** Resolves after `stop`; rejects when the node cannot go on (ERR_TWILL_LEASE_LOST). All is closed by then. */
  readonly finished: Promise<void>;

  private constructor(running: Running, stopping: AbortController) {
    this.#running = running;
    this.#stopping = stopping;
    this.#netConfText = running.netConfText;
    this.#traffic = new TrafficWatch(running.plane);
    this.finished = this.#live();
    this.finished.catch(() => {});
  }

  /** Resolves when the first peers are in the plane and subnet.env is written, or cannot be. Throws a TwillError of one clear line. */
  static async start(options: RunOptions, parts: AgentParts): Promise<Agent> {
    const { store, logger, clock = systemClock, random = Math.random, netlink = kernelNetlink } = parts;
    const startedAtMs = clock.nowMs();
    const stopping = new AbortController();
    const signal = parts.signal ? AbortSignal.any([stopping.signal, parts.signal]) : stopping.signal;
    const undo: (() => void | Promise<void>)[] = [];
    const readiness = new Readiness();
    let agent: Agent | undefined;
    const started = (): Agent => {
      if (agent) return agent;
      const waiting = readiness.missing[0] ?? 'ask again in a moment';
      throw new TwillError('ERR_TWILL_CONTROL', `the agent is still starting: ${waiting}`);
    };
    try {
      // First of all: a probe shall find us alive however slow the store is.
      const health = options.healthz
        ? await openHealth(options.healthz, readiness, clock, () => agent?.dataplane() ?? null)
        : null;
      undo.push(() => health?.close());
      // Before anything is changed: a second agent is refused here.
      const control = await ControlServer.listen(options.controlSocket, {
        status: () => started().status(),
        peers: () => started().peers(),
        trace: (params) => started().trace(addressParameter(params)),
        traffic: (params) => started().traffic(params),
        peer: (params) => started().peer(params),
        capture: (params) => started().capture(params),
      });
      undo.push(() => control.close());
      parts.serviceManager?.status(`starting: ${store.description} is asked for the network configuration`);
      const patience = { clock, logger, random };
      const netConfText = await untilServed(() => store.readConfig(signal), patience, signal);
      const cluster = clusterOf(netConfText, store.description);
      const { netConf, backend } = cluster;
      logger.info(`Found network config - Backend type: ${backend.type}`);

      const underlay = chooseUnderlay(
        { ...options, families: underlayFamilies(cluster) },
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
      // Before the store is touched: a flanneld that lives here is not to be disturbed.
      const wanted = wantedDevice(options, netConf, backend);
      const leftovers = takeable(wanted, netlink);
      const listing = await untilServed(() => store.list(signal), patience, signal);
      const macs =
        backend.encap === 'vxlan' ? chooseVtepMacs(listing, identity, leftoverMacs(leftovers), random) : {};
      const node: BackendNode = { ...identity, ...macs };

      const ttlMs = options.leaseTtlSeconds * 1000;
      const subnetFile = new SubnetFile(options.subnetFile, { logger, clock, random });
      const holder = await LeaseHolder.acquire(
        {
          ...{ store, netConf, logger, clock, random, ttlMs },
          attributes: backend.attributes(node),
          listing,
          previous: await subnetFile.previousSubnets(),
          renewMarginMs: options.subnetLeaseRenewMarginMinutes * 60_000,
        },
        signal,
      ).catch((error) => unregistered(error, logger));
      readiness.set('lease', () => leaseFault(holder, clock));

      const { subnets } = holder.lease;
      const plane = openPlane(parts, netlink, {
        ...{ backend, subnets, externalMtuBytes: underlay.mtuBytes, overlayNetworks: networkList(netConf) },
        ...{ workers: options.workers, sourceCheck: options.sourceCheck },
        offload: options.offload,
        workerCpus: options.workerCpus,
        ...localAddresses(netConf, underlay),
        ownAddresses: netlink.addresses().map(({ address }) => address),
        ...macs,
        replaces: leftovers,
        ...(options.tunName !== undefined && { deviceName: options.tunName }),
      });
      undo.push(() => plane.close());
      if (leftovers.length > 0) logger.info(takeoverLine(leftovers, node));
      const { mtuBytes } = plane;
      logger.info(
        { device: plane.deviceName, mtuBytes },
        `Device ${plane.deviceName} is up, MTU ${mtuBytes}`,
      );
      const device = new DeviceKeeper({
        ...{ plane, netlink, logger, clock },
        explain: (error) => explained(error, netlink, { port: backend.port, deviceName: plane.deviceName }),
        supplanter: () => supplanter(wanted, netlink),
      });
      readiness.set('device', () => device.trouble);

      const peers = new PeerTable({
        ...{ store, backend, node, plane, logger, clock },
        leases: new LeaseSet({ networks: networkList(netConf), ownSubnets: subnets }),
        onSnapshot: (snapshot) => holder.observe(snapshot),
      });
      readiness.set('peers', () => peers.missing);
      readiness.set('subnet-file', () => subnetFile.missing);
      if (signal.aborted) throw stoppedWhileStarting();
      const subnetEnv = { networks: networks(netConf), subnets, mtuBytes, ipMasq: options.ipMasq };
      const wired = { underlay, node, backend, holder, plane, control, health, peers, device, startedAtMs };
      const told = { readiness, subnetFile, subnetEnv };
      agent = new Agent({ options, parts, clock, netConfText, ...wired, ...told }, stopping);
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
    const { holder, peers, plane, device, readiness, clock, parts } = this.#running;
    const { signal } = this.#stopping;
    const loops = [holder.keep(signal), peers.follow(signal), device.keep(signal), this.#publish(signal)];
    const tellers = [
      readiness.follow(clock, signal, (missing) => this.#tell(missing)),
      parts.serviceManager?.watch(() => plane.isTurning(), clock, signal),
    ];
    try {
      await Promise.all([...loops, ...tellers]);
    } catch (error) {
      const isLost = error instanceof TwillError && error.code === 'ERR_TWILL_LEASE_LOST';
      const flannels = isLost ? 'Lease has been revoked. Shutting down daemon. ' : '';
      parts.logger.fatal({ err: error }, `${flannels}${(error as Error).message}`);
      throw error;
    } finally {
      await this.#close();
    }
  }

  /** subnet.env makes a CNI plugin start pods: not before they can reach the others. */
  async #publish(signal: AbortSignal): Promise<void> {
    const { peers, readiness, subnetFile, subnetEnv } = this.#running;
    await Promise.race([peers.applied, aborted(signal)]);
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
    serviceManager?.status(`ready: ${subnetText(holder.lease.subnets)} on ${plane.deviceName}`);
    serviceManager?.ready();
  }

  /** Stops forwarding and closes everything but the store. The lease stays, so that a restart finds it again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.finished.catch(() => {});
  }

  #close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#stopping.abort();
      const { plane, control, health, readiness, parts } = this.#running;
      readiness.end('stopping');
      parts.serviceManager?.stopping();
      plane.close();
      await Promise.all([control.close(), health?.close()]);
      parts.logger.info('stopped');
    })();
    return this.#closed;
  }

  /** SIGHUP: looks at the store afresh and at what of net-conf has changed. */
  reload(): void {
    const { parts, peers } = this.#running;
    const { store, logger, serviceManager } = parts;
    serviceManager?.reloading();
    peers.refresh();
    const read = async () => {
      const text = await store.readConfig(this.#stopping.signal);
      const changes = changedParts(
        parseNetConf(this.#netConfText),
        clusterOf(text, store.description).netConf,
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

  status(): Json {
    const { parts, holder, clock, startedAtMs, device, readiness, ...running } = this.#running;
    return statusJson({
      ...running,
      readiness: readiness.conditions,
      version: packageVersion(),
      lease: holder.lease,
      leaseRenewsAtMs: holder.renewsAtMs,
      deviceTrouble: device.trouble,
      storeDescription: parts.store.description,
      upMs: clock.nowMs() - startedAtMs,
    });
  }

  peers(): JsonRows {
    const { peers, plane } = this.#running;
    return new JsonRows(peerRows(peers.entries, plane.peerStats()));
  }

  /** Throws ERR_TWILL_ARGUMENT. */
  traffic(params: Json): Json {
    const { plane, holder } = this.#running;
    const node = { subnet: subnetText(holder.lease.subnets), device: plane.deviceName };
    return { node, ...this.#traffic.look(trafficRequest(params)) };
  }

  dataplane(): DataplaneSample {
    const { holder, device, clock, ...running } = this.#running;
    const { lease, renewsAtMs: leaseRenewsAtMs } = holder;
    return dataplaneSample(
      { ...running, lease, leaseRenewsAtMs, deviceTrouble: device.trouble, nowMs: clock.nowMs() },
      this.#subnetTexts,
    );
  }

  /** The peer that somebody means, and what lies between it and us. Throws ERR_TWILL_ADDRESS or _ARGUMENT. */
  peer(params: Json): Json {
    const { backend, holder, peers, plane, underlay } = this.#running;
    const node = { backend, plane, underlay, ownSubnets: holder.lease.subnets, entries: peers.entries };
    return peerJson(textParameter(params, 'peer'), node);
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
    return traceJson({
      ...{ destination, found: plane.trace(destination), stats: plane.peerStats() },
      ...{ entries: peers.entries, quarantined: peers.quarantined, ownSubnets: holder.lease.subnets },
    });
  }
}

function leaseFault({ lease }: LeaseHolder, clock: Clock): string | null {
  const { key, expiresAtMs } = lease;
  if (expiresAtMs === undefined || expiresAtMs > clock.nowMs()) return null;
  return `${key} has ended and could not be renewed`;
}

function stoppedWhileStarting(): TwillError {
  return new TwillError('ERR_TWILL_CLOSED', 'stopped while starting');
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
