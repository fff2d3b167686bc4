/** `twill <command>`, or another name of the program: finds the command and turns its end into an exit code. */
import { packageVersion } from '../agent/version.js';
import { TwillError } from '../errors.js';
import { type Command, type CommandIo, exitCode } from './command.js';

/** Loaded one by one, so that no command pays for another, or fails with it. */
const commands: { readonly [name: string]: () => Promise<Command> } = {
  run: async () => (await import('./run.js')).runCommand,
  demo: async () => (await import('./demo.js')).demoCommand,
  bench: async () => (await import('./bench.js')).benchCommand,
  status: async () => (await import('./status.js')).statusCommand,
  peers: async () => (await import('./peers.js')).peersCommand,
  top: async () => (await import('./top.js')).topCommand,
  trace: async () => (await import('./trace.js')).traceCommand,
  capture: async () => (await import('./capture.js')).captureCommand,
  probe: async () => (await import('./probe.js')).probeCommand,
  'install-conf': async () => (await import('./install-conf.js')).installConfCommand,
};

/** Under its own name, or as what stands in for the programs of flannel's image. */
export const PROGRAMS = ['twill', 'flanneld', 'install-conf'] as const;
export type Program = (typeof PROGRAMS)[number];

/** The exit code. Everything that is printed goes through `io`. */
export async function dispatch(
  argv: readonly string[],
  io: CommandIo,
  program: Program = 'twill',
): Promise<number> {
  const [name = ''] = argv;
  const start = program === 'twill' && Object.hasOwn(commands, name) ? `twill ${name}` : program;
  try {
    if (program === 'flanneld') return await (await import('./flanneld.js')).flanneld(argv, io);
    return await found(program === 'twill' ? argv : [program, ...argv], io);
  } catch (error) {
    return report(error, { program, start }, io);
  }
}

async function found(argv: readonly string[], io: CommandIo): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined) {
    io.stderr(await helpText());
    return exitCode.wrongUsage;
  }
  if (isFlag(first, 'version')) {
    io.stdout(`twill ${packageVersion()}`);
    return exitCode.done;
  }
  if (isFlag(first, 'help') || (first === 'help' && rest[0] === undefined)) {
    io.stdout(await helpText());
    return exitCode.done;
  }
  const name = first === 'help' ? (rest[0] ?? '') : first;
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!load) {
    const known = Object.keys(commands).join(', ');
    const what = name.startsWith('-') ? `flag ${name} before a command` : `command ${name}`;
    throw new TwillError('ERR_TWILL_USAGE', `unknown ${what}: the commands are ${known}`);
  }
  if (rest.some((argument) => isFlag(argument, 'version'))) {
    io.stdout(`twill ${packageVersion()}`);
    return exitCode.done;
  }
  const command = await load();
  if (first === 'help' || rest.some((argument) => isFlag(argument, 'help'))) {
    io.stdout(command.usage);
    return exitCode.done;
  }
  return command.run(rest, io);
}

function report(
  error: unknown,
  { program, start }: { program: Program; start: string },
  io: CommandIo,
): number {
  if (!(error instanceof TwillError)) {
    // Not foreseen: the stack is the only lead.
    io.stderr(
      `${program}: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    return exitCode.failed;
  }
  io.stderr(`${program}: ${error.message.replace(/\s*\n\s*/g, ' ')}`);
  if (error.code === 'ERR_TWILL_LEASE_LOST') return exitCode.leaseLost;
  if (error.code === 'ERR_TWILL_SUPPLANTED') return exitCode.supplanted;
  if (error.code !== 'ERR_TWILL_USAGE') return exitCode.failed;
  io.stderr(`Try "${start} --help".`);
  return exitCode.wrongUsage;
}

function isFlag(argument: string, name: string): boolean {
  const short = name === 'help' ? '-h' : `-${name}`;
  return argument === `--${name}` || argument === `-${name}` || argument === short;
}

async function helpText(): Promise<string> {
  const summaries: string[] = [];
  for (const [name, load] of Object.entries(commands)) {
    const summary = await load().then(
      (command) => command.summary,
      () => '(does not load)',
    );
    summaries.push(`  ${name.padEnd(12)} ${summary}`);
  }
  return [
    'Usage: twill <command> [flags]',
    '',
    'A userspace overlay dataplane that speaks flannel: nodes lease subnets from a store, Twill carries the packets.',
    '',
    'Commands:',
    ...summaries,
    '',
    '"twill <command> --help" tells more; --version prints the version.',
    'Exit codes: 0 done, 1 failed, 2 wrong usage; of "run" also 3 and 4 (see there).',
  ].join('\n');
}
