/** Rules in nftables: one process to look at the table of a family, one to change it. */
import type { IpFamily } from '../net/ip.js';
import { AcceptedForms } from './accepted-forms.js';
import {
  type Change,
  type Convergence,
  type Engine,
  type FamilyWish,
  settle,
  withoutRandomPorts,
} from './engine.js';
import { nftChange } from './nft-change.js';
import { type ListedTable, NFT_TABLES, parseListed } from './nft-text.js';
import { complaint, type Tools } from './tools.js';

export class NftEngine implements Engine {
  readonly name = 'nft';
  readonly #tools: Tools;
  readonly #program: string;
  readonly #family: IpFamily;
  readonly #forms = new AcceptedForms();
  #lacksRandomPorts = false;

  /** `program`: path of nft. */
  constructor(program: string, family: IpFamily, tools: Tools) {
    this.#program = program;
    this.#family = family;
    this.#tools = tools;
  }

  get lacksRandomPorts(): boolean {
    return this.#lacksRandomPorts;
  }

  converge(wish: FamilyWish): Promise<Convergence> {
    return settle(this.name, () => this.#look(wish));
  }

  async #look(wish: FamilyWish): Promise<readonly Change[] | string> {
    const listed = await this.#list();
    if (typeof listed === 'string') return listed;
    const change = this.#change(wish, listed);
    if (!change) return [];
    const write = async () => {
      const failure = await this.#apply(change.input);
      if (failure === null || this.#lacksRandomPorts) return this.#wrote(change.written, failure);
      // The kernel or nft may not know random ports: then the same without them is taken.
      this.#lacksRandomPorts = true;
      const plain = this.#change(wish, listed);
      const isOther = plain && plain.input !== change.input;
      if (isOther && (await this.#apply(plain.input)) === null) return this.#wrote(plain.written, null);
      this.#lacksRandomPorts = false;
      return failure;
    };
    return [{ where: `table ${NFT_TABLES[this.#family].name}`, reasons: change.reasons, write }];
  }

  #change(wish: FamilyWish, listed: ListedTable | null) {
    const rules = this.#lacksRandomPorts ? withoutRandomPorts(wish.rules) : wish.rules;
    return nftChange(this.#family, { ...wish, rules }, listed, (written, now) =>
      this.#forms.areSame(written, now),
    );
  }

  /** null: there is no such table. A text: why it cannot be listed. */
  async #list(): Promise<ListedTable | null | string> {
    const { family, name } = NFT_TABLES[this.#family];
    const result = await this.#tools.run(this.#program, ['list', 'table', family, name]);
    if (result.status === 0) return parseListed(result.stdout);
    if (result.stderr.includes('No such file or directory')) return null;
    return `table ${name} cannot be listed: ${complaint(result)}`;
  }

  /** null: done. */
  async #apply(input: string): Promise<string | null> {
    const result = await this.#tools.run(this.#program, ['-f', '-'], input);
    return result.status === 0 ? null : complaint(result);
  }

  #wrote(chains: readonly string[], failure: string | null): string | null {
    if (failure === null) for (const chain of chains) this.#forms.wrote(chain);
    return failure;
  }
}
