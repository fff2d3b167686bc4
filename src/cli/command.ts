/** What a subcommand of `twill` is. Commands never touch `process` themselves: all that they need comes in through CommandIo. */

export interface CommandIo {
  /** Writes one line (the line end is added). */
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
  readonly env: NodeJS.ProcessEnv;
  /** Aborts on SIGINT or SIGTERM: finish cleanly. A second signal ends the process at once, without asking. */
  readonly signal: AbortSignal;
  /** Calls back on every SIGHUP; the result stops that. */
  readonly onReload?: (listener: () => void) => () => void;
}

export interface Command {
  readonly name: string;
  /** One line for `twill --help`. */
  readonly summary: string;
  /** The whole text of `twill <name> --help`. */
  readonly usage: string;
  /** `argv` is what follows the command's name. Resolves to the exit code; a TwillError becomes one line on stderr. */
  run(argv: readonly string[], io: CommandIo): Promise<number>;
}

/** Exit codes of every command. */
export const exitCode = { done: 0, failed: 1, wrongUsage: 2, leaseLost: 3, supplanted: 4 } as const;
