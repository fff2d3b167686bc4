/**
 * The messages of etcd's API v3 that we use, and of them the fields that we use (etcd's rpc.proto and kv.proto, whose
 * names and numbers these are).
 */
import { bool, bytes, int32, int64, type MessageOf, message, nested, repeated, text } from './protobuf.js';

export const responseHeader = message({
  clusterId: int64(1),
  revision: int64(3),
  raftTerm: int64(4),
});
export type ResponseHeader = MessageOf<typeof responseHeader>;
const header = nested(1, responseHeader);

export const keyValue = message({
  key: bytes(1),
  createRevision: int64(2),
  modRevision: int64(3),
  value: bytes(5),
  /** 0: none, the key stays until somebody deletes it. */
  lease: int64(6),
});
export type KeyValue = MessageOf<typeof keyValue>;

export const rangeRequest = message({ key: bytes(1), rangeEnd: bytes(2) });
export const rangeResponse = message({ header, kvs: repeated(2, keyValue) });

const putRequest = message({ key: bytes(1), value: bytes(2), lease: int64(3) });
const deleteRangeRequest = message({ key: bytes(1) });

export const COMPARE_EQUAL = 0;
export const COMPARE_VERSION = 0;
export const COMPARE_MOD_REVISION = 2;
const compare = message({
  result: int32(1),
  target: int32(2),
  key: bytes(3),
  version: int64(4),
  modRevision: int64(6),
});

/** One of them each. */
const requestOp = message({
  range: nested(1, rangeRequest),
  put: nested(2, putRequest),
  deleteRange: nested(3, deleteRangeRequest),
});
const responseOp = message({ range: nested(1, rangeResponse) });

export const txnRequest = message({
  compare: repeated(1, compare),
  success: repeated(2, requestOp),
  failure: repeated(3, requestOp),
});
export const txnResponse = message({ header, succeeded: bool(2), responses: repeated(3, responseOp) });

export const leaseGrantRequest = message({ ttlSeconds: int64(1) });
export const leaseGrantResponse = message({ id: int64(2), ttlSeconds: int64(3), error: text(4) });
export const leaseRevokeRequest = message({ id: int64(1) });
export const leaseRevokeResponse = message({});
export const leaseTimeToLiveRequest = message({ id: int64(1) });
/** -1 seconds: no such lease. */
export const leaseTimeToLiveResponse = message({ id: int64(2), ttlSeconds: int64(3) });

export const authenticateRequest = message({ name: text(1), password: text(2) });
export const authenticateResponse = message({ token: text(2) });

const watchCreateRequest = message({
  key: bytes(1),
  rangeEnd: bytes(2),
  startRevision: int64(3),
});
/** One of them each. */
export const watchRequest = message({
  create: nested(1, watchCreateRequest),
  progress: nested(3, message({})),
});

export const EVENT_DELETE = 1;
const event = message({ type: int32(1), kv: nested(2, keyValue) });
export const watchResponse = message({
  header,
  created: bool(3),
  canceled: bool(4),
  /** Not 0: the revision asked for is gone, this one is the oldest there is. */
  compactRevision: int64(5),
  cancelReason: text(6),
  events: repeated(11, event),
});
export type WatchResponse = MessageOf<typeof watchResponse>;
