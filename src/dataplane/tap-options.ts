/** What `Dataplane.openTap` is told, checked. */
import { wrongValue } from '../errors.js';
import { loadNative } from '../native/binding.js';
import { addressAt, eachAt, integerAt, objectAt, oneOfAt, prefixAt } from './arguments.js';
import type { TapOptions } from './tap.js';

const LEAST_RING_BYTES = 64 * 1024;
const MOST_RING_BYTES = 256 * 1024 * 1024;
const MOST_COUNT = 0xffffffff;

/** Throws ArgumentError. */
export function checkTapOptions(where: string, given: unknown): TapOptions {
  const { peers, subnets, drops, every, snapBytes, ringBytes } = objectAt(where, given);
  const reasons = [...loadNative().dropReasons, 'none'];
  const reasonAt = (place: string, value: unknown) => oneOfAt(place, value, reasons);
  return {
    ...(peers !== undefined && { peers: eachAt(`${where}.peers`, peers, addressAt) }),
    ...(subnets !== undefined && { subnets: eachAt(`${where}.subnets`, subnets, prefixAt) }),
    ...(drops !== undefined && { drops: drops === null ? null : eachAt(`${where}.drops`, drops, reasonAt) }),
    ...(every !== undefined && { every: integerAt(`${where}.every`, every, 1, MOST_COUNT) }),
    ...(snapBytes !== undefined && { snapBytes: integerAt(`${where}.snapBytes`, snapBytes, 1, MOST_COUNT) }),
    ...(ringBytes !== undefined && { ringBytes: ringBytesAt(`${where}.ringBytes`, ringBytes) }),
  };
}

function ringBytesAt(where: string, value: unknown): number {
  const bytes = integerAt(where, value, LEAST_RING_BYTES, MOST_RING_BYTES);
  if ((bytes & (bytes - 1)) !== 0) throw wrongValue(where, 'a power of two', bytes);
  return bytes;
}
