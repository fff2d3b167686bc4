import { TwillError } from '../errors.js';

/** Least that an IPv4 link must carry (RFC 791). */
const LEAST_MTU = 68;

/** What is left of the underlay's MTU for inner packets, in bytes. Throws ERR_TWILL_CONFIG where that is no link. */
export function innerMtu(externalMtuBytes: number, overheadBytes: number): number {
  const mtuBytes = externalMtuBytes - overheadBytes;
  if (mtuBytes >= LEAST_MTU) return mtuBytes;
  throw new TwillError(
    'ERR_TWILL_CONFIG',
    `an underlay MTU of ${externalMtuBytes} leaves ${mtuBytes} bytes after ${overheadBytes} of headers: it must leave ${LEAST_MTU}`,
  );
}
