/**
 * Programs may list a rule in other words than those it was written in, and the words change from version to version. A
 * listing that follows the same write twice stands for what was written: otherwise we would write it for ever. Once is not
 * enough, for somebody else may have changed it in between.
 */
export class AcceptedForms {
  readonly #unread = new Set<string>();
  readonly #seen = new Map<string, string>();
  readonly #accepted = new Map<string, string>();

  wrote(rules: string): void {
    this.#unread.add(rules);
  }

  /** Whether what is listed, which differs from the rules, stands for them. */
  accepts(rules: string, listed: string): boolean {
    if (this.#unread.delete(rules)) {
      if (this.#seen.get(rules) === listed) this.#accepted.set(rules, listed);
      this.#seen.set(rules, listed);
    }
    return this.#accepted.get(rules) === listed;
  }
}
