import { TwillError } from '../errors.js';
import type { IpFamily } from '../net/ip.js';

/** Least that a link must carry (RFC 791, RFC 8200 section 5): from one that carries less Linux takes IPv6 away, addresses and all. */
const LEAST_MTU = { 4: 68, 6: 1280 } as const;

/** What is left of the underlay's MTU for inner packets of a family, in bytes. Throws ERR_TWILL_CONFIG where that is no link. */
export function innerMtu(externalMtuBytes: number, overheadBytes: number, inner: IpFamily): number {
  const mtuBytes = externalMtuBytes - overheadBytes;
  const least = LEAST_MTU[inner];
  if (mtuBytes >= least) return mtuBytes;
  throw new TwillError(
    'ERR_TWILL_CONFIG',
    `an underlay MTU of ${externalMtuBytes} leaves ${mtuBytes} bytes after ${overheadBytes} of headers: IPv${inner} needs ${least}`,
  );
}
