/** What others have changed of ours and we have put right: how often, and the last of it, for `twill status`. */
import type { MendedStatus } from './told.js';

const MOST_KEPT = 50;

export class Mended {
  readonly #last: { readonly atMs: number; readonly what: string }[] = [];
  #count = 0;

  /** In words that say what it is about: `device flannel.1: its MTU was 1300, not 1450`. */
  note(what: string, atMs: number): void {
    this.#count += 1;
    this.#last.push({ atMs, what });
    if (this.#last.length > MOST_KEPT) this.#last.shift();
  }

  get count(): number {
    return this.#count;
  }

  status(): MendedStatus {
    const last = this.#last.map(({ atMs, what }) => ({ at: new Date(atMs).toISOString(), what }));
    return { count: this.#count, last };
  }
}
