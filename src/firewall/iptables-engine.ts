/** Rules in iptables: one process to look at all tables of a family, one for each table that has to change. */
import { AcceptedForms } from './accepted-forms.js';
import {
  type Change,
  type Convergence,
  type Engine,
  type FamilyWish,
  settle,
  withoutRandomPorts,
} from './engine.js';
import { tableChange } from './iptables-change.js';
import type { IptablesPrograms } from './iptables-choice.js';
import { IPTABLES_PLACES, parseSaved } from './iptables-text.js';
import { PURPOSES } from './rules.js';
import { complaint, type Tools } from './tools.js';
import { xtablesLockHolder } from './xtables-lock.js';

/** iptables-restore waits so long for the lock that iptables-legacy has; then we name who holds it and try again. */
const LOCK_WAIT_SECONDS = 5;
/** Exit code of iptables (xtables.h). */
const WRONG_PARAMETER = 2;

export class IptablesEngine implements Engine {
  readonly name: string;
  readonly #tools: Tools;
  readonly #programs: IptablesPrograms;
  readonly #forms = new AcceptedForms();
  #lacksRandomPorts = false;

  constructor(programs: IptablesPrograms, tools: Tools) {
    this.name = programs.name;
    this.#programs = programs;
    this.#tools = tools;
  }

  get lacksRandomPorts(): boolean {
    return this.#lacksRandomPorts;
  }

  converge(wish: FamilyWish): Promise<Convergence> {
    return settle(this.name, () => this.#look(wish));
  }

  async #look(wish: FamilyWish): Promise<readonly Change[] | string> {
    const result = await this.#tools.run(this.#programs.save, []);
    if (result.status !== 0) return `the rules cannot be listed: ${complaint(result)}`;
    const rules = this.#lacksRandomPorts ? withoutRandomPorts(wish.rules) : wish.rules;
    return PURPOSES.flatMap((purpose) => {
      const where = `table ${IPTABLES_PLACES[purpose].table}`;
      const saved = parseSaved(result.stdout, IPTABLES_PLACES[purpose]);
      if (saved.trouble !== null) {
        const { trouble } = saved;
        return rules[purpose] ? [{ where, reasons: [], write: async () => trouble }] : [];
      }
      const wanted = { ...wish, purpose, rules: rules[purpose] };
      const change = tableChange(wanted, saved, (texts, listed) => this.#forms.areSame(texts, listed));
      if (!change) return [];
      const { reasons, input, chain } = change;
      const write = async () => {
        const failure = await this.#restore(input);
        if (failure === null && chain !== null) this.#forms.wrote(chain);
        return failure;
      };
      return [{ where, reasons, write }];
    });
  }

  /** null: done. */
  async #restore(input: string): Promise<string | null> {
    const args = ['--noflush', `--wait=${LOCK_WAIT_SECONDS}`];
    const result = await this.#tools.run(this.#programs.restore, args, input);
    if (result.status === 0) return null;
    if (result.stderr.includes('xtables lock'))
      return `the xtables lock is held by ${xtablesLockHolder()}, for more than ${LOCK_WAIT_SECONDS} s`;
    // Before v1.6.2.
    if (result.status === WRONG_PARAMETER && result.stderr.includes('random') && !this.#lacksRandomPorts) {
      this.#lacksRandomPorts = true;
      return this.#restore(input.replaceAll(' --random-fully', ''));
    }
    return complaint(result);
  }
}
