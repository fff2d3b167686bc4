/** `--offload`: what the kernel may do for the packet path. Names are those of native/offload/offloads.def. */
import { TwillError } from '../errors.js';

/** What the kernel may do for the packet path, by name: docs/operations.md explains each. */
export const OFFLOADS = ['tun-tso', 'tun-uso', 'udp-gso', 'udp-gro', 'tcp-coalesce', 'udp-coalesce'] as const;
/** One of OFFLOADS. */
export type OffloadName = (typeof OFFLOADS)[number];

/** `auto` (all that the kernel has), `off`, or names with commas between them. Throws ERR_TWILL_USAGE naming `origin`. */
export function parseOffload(text: string, origin = '--offload'): readonly OffloadName[] {
  if (text === 'auto') return OFFLOADS;
  if (text === 'off') return [];
  return text.split(',').map((part) => {
    const name = OFFLOADS.find((known) => known === part);
    if (name) return name;
    const fix = `write auto, off, or some of ${OFFLOADS.join(',')}`;
    throw new TwillError(
      'ERR_TWILL_USAGE',
      `${origin}=${JSON.stringify(text.slice(0, 80))} is wrong: ${fix}`,
    );
  });
}
