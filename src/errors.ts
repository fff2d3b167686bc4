/**
 * The one error class of Twill. `code` is stable and meant for programs; `message` is one line for people:
 * what is wrong, where, and how to fix it.
 */
export type TwillErrorCode =
  | 'ERR_TWILL_ADDRESS' // text is not an IP address, prefix or MAC
  | 'ERR_TWILL_USAGE' // wrong command line
  | 'ERR_TWILL_CONFIG' // net-conf.json is wrong
  | 'ERR_TWILL_LEASE' // a lease record is wrong
  | 'ERR_TWILL_STORE' // the store cannot be read or written
  | 'ERR_TWILL_STORE_UNAVAILABLE' // the store cannot serve now: trying again may help
  | 'ERR_TWILL_STORE_EMPTY' // the store has no network configuration yet
  | 'ERR_TWILL_OUT_OF_SUBNETS' // no free subnet is left
  | 'ERR_TWILL_LEASE_LOST' // somebody else holds our subnet
  | 'ERR_TWILL_SUPPLANTED' // a flannel on this host has taken our device's place
  | 'ERR_TWILL_INTERFACE' // no usable underlay interface
  | 'ERR_TWILL_DEVICE' // the TUN device cannot be made or used
  | 'ERR_TWILL_SOCKET' // a UDP socket cannot be opened or bound
  | 'ERR_TWILL_NETLINK' // the kernel refused a link, address or route
  | 'ERR_TWILL_PRIVILEGE' // CAP_NET_ADMIN or the like is missing
  | 'ERR_TWILL_NATIVE' // the native addon is missing or does not load
  | 'ERR_TWILL_ARGUMENT' // a library argument is wrong
  | 'ERR_TWILL_CLOSED' // used after close
  | 'ERR_TWILL_POOL' // buffer pool misuse or exhaustion
  | 'ERR_TWILL_CONTROL' // the control socket cannot be used
  | 'ERR_TWILL_CAPTURE' // a capture file is wrong, or an interface cannot be captured
  | 'ERR_TWILL_PROBE' // a peer cannot be probed
  | 'ERR_TWILL_HEALTH' // the port for health checks cannot be used
  | 'ERR_TWILL_INTERNAL';

export interface TwillErrorDetail {
  /** The system's error number, where a system call refused. */
  errno?: number;
  /** The system call that refused. */
  syscall?: string;
  cause?: unknown;
}

export class TwillError extends Error {
  override readonly name = 'TwillError';
  readonly code: TwillErrorCode;
  readonly errno?: number;
  readonly syscall?: string;

  constructor(code: TwillErrorCode, message: string, detail: TwillErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    if (detail.errno !== undefined) this.errno = detail.errno;
    if (detail.syscall !== undefined) this.syscall = detail.syscall;
  }
}

/** What a program gets at once for an argument that is wrong: `code` tells it from the platform's own errors. */
export interface ArgumentError extends Error {
  readonly code: 'ERR_TWILL_ARGUMENT';
}

/** A TypeError: `encodeIpv4: ttl must be a number, not "64"`. To be thrown. */
export function wrongType(what: string, expected: string, value: unknown): TypeError & ArgumentError {
  return withCode(new TypeError(`${what} must be ${expected}, not ${shown(value)}`));
}

/** A RangeError: of the right type, but not a value that can be. To be thrown. */
export function wrongValue(what: string, expected: string, value: unknown): RangeError & ArgumentError {
  return withCode(new RangeError(`${what} must be ${expected}, not ${shown(value)}`));
}

function withCode<E extends Error>(error: E): E & ArgumentError {
  return Object.assign(error, { code: 'ERR_TWILL_ARGUMENT' as const });
}

/** A value in one short line, whatever it is. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? 'an array' : Object.prototype.toString.call(value);
}
