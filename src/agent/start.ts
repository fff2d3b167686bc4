/**
 * How a node starts, from top to bottom in the order in which things happen: its doors, what the cluster is, where we stand
 * in it, our lease, the dataplane, then what goes on until the end. Each step is given what the steps before it have found.
 * What a step has made it puts on `undo`, except the lease: as with flannel that outlives the process, and the next start
 * finds it again.
 */
import type { Backend, BackendNode } from '../backend/backend.js';
import type { RunOptions } from '../config/run-options.js';
import type { Plane } from '../dataplane/plane.js';
import { TwillError } from '../errors.js';
import { LeaseSet } from '../lease/lease-set.js';
import { netlink as kernelNetlink } from '../native/netlink.js';
import { ControlServer } from '../observe/control-socket.js';
import type { HealthServer } from '../observe/health-server.js';
import { givesSubnets, type OwnNode, type StoreSnapshot } from '../store/store.js';
import { acquireLease } from './acquire-lease.js';
import { type Answers, controlHandlers } from './answers.js';
import { BlackholeKeeper } from './blackhole-keeper.js';
import { type Clock, systemClock } from './clock.js';
import {
  type Cluster,
  clusterOf,
  netConfReading,
  networkList,
  networks,
  underlayFamilies,
} from './cluster.js';
import { DeviceKeeper } from './device-keeper.js';
import { FirewallKeeper, firewallOf } from './firewall-keeper.js';
import { openHealth } from './health.js';
import type { HostNetlink } from './host.js';
import { type HostNeeds, hostTroubles } from './host-settings.js';
import type { Leftover, WantedDevice } from './leftovers.js';
import { Mended } from './mended.js';
import { explained, openPlane, planeTerms, unregistered, wantedDevice } from './open-plane.js';
import type { OwnLease } from './own-lease.js';
import { PeerTable } from './peers.js';
import { choosePlane, noStandIn, type PlaneChoice, vxlanFaultOf } from './plane-choice.js';
import { Readiness } from './readiness.js';
import { refuseNat } from './refuse-nat.js';
import type { AgentParts, Running } from './running.js';
import { leaveStandIn } from './stand-in.js';
import type { SubnetEnvRead } from './subnet-env.js';
import { SubnetFile } from './subnet-file.js';
import { leftoverMacs, supplanter, supplanterOfRoutes, takeable, takeoverLine } from './takeover.js';
import { chooseStand, type Stand, type StandRequest, UnderlayKeeper } from './underlay-keeper.js';
import { untilServed } from './until-served.js';
import { chooseVtepMacs } from './vtep-mac.js';
import { identityOf, Whereabouts } from './whereabouts.js';

export interface StartTerms {
  readonly options: RunOptions;
  readonly parts: AgentParts;
  readonly signal: AbortSignal;
  /** What takes back what was made, in the order in which it was made. */
  readonly undo: (() => void | Promise<void>)[];
  /** null until the start is over. */
  readonly answers: () => Answers | null;
}

interface Start extends StartTerms {
  readonly clock: Clock;
  readonly random: () => number;
  readonly netlink: HostNetlink;
  readonly readiness: Readiness;
}

/** Throws a TwillError of one clear line. */
export async function startNode(terms: StartTerms): Promise<Running> {
  const { clock = systemClock, random = Math.random, netlink = kernelNetlink } = terms.parts;
  const start: Start = { ...terms, clock, random, netlink, readiness: new Readiness() };
  const startedAtMs = clock.nowMs();
  const doors = await openDoors(start);
  const cluster = await readCluster(start);
  const place = await findPlace(start, cluster);
  const lease = await takeLease(start, cluster, place);
  const plane = openDataplane(start, cluster, place, lease.holder);
  const hostNeeds = tellHostTroubles(start, cluster);
  const loops = wire(start, cluster, place, lease, plane);
  if (start.signal.aborted) throw stoppedWhileStarting();
  const { options, parts, readiness } = start;
  const { netConfText, backend } = cluster;
  const { planeChoice } = place;
  const made = { backend, plane, planeChoice, hostNeeds, startedAtMs, ...lease, ...doors, ...loops };
  return { options, parts, clock, readiness, netConfText, ...made };
}

/** First of all the health port: a probe shall find us alive however slow the store is. */
async function openDoors({ options, clock, readiness, answers, undo }: Start): Promise<{
  readonly health: HealthServer | null;
  readonly control: ControlServer;
}> {
  const { healthz } = options;
  const health = healthz
    ? await openHealth(healthz, readiness, clock, () => answers()?.dataplane() ?? null)
    : null;
  undo.push(() => health?.close());
  // Before anything is changed: a second agent is refused here.
  const control = await ControlServer.listen(options.controlSocket, controlHandlers(answers, readiness));
  undo.push(() => control.close());
  return { health, control };
}

