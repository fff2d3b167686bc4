/**
 * What a failed call means for us. etcd has codes for few things and says most in its text (rpctypes/error.go, whose
 * texts have not changed since 3.0).
 */
import { type ServiceError, status } from '@grpc/grpc-js';
import { TwillError } from '../../errors.js';

export type FailureKind =
  /** This member cannot serve us: another one may. */
  | 'elsewhere'
  /** The token has expired, or is older than a change of users: a new one helps. */
  | 'token'
  /** The user has not the right. */
  | 'denied'
  /** The member has too much to do, or no room: later. */
  | 'busy'
  /** The cluster knows no users: no token is wanted. */
  | 'no-auth'
  /** User and password do not fit, or none were given. */
  | 'login'
  /** Nothing that we can do about. */
  | 'refused';

const BY_TEXT: readonly [RegExp, FailureKind][] = [
  [/invalid auth token|revision of auth store is old/i, 'token'],
  [/authentication is not enabled/i, 'no-auth'],
  [/authentication failed|user name is empty|user name not found|root user/i, 'login'],
  [
    /no leader|leader changed|server stopped|request timed out|not capable|unhealthy cluster|stopping/i,
    'elsewhere',
  ],
];

export function failureKind(error: unknown): FailureKind {
  const { code, details } = error as Partial<ServiceError>;
  if (typeof code !== 'number') return 'elsewhere';
  const byText = BY_TEXT.find(([pattern]) => pattern.test(details ?? ''));
  if (byText) return byText[1];
  switch (code) {
    case status.UNAUTHENTICATED:
      return 'token';
    case status.PERMISSION_DENIED:
      return 'denied';
    case status.RESOURCE_EXHAUSTED:
      return 'busy';
    case status.UNAVAILABLE:
    case status.DEADLINE_EXCEEDED:
    case status.CANCELLED:
    case status.ABORTED:
    case status.INTERNAL:
    case status.UNKNOWN:
      return 'elsewhere';
    default:
      return 'refused';
  }
}

/** One line, without the library's "14 UNAVAILABLE:". */
export function failureText(error: unknown): string {
  const { code, details, message } = error as Partial<ServiceError>;
  if (code === status.CANCELLED) return 'the connection was lost';
  // Without the time that the library adds: the same trouble is the same text.
  const text = (details || message || String(error)).replace(/ \(\d{4}-\d\d-\S*Z\)|\n.*/gs, '');
  const isTls = /certificate|altnames|alert/i.test(text);
  return isTls ? `${text} (see --etcd-cafile, --etcd-certfile and the name in the endpoint)` : text;
}

/** Where nothing could be reached, or nothing that could serve us: trying again may help. */
export function unavailable(what: string, cause?: unknown): TwillError {
  return new TwillError('ERR_TWILL_STORE_UNAVAILABLE', what, { cause });
}
