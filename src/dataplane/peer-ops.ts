/**
 * Changes of the peer table as the engine takes them: one array of fixed records, so that a hundred thousand peers cross
 * in one call. The layout is that of native/engine/peer_ops.h.
 *
 *     0 operation   1 subnet family   2 prefix length   3 endpoint family   4 port (network order)   6 MAC   12 reserved
 *    16 subnet address (16 bytes)    32 endpoint address (16 bytes)
 */
import type { Peer } from '../backend/backend.js';
import type { Prefix } from '../net/prefix.js';

export const PEER_OP_BYTES = 48;
const SET = 1;
const DELETE = 2;

/** Rows to insert or replace, and those to delete first: a subnet that was cut anew must not lose its new rows. */
export interface PeerChange {
  readonly set: readonly Peer[];
  readonly gone: readonly Prefix[];
}

/** What leads from one table to the other; unchanged rows cost nothing. */
export function peerChange(before: ReadonlyMap<string, Peer>, after: ReadonlyMap<string, Peer>): PeerChange {
  return {
    set: [...after].flatMap(([key, peer]) => (samePeer(before.get(key), peer) ? [] : [peer])),
    gone: [...before].flatMap(([key, peer]) => (after.has(key) ? [] : [peer.subnet])),
  };
}

export function packPeerChange({ set, gone }: PeerChange): Uint8Array {
  const ops = new Uint8Array((set.length + gone.length) * PEER_OP_BYTES);
  const view = new DataView(ops.buffer);
  let at = 0;
  const begin = (operation: number, { family, length, address }: Prefix) => {
    ops[at] = operation;
    ops[at + 1] = family;
    ops[at + 2] = length;
    ops.set(address.bytes(), at + 16);
  };
  for (const subnet of gone) {
    begin(DELETE, subnet);
    at += PEER_OP_BYTES;
  }
  for (const { subnet, endpoint, mac } of set) {
    begin(SET, subnet);
    ops[at + 3] = endpoint.address.family;
    view.setUint16(at + 4, endpoint.port);
    if (mac) ops.set(mac.bytes(), at + 6);
    ops.set(endpoint.address.bytes(), at + 32);
    at += PEER_OP_BYTES;
  }
  return ops;
}

/** Rows by the identity that they have in the table. */
export function peersBySubnet(peers: readonly Peer[]): Map<string, Peer> {
  return new Map(peers.map((peer) => [peer.subnet.toString(), peer]));
}

export function samePeer(a: Peer | undefined, b: Peer): boolean {
  if (!a || a.endpoint.port !== b.endpoint.port || !a.endpoint.address.equals(b.endpoint.address))
    return false;
  return a.mac === b.mac || (a.mac !== undefined && b.mac?.equals(a.mac) === true);
}