interface ReadCluster extends Cluster {
  readonly netConfText: string;
}

async function readCluster({ parts, clock, random, signal }: Start): Promise<ReadCluster> {
  const { store, logger, serviceManager } = parts;
  serviceManager?.status(`starting: ${store.description} is asked for the network configuration`);
  const netConfText = await untilServed(() => store.readConfig(signal), { clock, logger, random }, signal);
  const cluster = clusterOf(netConfText, store.description, netConfReading(store));
  logger.info(`Found network config - Backend type: ${cluster.backend.type}`);
  return { netConfText, ...cluster };
}

interface Place {
  readonly request: StandRequest;
  readonly stand: Stand;
  readonly node: BackendNode;
  readonly planeChoice: PlaneChoice;
  /** The kernel, for our own plane, at the end. */
  readonly standsIn: boolean;
  readonly wanted: WantedDevice;
  readonly leftovers: readonly Leftover[];
  /** Where the store knows nodes by name. */
  readonly ownNode: OwnNode | null;
  /** What the store said a moment ago. */
  readonly listing: StoreSnapshot;
}

/** Who we are: the interface and its addresses, what is left here of a device, our MACs. */
async function findPlace(start: Start, cluster: Cluster): Promise<Place> {
  const { options, parts, clock, random, netlink, signal } = start;
  const { store, logger } = parts;
  const { netConf, backend } = cluster;
  const patience = { clock, logger, random };
  const ownNode = givesSubnets(store)
    ? await untilServed(() => store.ownNode(signal), patience, signal)
    : null;
  // What the cluster's operator says of a node comes before what its command line says.
  const request = {
    ...{ ...options, ...ownNode },
    ...{ families: underlayFamilies(cluster), overlay: networkList(netConf) },
  };
  const stand = chooseStand(request, netlink);
  const { underlay } = stand;
  logger.info(
    { mtuBytes: underlay.mtuBytes, publicIp: `${underlay.publicIp ?? underlay.publicIpv6}` },
    `Using interface with name ${underlay.interface} and address ${underlay.address ?? underlay.addressV6}`,
  );
  refuseNat(backend, underlay);
  const planeChoice = choosePlane(options, backend, () => vxlanFaultOf(netlink));
  logger.info({ dataplane: planeChoice.kind }, `Dataplane: ${planeChoice.kind} (${planeChoice.why})`);
  const standsIn = planeChoice.kind === 'userspace' && options.kernelStandIn && canStandIn(start, backend);
  const identity = identityOf(underlay);
  // Before anything is written to the store: a flanneld that lives here is not to be disturbed.
  const wanted = wantedDevice(options, netConf, backend);
  const leftovers = takeable(wanted, netlink);
  const listing = await untilServed(() => store.list(signal), patience, signal);
  const macs =
    backend.type === 'vxlan'
      ? chooseVtepMacs(
          listing,
          { ...identity, ...(ownNode && { name: ownNode.name }) },
          leftoverMacs(leftovers),
          random,
        )
      : {};
  const node = { ...identity, ...macs };
  return { request, stand, node, planeChoice, standsIn, wanted, leftovers, ownNode, listing };
}

/** Whoever counts on it hears now, not at the end. */
function canStandIn({ parts, netlink }: Start, backend: Backend): boolean {
  const why = noStandIn(backend, () => vxlanFaultOf(netlink));
  if (why !== null)
    parts.logger.warn(`--kernel-stand-in: nothing carries between a stop and the next start: ${why}`);
  return why === null;
}

interface TakenLease {
  readonly holder: OwnLease;
  readonly subnetFile: SubnetFile;
  /** What subnet.env said of an earlier run. */
  readonly earlier: SubnetEnvRead | null;
}

async function takeLease(start: Start, cluster: Cluster, place: Place): Promise<TakenLease> {
  const { options, parts, clock, random, readiness, signal } = start;
  const { store, logger } = parts;
  const { netConf, backend } = cluster;
  const subnetFile = new SubnetFile(options.subnetFile, { logger, clock, random });
  const earlier = await subnetFile.previous();
  const holder = await acquireLease(
    {
      ...{ store, netConf, logger, clock, random, ttlMs: options.leaseTtlSeconds * 1000 },
      attributes: backend.attributes(place.node),
      ...{ ownNode: place.ownNode, listing: place.listing },
      previous: earlier?.subnets ?? null,
      renewMarginMs: options.subnetLeaseRenewMarginMinutes * 60_000,
    },
    signal,
  ).catch((error) => unregistered(error, logger));
  readiness.set('lease', () => leaseFault(holder, clock));
  return { holder, subnetFile, earlier };
}

