/** From what the agent knows to an open plane, or to words that name what stands in its way. */
import type { Backend, BackendNode } from '../backend/backend.js';
import type { NetConf } from '../config/net-conf.js';
import type { RunOptions } from '../config/run-options.js';
import { KernelPlane } from '../dataplane/kernel/kernel-plane.js';
import { RoutePlane } from '../dataplane/kernel/route-plane.js';
import type { Plane } from '../dataplane/plane.js';
import { UserspacePlane, type UserspacePlaneOptions } from '../dataplane/userspace.js';
import { TwillError } from '../errors.js';
import type { LeaseSubnets } from '../lease/lease.js';
import type { Logger } from '../observe/log.js';
import { networkList } from './cluster.js';
import type { HostNetlink } from './host.js';
import type { WantedDevice } from './leftovers.js';
import { explainOpenFailure } from './open-failure.js';
import type { PlaneChoice } from './plane-choice.js';
import type { Underlay } from './underlay.js';

export function localAddresses(netConf: NetConf, { address, addressV6 }: Underlay) {
  const first = netConf.enableIpv4 ? address : addressV6;
  if (!first) throw new TwillError('ERR_TWILL_INTERNAL', 'an interface without an address was chosen');
  return { localAddress: first, ...(addressV6 && { localAddressV6: addressV6 }) };
}

export function wantedDevice({ tunName }: RunOptions, netConf: NetConf, backend: Backend): WantedDevice {
  const networks = networkList(netConf);
  if (backend.carrier !== 'tunnel') return { name: null, port: 0, networks };
  const { port, vni, deviceName } = backend;
  return { name: tunName ?? deviceName, port, networks, ...(vni !== undefined && { vni }) };
}

/** What each plane is made of, by who we are and where we stand. */
export function planeTerms<B extends Backend>(
  { netConf, backend }: { readonly netConf: NetConf; readonly backend: B },
  { mac, macV6 }: Pick<BackendNode, 'mac' | 'macV6'>,
  subnets: LeaseSubnets,
  underlay: Underlay,
) {
  return {
    ...{ backend, subnets, externalMtuBytes: underlay.mtuBytes, interface: underlay.interface },
    overlayNetworks: networkList(netConf),
    ...localAddresses(netConf, underlay),
    ...(mac && { mac }),
    ...(macV6 && { macV6 }),
  };
}

export interface PlaneTerms extends Omit<UserspacePlaneOptions, 'backend'> {
  readonly backend: Backend;
  /** The underlay's. */
  readonly interface: string;
}

export function openPlane(
  parts: { readonly openPlane?: (options: UserspacePlaneOptions) => Plane; readonly logger: Logger },
  netlink: HostNetlink,
  { kind }: PlaneChoice,
  options: PlaneTerms,
): Plane {
  const { backend, mac } = options;
  try {
    if (backend.carrier !== 'tunnel') return RoutePlane.open(options);
    if (kind === 'kernel' && mac) return KernelPlane.open({ ...options, backend, mac });
    return (parts.openPlane ?? UserspacePlane.open)({ ...options, backend });
  } catch (error) {
    unregistered(explained(error, netlink, backend, options.deviceName), parts.logger);
  }
}

/** `deviceName`: where it is not the backend's. */
export function explained(
  error: unknown,
  netlink: HostNetlink,
  backend: Backend,
  deviceName?: string,
): unknown {
  if (backend.carrier !== 'tunnel') return error;
  const wanted = { port: backend.port, deviceName: deviceName ?? backend.deviceName };
  return explainOpenFailure(error, wanted, netlink.links());
}

/** flannel's words for a start that got neither lease nor device. */
export function unregistered(error: unknown, logger: Logger): never {
  const { code, message } = error as TwillError;
  if (code !== 'ERR_TWILL_CLOSED') logger.error({ err: error }, `Error registering network: ${message}`);
  throw error;
}
