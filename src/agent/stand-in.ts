/**
 * Who carries between our end and the next start. A kubelet needs from 8 s to a minute to replace a pod of a DaemonSet, and on
 * our own plane its node would be cut off for as long. With --kernel-stand-in the kernel's vxlan device takes our place at
 * the end, with our MAC and our peers; the next start has it give way again, as it has flannel's.
 */
import type { Backend } from '../backend/backend.js';
import { KernelPlane, type KernelPlaneOptions } from '../dataplane/kernel/kernel-plane.js';
import type { Logger } from '../observe/log.js';
import type { DeviceKeeper } from './device-keeper.js';
import type { PeerTable } from './peers.js';

export interface StandInParts {
  readonly terms: Omit<KernelPlaneOptions, 'backend' | 'mac'> & {
    readonly backend: Backend;
    readonly mac?: KernelPlaneOptions['mac'];
  };
  readonly peers: PeerTable;
  readonly device: DeviceKeeper;
  readonly logger: Logger;
}

/** Where packets passed until now. Never throws: at the end nobody could mend it. */
export function leaveStandIn({ terms, peers, device, logger }: StandInParts): void {
  const { backend, mac } = terms;
  if (backend.carrier !== 'tunnel' || !mac || (peers.missing ?? device.trouble) !== null) return;
  try {
    const kernel = KernelPlane.open({ ...terms, backend, mac });
    kernel.setPeers(peers.entries.flatMap((entry) => entry.peers));
    kernel.close();
    logger.info(`the kernel's ${kernel.devices.join(' and ')} carries until the next start`);
  } catch (error) {
    logger.error({ err: error }, `nothing carries until the next start: ${(error as Error).message}`);
  }
}
