/** `twill run`: the agent in the foreground. */
import { Agent } from '../agent/agent.js';
import { ServiceManager } from '../agent/service-manager.js';
import { idleFlags } from '../config/flannel-flags.js';
import { type RunOptions, runFlags, runOptions } from '../config/run-options.js';
import { TwillError } from '../errors.js';
import { createLogger } from '../observe/log.js';
import { openStore } from '../store/open.js';
import { type Command, type CommandIo, exitCode } from './command.js';
import { usageText } from './control.js';

/** Flags that are taken and do nothing yet. */
export const idleFlagsText = [
  'Flags of flannel that are accepted, and named at the start as not done by this version:',
  ...idleFlags.map(({ name, help }) => `  --${name.padEnd(30)} ${help}`),
].join('\n');

/** How the agent ends. */
export const endingText = [
  'SIGINT and SIGTERM stop it (a second one at once); SIGHUP reads the network configuration again.',
  'Exit codes: 0 stopped, 1 failed, 2 wrong usage, 3 another node holds our lease, 4 a flannel on this host has put its',
  'own device in the place of ours.',
];

export const runCommand: Command = {
  name: 'run',
  summary: 'run the agent of this node in the foreground',
  usage: usageText(
    'twill run [flags]',
    [
      'Takes a lease from the store, makes the overlay device, and carries packets to and from the peers that the store',
      "names. Flags are flannel's where they mean the same, and each can come from the environment: TWILL_<NAME> or",
      'FLANNELD_<NAME>, upper case, "_" for "-". Logs are JSON lines on standard error.',
      '',
      ...endingText,
    ],
    runFlags,
    idleFlagsText,
  ),
  run: (argv, io) => runAgent(runOptions(argv, io.env), io),
};

export async function runAgent(options: RunOptions, io: CommandIo): Promise<number> {
  const logger = createLogger({ level: options.logLevel });
  const { stateDirectory, undone } = options;
  if (undone.length > 0)
    logger.warn({ undone }, `this version does less than was asked: ${undone.join('; ')}`);
  const serviceManager = new ServiceManager(io.env, { logger });
  const store = await openStore(options.store, { stateDirectory, say: (message) => logger.warn(message) });
  try {
    const agent = await Agent.start(options, { store, logger, serviceManager, signal: io.signal });
    const stop = () => {
      logger.info('stopping on a signal');
      void agent.stop();
    };
    if (io.signal.aborted) stop();
    else io.signal.addEventListener('abort', stop, { once: true });
    const forget = io.onReload?.(() => agent.reload());
    try {
      await agent.finished;
    } finally {
      forget?.();
    }
    return exitCode.done;
  } catch (error) {
    // A stop that was asked for during the start is no failure.
    if (io.signal.aborted && isAbort(error)) return exitCode.done;
    throw error;
  } finally {
    await store.close();
  }
}

function isAbort(error: unknown): boolean {
  return (
    (error instanceof TwillError && error.code === 'ERR_TWILL_CLOSED') ||
    (error as Error).name === 'AbortError'
  );
}
