/**
 * A lease: one node's claim on a slice of the overlay network, as flannel records it.
 * In a store it is a key (`10.244.1.0-24`, dual stack `10.244.1.0-24&fd00::-64`) and a JSON value; see codec.ts.
 */
import type { IpAddress } from '../net/ip.js';
import type { Json } from '../net/json.js';
import type { Prefix } from '../net/prefix.js';

/** The slice of each overlay network that a node holds. At least one family is present. */
export interface LeaseSubnets {
  readonly v4?: Prefix;
  readonly v6?: Prefix;
}

/** What a node tells the others about itself. Field order and omission in JSON: see codec.ts. */
export interface LeaseAttributes {
  readonly publicIp: IpAddress;
  readonly publicIpv6: IpAddress | null;
  /** `''` for udp and alloc, else `vxlan`, `host-gw`, ... */
  readonly backendType: string;
  /** As it stands in the record: backends interpret their own data. */
  readonly backendData?: Json;
  readonly backendV6Data?: Json;
}

export interface Lease {
  /** The store's key, e.g. `10.244.1.0-24`. */
  readonly key: string;
  readonly subnets: LeaseSubnets;
  readonly attributes: LeaseAttributes;
  /** Wall-clock end in milliseconds since the epoch, as in its record; absent for a reservation, which never ends. */
  readonly expiresAtMs?: number;
  /** The node that holds it, where the store knows nodes by name. */
  readonly holder?: string;
}
