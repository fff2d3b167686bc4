/**
 * Who we are to the others, which follows from where we stand on the underlay: when that changes, the plane moves, our lease
 * says so, other leases are judged anew, and subnet.env tells of another MTU.
 */
import type { Backend, BackendNode } from '../backend/backend.js';
import type { NetConf } from '../config/net-conf.js';
import type { Plane } from '../dataplane/plane.js';
import { IpAddress } from '../net/ip.js';
import { localAddresses } from './open-plane.js';
import type { OwnLease } from './own-lease.js';
import type { PeerTable } from './peers.js';
import { refuseNat } from './refuse-nat.js';
import type { SubnetEnv } from './subnet-env.js';
import type { SubnetFile } from './subnet-file.js';
import type { Underlay } from './underlay.js';
import type { Stand } from './underlay-keeper.js';

export interface WhereaboutsParts {
  readonly netConf: NetConf;
  readonly backend: Backend;
  readonly plane: Plane;
  readonly holder: OwnLease;
  readonly peers: PeerTable;
  readonly subnetFile: SubnetFile;
  readonly subnetEnv: SubnetEnv;
}

/** IPv4 is 0.0.0.0 where the overlay has none, as in flannel's leases. */
export function identityOf({ publicIp, publicIpv6 }: Underlay): Pick<BackendNode, 'publicIp' | 'publicIpv6'> {
  return { publicIp: publicIp ?? IpAddress.of(4, 0n), publicIpv6 };
}

export class Whereabouts {
  readonly #parts: WhereaboutsParts;
  #node: BackendNode;

  constructor(node: BackendNode, parts: WhereaboutsParts) {
    this.#node = node;
    this.#parts = parts;
  }

  get node(): BackendNode {
    return this.#node;
  }

  /** Throws where the plane cannot go there yet; all is as it was then. */
  move({ underlay, ownAddresses }: Stand): void {
    const { netConf, backend, plane, holder, peers, subnetFile, subnetEnv } = this.#parts;
    refuseNat(backend, underlay);
    plane.rebind({
      ...{ interface: underlay.interface, externalMtuBytes: underlay.mtuBytes, ownAddresses },
      ...localAddresses(netConf, underlay),
    });
    subnetFile.update({ ...subnetEnv, mtuBytes: plane.mtuBytes });
    const { publicIp, publicIpv6 } = identityOf(underlay);
    const isKnown = `${publicIp} ${publicIpv6}` === `${this.#node.publicIp} ${this.#node.publicIpv6}`;
    if (isKnown) return;
    this.#node = { ...this.#node, publicIp, publicIpv6 };
    holder.readdress(backend.attributes(this.#node));
    peers.readdress(this.#node);
  }
}
