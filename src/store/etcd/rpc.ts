/** The calls of etcd's API v3 that we make. */
import * as m from './messages.js';
import type { Codec } from './protobuf.js';

export interface Rpc<Request, Response> {
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

function rpc<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
): Rpc<Request, Response> {
  return { path: `/etcdserverpb.${path}`, request, response };
}

export const RANGE = rpc('KV/Range', m.rangeRequest, m.rangeResponse);
export const TXN = rpc('KV/Txn', m.txnRequest, m.txnResponse);
export const LEASE_GRANT = rpc('Lease/LeaseGrant', m.leaseGrantRequest, m.leaseGrantResponse);
export const LEASE_REVOKE = rpc('Lease/LeaseRevoke', m.leaseRevokeRequest, m.leaseRevokeResponse);
export const LEASE_TIME_TO_LIVE = rpc(
  'Lease/LeaseTimeToLive',
  m.leaseTimeToLiveRequest,
  m.leaseTimeToLiveResponse,
);
export const AUTHENTICATE = rpc('Auth/Authenticate', m.authenticateRequest, m.authenticateResponse);
/** Both ways a stream. */
export const WATCH = rpc('Watch/Watch', m.watchRequest, m.watchResponse);
