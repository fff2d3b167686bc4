/** Steps that the kernel has refused: each is tried again by itself, after a wait that grows. */
import { type Entry, entryText, keyOf } from './entry.js';
import type { Step } from './reconcile.js';

interface Refusal {
  readonly step: Step;
  readonly message: string;
  readonly failures: number;
  readonly retryAtMs: number;
}

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5000;
const ENOENT = 2;
const ESRCH = 3;
const ENODEV = 19;
const EADDRNOTAVAIL = 99;

export class Refusals {
  readonly #refused = new Map<string, Refusal>();

  /** Those of `steps` whose time has come. What is not wanted any more is forgotten. */
  due(steps: readonly Step[], nowMs: number): readonly Step[] {
    const names = new Set(steps.map(nameOf));
    for (const name of this.#refused.keys()) if (!names.has(name)) this.#refused.delete(name);
    if (this.#refused.size === 0) return steps;
    return steps.filter((step) => (this.#refused.get(nameOf(step))?.retryAtMs ?? 0) <= nowMs);
  }

  /** Something has changed, which may be what was missing. */
  retryNow(): void {
    for (const [name, refusal] of this.#refused) this.#refused.set(name, { ...refusal, retryAtMs: 0 });
  }

  /** What became of a step: whether it is done. */
  note(
    step: Step,
    refusal: { readonly errno: number; readonly message: string } | null,
    nowMs: number,
  ): boolean {
    const name = nameOf(step);
    if (refusal === null || (step.verb === 'delete' && isGone(refusal.errno))) {
      this.#refused.delete(name);
      return true;
    }
    const failures = (this.#refused.get(name)?.failures ?? 0) + 1;
    const waitMs = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LONGEST_RETRY_MS);
    this.#refused.set(name, { step, message: refusal.message, failures, retryAtMs: nowMs + waitMs });
    return false;
  }

  /** Why peers lack something, by owner; `''`: no peer's. */
  get troubles(): Map<string, string> {
    const troubles = new Map<string, string>();
    for (const { step, message } of this.#refused.values()) {
      const verb = step.verb === 'delete' ? 'removed' : 'set';
      troubles.set(step.owner ?? '', `the ${entryText(step.entry)} cannot be ${verb}: ${message}`);
    }
    return troubles;
  }

  /** Wait until the next one is due; null: there is none. */
  retryInMs(nowMs: number): number | null {
    const times = [...this.#refused.values()].map(({ retryAtMs }) => retryAtMs);
    return times.length === 0 ? null : Math.max(Math.min(...times) - nowMs, 0);
  }
}

function nameOf({ verb, entry }: Step): string {
  return `${verb === 'delete' ? '-' : '+'}${fullText(entry)}`;
}

/** Another gateway or MAC is another attempt. */
function fullText(entry: Entry): string {
  return `${keyOf(entry)} ${entryText(entry)} ${entry.index}`;
}

/** What was to be removed is not there. */
function isGone(errno: number): boolean {
  return [ENOENT, ESRCH, ENODEV, EADDRNOTAVAIL].includes(errno);
}
