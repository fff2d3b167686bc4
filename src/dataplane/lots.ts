/**
 * Finds packet buffers that the program has forgotten: dropped without sending or releasing them.
 *
 * The garbage collector can tell, but asking it for every packet would cost more than the packet. So buffers that go out
 * one after another share a token, 64 to a lot; each packet holds its token, and the registry is asked about tokens. When
 * a token is gone, so are all packets of its lot, and the slots of that lot that are still out have been forgotten. A lot
 * whose packets have all come back is used again: with packets that come and go nothing is registered or made anew.
 */

/** Held by every packet of the lot, and by nobody else. */
export class Lot<Owner> {
  readonly id: number;
  readonly owner: Owner;

  constructor(id: number, owner: Owner) {
    this.id = id;
    this.owner = owner;
  }
}

const LOT_SIZE = 64;
const NONE = 0;

export class Lots<Owner> {
  readonly #owner: Owner;
  readonly #onForgotten: (slots: number[]) => void;
  readonly #registry: FinalizationRegistry<number>;
  /** By slot: the lot of the packet that is out. */
  readonly #lotOf: Uint32Array;
  /** By lot: its packets that are out. */
  readonly #out: number[] = [0];
  readonly #tokens: (WeakRef<Lot<Owner>> | null)[] = [null];
  /** Lots without a packet out: kept whole, or with their token gone. */
  readonly #idle: Lot<Owner>[] = [];
  readonly #unused: number[] = [];
  #current: Lot<Owner> | null = null;
  #room = 0;

  constructor(owner: Owner, slots: number, onForgotten: (slots: number[]) => void) {
    this.#owner = owner;
    this.#lotOf = new Uint32Array(slots);
    this.#onForgotten = onForgotten;
    this.#registry = new FinalizationRegistry((id) => this.#forgotten(id));
  }

  /** The packet in this slot goes out. It has to hold what is returned. */
  enter(slot: number): Lot<Owner> {
    const lot = this.#current !== null && this.#room > 0 ? this.#current : this.#begin();
    this.#room--;
    this.#lotOf[slot] = lot.id;
    this.#out[lot.id] = (this.#out[lot.id] as number) + 1;
    return lot;
  }

  /** It is back. */
  leave(slot: number): void {
    const id = this.#lotOf[slot] as number;
    // Of a batch, which is found by itself.
    if (id === NONE) return;
    this.#lotOf[slot] = NONE;
    const out = (this.#out[id] as number) - 1;
    this.#out[id] = out;
    if (out > 0 || id === this.#current?.id) return;
    const lot = this.#tokens[id]?.deref();
    if (lot) this.#idle.push(lot);
  }

  /** No packet joins the present lot any more: all that are out can be told apart from those to come. */
  seal(): void {
    const lot = this.#current;
    this.#current = null;
    this.#room = 0;
    if (lot && this.#out[lot.id] === 0) this.#idle.push(lot);
  }

  #begin(): Lot<Owner> {
    this.seal();
    const lot = this.#idle.pop() ?? this.#make();
    this.#current = lot;
    this.#room = LOT_SIZE;
    return lot;
  }

  #make(): Lot<Owner> {
    const id = this.#unused.pop() ?? this.#tokens.length;
    const lot = new Lot(id, this.#owner);
    this.#tokens[id] = new WeakRef(lot);
    this.#out[id] = 0;
    this.#registry.register(lot, id);
    return lot;
  }

  #forgotten(id: number): void {
    const slots: number[] = [];
    for (const [slot, lot] of this.#lotOf.entries()) if (lot === id) slots.push(slot);
    for (const slot of slots) this.#lotOf[slot] = NONE;
    this.#unused.push(id);
    if (slots.length > 0) this.#onForgotten(slots);
  }
}
