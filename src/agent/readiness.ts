/**
 * Whether this node carries the traffic of its pods, condition by condition. Each condition is asked anew whenever
 * somebody wants to know, so readiness ends by itself when one of them stops being true. A store that is away is no
 * reason: what is known goes on being forwarded.
 */
import type { Clock } from './clock.js';

export const CONDITIONS = ['lease', 'underlay', 'device', 'peers', 'firewall', 'subnet-file'] as const;
export type ConditionName = (typeof CONDITIONS)[number];

/** What is missing in words, or null where the condition holds. */
export type ConditionCheck = () => string | null;

const BEFORE: { readonly [name in ConditionName]: string } = {
  lease: 'none is held yet',
  underlay: 'no interface has been chosen yet',
  device: 'it is not open yet',
  peers: 'the leases of the other nodes have not been read yet',
  firewall: 'the rules of this host have not been looked at yet',
  'subnet-file': 'it has not been written yet',
};
const LOOK_EVERY_MS = 1000;

export class Readiness {
  readonly #checks = new Map<ConditionName, ConditionCheck>(
    CONDITIONS.map((name) => [name, () => BEFORE[name]]),
  );
  #end: string | null = null;
  #told: string | null = null;
  #onChange: (missing: readonly string[]) => void = () => {};

  /** From now on this tells whether the condition holds. */
  set(name: ConditionName, check: ConditionCheck): void {
    this.#checks.set(name, check);
  }

  /** Never ready again. */
  end(why: string): void {
    this.#end ??= why;
  }

  /** Every condition with what is missing. */
  get conditions(): { readonly [name in ConditionName]: string | null } {
    const checked = CONDITIONS.map((name) => [name, this.#checks.get(name)?.() ?? null]);
    return Object.fromEntries(checked);
  }

  /** `device: it is down`, one line each; empty: ready. */
  get missing(): readonly string[] {
    if (this.#end !== null) return [`agent: ${this.#end}`];
    return Object.entries(this.conditions).flatMap(([name, missing]) =>
      missing === null ? [] : [`${name}: ${missing}`],
    );
  }

  get isReady(): boolean {
    return this.missing.length === 0;
  }

  /** Tells of every change until `signal` aborts, of the state at the start too: soon by itself, at once after `look`. */
  async follow(
    clock: Clock,
    signal: AbortSignal,
    onChange: (missing: readonly string[]) => void,
  ): Promise<void> {
    this.#onChange = onChange;
    while (!signal.aborted) {
      this.look();
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
    this.#onChange = () => {};
  }

  look(): void {
    const { missing } = this;
    const now = missing.join('\n');
    if (now === this.#told) return;
    this.#told = now;
    this.#onChange(missing);
  }
}
