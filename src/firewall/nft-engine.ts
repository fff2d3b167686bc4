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
import { type NftChange, nftChange } from './nft-change.js';
import { type ListedTable, NFT_TABLES, parseListed } from './nft-text.js';
import { PURPOSES, type Purpose } from './rules.js';
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
      const failure = await this.#write(change, wish, listed);
      // The kernel may lack what one chain needs: the others are set without it.
      return failure === null ? null : this.#writeEach(wish, listed, failure);
    };
    return [{ where: `table ${NFT_TABLES[this.#family].name}`, reasons: change.reasons, write }];
  }

  /** Why these chains could not be set, in one transaction; null: they are. */
  async #write(
    change: NftChange,
    wish: FamilyWish,
    listed: ListedTable | null,
    purposes?: readonly Purpose[],
  ): Promise<string | null> {
    const failure = await this.#apply(change.input);
    if (failure === null || this.#lacksRandomPorts) return this.#wrote(change.written, failure);
    // The kernel or nft may not know random ports: then the same without them is taken.
    this.#lacksRandomPorts = true;
    const plain = this.#change(wish, listed, purposes);
    const isOther = plain && plain.input !== change.input;
    if (isOther && (await this.#apply(plain.input)) === null) return this.#wrote(plain.written, null);
    this.#lacksRandomPorts = false;
    return failure;
  }

  async #writeEach(wish: FamilyWish, listed: ListedTable | null, together: string): Promise<string | null> {
    const changes = PURPOSES.flatMap((purpose) => {
      const change = this.#change(wish, listed, [purpose]);
      return change ? [{ purpose, change }] : [];
    });
    if (changes.length < 2) return together;
    const failures: string[] = [];
    for (const { purpose, change } of changes) {
      const failure = await this.#write(change, wish, listed, [purpose]);
      if (failure !== null) failures.push(failure);
    }
    return failures.length === 0 ? null : [...new Set(failures)].join('; ');
  }

  #change(wish: FamilyWish, listed: ListedTable | null, purposes?: readonly Purpose[]) {
    const rules = this.#lacksRandomPorts ? withoutRandomPorts(wish.rules) : wish.rules;
    const areSame = (written: string, now: string) => this.#forms.areSame(written, now);
    return nftChange(this.#family, { ...wish, rules }, listed, areSame, purposes);
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
