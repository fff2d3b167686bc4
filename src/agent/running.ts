/** What a node is made of, from the moment when its start has succeeded until its end. */
import type { Backend } from '../backend/backend.js';
import type { RunOptions } from '../config/run-options.js';
import type { Plane } from '../dataplane/plane.js';
import type { UserspacePlaneOptions } from '../dataplane/userspace.js';
import type { ControlServer } from '../observe/control-socket.js';
import type { HealthServer } from '../observe/health-server.js';
import type { Logger } from '../observe/log.js';
import type { AnyStore } from '../store/store.js';
import type { Clock } from './clock.js';
import type { DeviceKeeper } from './device-keeper.js';
import type { FirewallKeeper } from './firewall-keeper.js';
import type { HostNetlink } from './host.js';
import type { HostNeeds } from './host-settings.js';
import type { Mended } from './mended.js';
import type { OwnLease } from './own-lease.js';
import type { PeerTable } from './peers.js';
import type { PlaneChoice } from './plane-choice.js';
import type { Readiness } from './readiness.js';
import type { ServiceManager } from './service-manager.js';
import type { SubnetEnv } from './subnet-env.js';
import type { SubnetFile } from './subnet-file.js';
import type { UnderlayKeeper } from './underlay-keeper.js';
import type { Whereabouts } from './whereabouts.js';

export interface AgentParts {
  /** Stays the caller's: `stop` does not close it. */
  readonly store: AnyStore;
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

export interface Running {
  readonly options: RunOptions;
  readonly parts: AgentParts;
  readonly clock: Clock;
  readonly netConfText: string;
  readonly underlay: UnderlayKeeper;
  readonly whereabouts: Whereabouts;
  readonly backend: Backend;
  readonly holder: OwnLease;
  readonly plane: Plane;
  readonly planeChoice: PlaneChoice;
  readonly hostNeeds: HostNeeds;
  readonly mended: Mended;
  readonly control: ControlServer;
  readonly health: HealthServer | null;
  readonly peers: PeerTable;
  readonly device: DeviceKeeper;
  readonly firewall: FirewallKeeper;
  readonly readiness: Readiness;
  readonly subnetFile: SubnetFile;
  readonly subnetEnv: SubnetEnv;
  readonly startedAtMs: number;
  /** Leaves the kernel to carry; after the plane is closed. null: nobody does. */
  readonly standIn: (() => void) | null;
  /** What goes on until `signal` aborts, beside the agent's own: one that throws ends the agent. */
  readonly loops: readonly ((signal: AbortSignal) => Promise<void>)[];
}
