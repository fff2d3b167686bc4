/**
 * Programs may list a rule in other words than those it was written in, and the words change from version to version. A
 * listing that follows the same write twice, rule for rule, stands for what was written: otherwise we would write it for ever.
 * Once is not enough, for somebody else may have changed it in between; and where the words have been ours before, others never
 * stand for them.
 */
export class AcceptedForms {
  readonly #unread = new Set<string>();
  readonly #asWritten = new Set<string>();
  readonly #seen = new Map<string, string>();
  readonly #accepted = new Map<string, string>();

  /** A line for each rule. */
  wrote(rules: string): void {
    this.#unread.add(rules);
  }

  /** Whether what is listed is what was, or would be, written. */
  areSame(rules: string, listed: string): boolean {
    const isFresh = this.#unread.delete(rules);
    if (listed === rules) {
      this.#asWritten.add(rules);
      return true;
    }
    if (this.#asWritten.has(rules) || lines(rules) !== lines(listed)) return false;
    if (isFresh) {
      if (this.#seen.get(rules) === listed) this.#accepted.set(rules, listed);
      this.#seen.set(rules, listed);
    }
    return this.#accepted.get(rules) === listed;
  }
}

function lines(text: string): number {
  return text.split('\n').length;
}
