/** What programs import from `twill`. */
export type { Peer } from './backend/backend.js';
export { OFFLOADS, type OffloadName } from './config/offload.js';
export { BufferPool, PacketBuffer, type Remote } from './dataplane/buffer-pool.js';
export { Dataplane, type DataplaneOptions } from './dataplane/dataplane.js';
export { PEER_COLUMNS, type PeerColumn, type PeerStats } from './dataplane/peer-stats.js';
export type { DirectionStats, PlaneStats, PlaneTrace } from './dataplane/plane.js';
export type { PlaneTap, TapCounts, TapOptions } from './dataplane/tap.js';
export { UserPort } from './dataplane/user-port.js';
export { TwillError, type TwillErrorCode } from './errors.js';
export { IpAddress, type IpFamily } from './net/ip.js';
export { MacAddress } from './net/mac.js';
export { Prefix } from './net/prefix.js';
