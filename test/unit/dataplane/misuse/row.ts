/** A row of the table of misuse: one member of a public class, and what it ends with in each situation. */
import type { Refusal } from '../../../support/misuse.js';
import type { Fixture } from './fixture.js';

/** A value, or a Refusal: see `ends` of support/misuse. */
type Outcome = unknown;

export interface Row {
  /** The member, used as it should be. */
  readonly call: (on: Fixture) => unknown;
  /** On an open dataplane. */
  readonly open: Outcome;
  /** Once more. Absent: the same. */
  readonly again?: Outcome;
  /** When `close` was called and is still under way, in a listener of `close`, and afterwards. Absent: as open. */
  readonly closed?: Outcome;
  /** Inside a callback of `onReadable` at the underlay, with one packet there. Absent: as open. */
  readonly inCallback?: Outcome;
  /** Inside a loop over the underlay, which has taken that packet. Absent: as open. */
  readonly inLoop?: Outcome;
  /** Of a packet: when it was released or sent, and when its buffer was lent anew since. Of a tap: when it is closed. */
  readonly gone?: Outcome;
  /** Wrong arguments; nothing happens then. Null: it takes none. */
  readonly wrong: readonly (readonly [act: (on: Fixture) => unknown, outcome: Refusal])[] | null;
}

export type Rows = { readonly [member: string]: Row };
