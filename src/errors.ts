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
