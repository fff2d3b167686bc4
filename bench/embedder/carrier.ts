/** What carries packets between two processes: Twill, or the same by hand over Node's own `dgram`. */
import type { Side } from './packet.js';

export interface CarrierPlan {
  readonly side: Side;
  /** UDP ports of this end and the other. */
  readonly port: number;
  readonly otherPort: number;
}

export interface Carrier {
  /** So many packets on their way there and back: more helps none, or overflows a queue. */
  readonly window: number;
  /** Near end: from now on packets of this length go out. */
  prepare(lengthBytes: number): void;
  /** Near end: so many more, numbered on from `first`; how many were taken. */
  send(count: number, first: number): number;
  /** Near end: told how many have come back, and the sum of their numbers. */
  onReturn(listener: (count: number, sum: number) => void): void;
  /** Far end: turns every packet that comes. */
  echo(): void;
  close(): Promise<void>;
}
