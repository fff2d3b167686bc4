/** One frame of a capture file, whichever its format. */

/** https://www.tcpdump.org/linktypes.html */
export const LINK_TYPE = {
  null: 0,
  ethernet: 1,
  raw: 101,
  loop: 108,
  linuxSll: 113,
  ipv4: 228,
  ipv6: 229,
  linuxSll2: 276,
} as const;

export interface CapturedFrame {
  /** Since 1970. */
  readonly timeNs: bigint;
  readonly linkType: number;
  /** As far as it was captured. */
  readonly bytes: Uint8Array;
  /** Of the frame on the wire. */
  readonly originalBytes: number;
  readonly direction?: 'in' | 'out';
  readonly comment?: string;
}
