/** Packages of npm with native parts that only one command needs, and that a machine may lack. */
import { TwillError, type TwillErrorCode } from '../errors.js';

export interface OptionalPackage {
  readonly name: string;
  /** What asks for it, in words before "needs the package". */
  readonly neededBy: string;
  readonly install: string;
  readonly code: TwillErrorCode;
}

/** What `load` imports. Throws with `code`, saying why there is none and how to get it. */
export async function loadOptional<T>(
  load: () => Promise<{ readonly default: T }>,
  { name, neededBy, install, code }: OptionalPackage,
): Promise<T> {
  try {
    return (await load()).default;
  } catch (cause) {
    const { message } = cause as Error;
    const why = /Cannot find (package|module)/.test(message)
      ? 'which is not built here'
      : `which does not load (${message.split('\n')[0]})`;
    throw new TwillError(code, `${neededBy} needs the package ${name}, ${why}: ${install}`, { cause });
  }
}
