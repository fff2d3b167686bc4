/** A row of the table of misuse of a dataplane and of what belongs to one. */
import type * as misuse from '../../../support/misuse.js';
import type { Fixture } from './fixture.js';

/** `gone` is of a packet: when it was released or sent, and when its buffer was lent anew since. Of a tap: when it is closed. */
export interface Row extends misuse.Row<Fixture> {
  /** Inside a callback of `onReadable` at the underlay, with one packet there. Absent: as open. */
  readonly inCallback?: unknown;
  /** Inside a loop over the underlay, which has taken that packet. Absent: as open. */
  readonly inLoop?: unknown;
}

export type Rows = { readonly [member: string]: Row };
