/** What went wrong, for programs: these codes are stable, messages are not. */
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
  | 'ERR_TWILL_ARGUMENT' // a request cannot be served as it was put; of library calls see ArgumentError
  | 'ERR_TWILL_CLOSED' // used after close
  | 'ERR_TWILL_POOL' // a packet buffer used after it was sent or released, or with another dataplane
  | 'ERR_TWILL_BUSY' // somebody else uses what only one can use at a time
  | 'ERR_TWILL_CONTROL' // the control socket cannot be used
  | 'ERR_TWILL_CAPTURE' // a capture file is wrong, or an interface cannot be captured
  | 'ERR_TWILL_PROBE' // a peer cannot be probed
  | 'ERR_TWILL_HEALTH' // the port for health checks cannot be used
  | 'ERR_TWILL_INTERNAL';

/** What a TwillError may carry beside code and message. */
export interface TwillErrorDetail {
  /** The system's error number, where a system call refused. */
  errno?: number;
  /** The system call that refused. */
  syscall?: string;
  /** What led to it, as of any Error. */
  cause?: unknown;
}

/**
 * The one error class of Twill. `code` is stable and meant for programs; `message` is one line for people: what is wrong,
 * where, and how to mend it. Where the system refused, `errno` is its (positive) number and `syscall` the call.
 *
 * @example
 * try {
 *   await Dataplane.open(options);
 * } catch (error) {
 *   if (error instanceof TwillError && error.code === 'ERR_TWILL_PRIVILEGE') console.error('run me as root');
 *   else throw error;
 * }
 */
export class TwillError extends Error {
  /** Always `TwillError`. */
  override readonly name = 'TwillError';
  /** Stable: what a program decides by. */
  readonly code: TwillErrorCode;
  /** The system's error number (positive), where a system call refused. */
  readonly errno?: number;
  /** The system call that refused. */
  readonly syscall?: string;

  constructor(code: TwillErrorCode, message: string, detail: TwillErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    if (detail.errno !== undefined) this.errno = detail.errno;
    if (detail.syscall !== undefined) this.syscall = detail.syscall;
  }
}

/**
 * What a library call throws for a wrong argument, at once and before it does anything: a TypeError for a value of the
 * wrong kind, a RangeError for one of the right kind that cannot be. The message names the argument and the value; `code`
 * tells it from the platform's own errors.
 */
export interface ArgumentError extends Error {
  /** The same for a TypeError and a RangeError. */
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
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `an array of ${value.length}`;
  if (typeof value !== 'object' || value === null) return String(value).slice(0, 80);
  return Object.prototype.toString.call(value);
}
