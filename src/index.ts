/** What programs import from `twill`. */
export type { Peer } from './backend/backend.js';
export { OFFLOADS, type OffloadName } from './config/offload.js';
export { BufferPool } from './dataplane/buffer-pool.js';
export type { HeldBuffer } from './dataplane/buffer-tracking.js';
export {
  Dataplane,
  type DataplaneEvents,
  type OverlayPort,
  type UnderlayPort,
  type UserOverlay,
  type UserUnderlay,
} from './dataplane/dataplane.js';
export type { DataplaneOptions } from './dataplane/dataplane-options.js';
export { PacketBatch } from './dataplane/packet-batch.js';
export { PacketBuffer } from './dataplane/packet-buffer.js';
export { PEER_COLUMNS, type PeerColumn, PeerStats } from './dataplane/peer-stats.js';
export { type PeerInit, Peers } from './dataplane/peers.js';
export type { DirectionStats, PlaneStats, PlaneTrace, Way } from './dataplane/plane.js';
export type { Remote } from './dataplane/remotes.js';
export type { PlaneTap, TapCounts, TapOptions } from './dataplane/tap.js';
export { Tun, type TunOptions } from './dataplane/tun.js';
export { UserPort } from './dataplane/user-port.js';
export { type ArgumentError, TwillError, type TwillErrorCode, type TwillErrorDetail } from './errors.js';
export { IpAddress, type IpFamily } from './net/ip.js';
export { MacAddress } from './net/mac.js';
export { Prefix } from './net/prefix.js';