function openDataplane(start: Start, cluster: Cluster, place: Place, { lease }: OwnLease): Plane {
  const { options, parts, netlink, undo } = start;
  const { node, leftovers, planeChoice } = place;
  const { underlay, ownAddresses } = place.stand;
  const plane = openPlane(parts, netlink, planeChoice, {
    ...planeTerms(cluster, node, lease.subnets, underlay),
    ...{ workers: options.workers, sourceCheck: options.sourceCheck },
    offload: options.offload,
    workerCpus: options.workerCpus,
    ownAddresses,
    replaces: leftovers,
    ...(options.tunName !== undefined && { deviceName: options.tunName }),
  });
  undo.push(() => plane.close());
  if (leftovers.length > 0) parts.logger.info(takeoverLine(leftovers, node));
  const { mtuBytes, deviceName } = plane;
  parts.logger.info({ device: deviceName, mtuBytes }, `Device ${deviceName} is up, MTU ${mtuBytes}`);
  return plane;
}

/** Once: `twill status` says how it is now. */
function tellHostTroubles({ parts }: Start, { netConf }: Cluster): HostNeeds {
  const families = [...(netConf.enableIpv4 ? [4 as const] : []), ...(netConf.enableIpv6 ? [6 as const] : [])];
  const needs = { families, isIptables: !netConf.enableNftables };
  for (const { text, passes } of hostTroubles(needs)) parts.logger[passes ? 'info' : 'warn'](text);
  return needs;
}

/** What goes on until the end, and what of it tells whether we are ready. */
function wire(
  start: Start,
  cluster: Cluster,
  place: Place,
  { holder, subnetFile, earlier }: TakenLease,
  plane: Plane,
) {
  const { options, parts, clock, netlink, readiness } = start;
  const { store, logger } = parts;
  const { netConf, backend } = cluster;
  const { subnets } = holder.lease;
  const mended = new Mended();
  const device = new DeviceKeeper({
    ...{ plane, netlink, logger, clock },
    explain: (error) => explained(error, netlink, backend, plane.deviceName),
    supplanter: () => (carriesTunnels(plane) ? supplanter(place.wanted, netlink, plane) : null),
    supplanterOfRoutes: () => supplanterOfRoutes(plane.deviceName),
    mended,
  });
  readiness.set('device', () => device.trouble);
  const peers = new PeerTable({
    ...{ store, backend, node: place.node, plane, logger, clock },
    leases: new LeaseSet({ networks: networkList(netConf), ownSubnets: subnets }),
    onSnapshot: (snapshot) => holder.observe(snapshot),
  });
  readiness.set('peers', () => peers.missing);
  readiness.set('subnet-file', () => subnetFile.missing);
  const { mtuBytes } = plane;
  const subnetEnv = { networks: networks(netConf), subnets, mtuBytes, ipMasq: options.ipMasq };
  const firewall = new FirewallKeeper({
    ...firewallOf(options, netConf, subnetEnv, earlier),
    ...{ netlink, logger, clock },
  });
  readiness.set('firewall', () => firewall.missing);
  const blackhole = new BlackholeKeeper({
    ...{ netlink, logger, clock, subnets, earlier: earlier?.subnets ?? {} },
    ...{ isWanted: options.blackholeRoute, resyncMs: options.resyncSeconds * 1000 },
  });
  const moving = { netConf, backend, plane, holder, peers, subnetFile, subnetEnv };
  const whereabouts = new Whereabouts(place.node, moving);
  const underlay = new UnderlayKeeper(place.stand, {
    ...{ request: place.request, netlink, logger, clock },
    move: (to) => whereabouts.move(to),
  });
  readiness.set('underlay', () => underlay.trouble);
  const standIn = () =>
    leaveStandIn({
      ...{ logger, peers, device },
      terms: planeTerms(cluster, place.node, subnets, underlay.underlay),
    });
  return {
    ...{ device, peers, firewall, subnetEnv, mended, underlay, whereabouts },
    standIn: place.standsIn ? standIn : null,
    loops: [
      (signal: AbortSignal) => underlay.keep(signal),
      (signal: AbortSignal) => holder.keep(signal),
      (signal: AbortSignal) => peers.follow(signal),
      (signal: AbortSignal) => device.keep(signal),
      (signal: AbortSignal) => firewall.keep(signal),
      (signal: AbortSignal) => blackhole.keep(signal),
    ],
  };
}

function carriesTunnels({ kind }: Plane): boolean {
  return kind === 'userspace' || kind === 'kernel';
}

function leaseFault({ lease }: OwnLease, clock: Clock): string | null {
  const { key, expiresAtMs } = lease;
  if (expiresAtMs === undefined || expiresAtMs > clock.nowMs()) return null;
  return `${key} has ended and could not be renewed`;
}

export function stoppedWhileStarting(): TwillError {
  return new TwillError('ERR_TWILL_CLOSED', 'stopped while starting');
}
