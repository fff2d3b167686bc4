/** deploy/image/Dockerfile as Docker reads it: its stages, and in each the instructions in their order. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DockerfileParser, From } from 'dockerfile-ast';
import { root } from '../documents.js';

export const dockerfile = readFileSync(join(root, 'deploy/image/Dockerfile'), 'utf8');

export interface Instruction {
  /** `RUN`, `COPY`, ... */
  readonly keyword: string;
  /** `--from` and the like, with their values. */
  readonly flags: readonly string[];
  /** The rest, its lines joined. */
  readonly text: string;
}

export interface Stage {
  readonly image: string;
  readonly instructions: readonly Instruction[];
}

export function stages(): Stage[] {
  const found: { image: string; instructions: Instruction[] }[] = [];
  for (const instruction of DockerfileParser.parse(dockerfile).getInstructions()) {
    if (instruction instanceof From) {
      found.push({ image: instruction.getImage() ?? '', instructions: [] });
      continue;
    }
    const flags = 'getFlags' in instruction ? (instruction as From).getFlags() : [];
    found.at(-1)?.instructions.push({
      keyword: instruction.getKeyword(),
      flags: flags.map((flag) => `--${flag.getName()}=${flag.getValue()}`),
      text: instruction.getArgumentsContent() ?? '',
    });
  }
  return found;
}

/** The environment that a container of the image begins with. */
export function imageEnvironment(): { [name: string]: string } {
  const set =
    stages()
      .at(-1)
      ?.instructions.filter(({ keyword }) => keyword === 'ENV') ?? [];
  return Object.fromEntries(
    set.map(({ text }) => {
      const [, name, value] = /^(\w+)=([^\s"']+)$/.exec(text) ?? [];
      if (name === undefined || value === undefined) throw new Error(`not known: ENV ${text}`);
      return [name, value];
    }),
  );
}
