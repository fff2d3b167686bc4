/** What runs under the name `flanneld`: the agent with flannel's command line and flannel's defaults. */
import { packageVersion } from '../agent/version.js';
import { runFlags, runOptions } from '../config/run-options.js';
import { type CommandIo, exitCode } from './command.js';
import { usageText } from './control.js';
import { endingText, idleFlagsText, runAgent } from './run.js';

const usage = usageText(
  'flanneld [flags]',
  [
    'Twill in the place of flanneld: leases in etcd on the usual ports, /run/flannel/subnet.env, and the flags and FLANNELD_',
    'variables of flannel. "twill status" and the other commands ask it. Logs are JSON lines on standard error.',
    '',
    ...endingText,
  ],
  runFlags,
  idleFlagsText,
);

export async function flanneld(argv: readonly string[], io: CommandIo): Promise<number> {
  if (argv.some((argument) => /^(--?help|-h)$/.test(argument))) {
    io.stdout(usage);
    return exitCode.done;
  }
  // A switch of Go: also written out. Not from the environment, as with flannel.
  const isVersion = (argument: string) => /^--?version(=.*)?$/.test(argument);
  if (argv.some((argument) => isVersion(argument) && !/=(0|f|false)$/i.test(argument))) {
    // Scripts that want flannel's version look for it on standard error, bare.
    io.stderr(`v${packageVersion()}`);
    return exitCode.done;
  }
  const flags = argv.filter((argument) => !isVersion(argument));
  return runAgent(runOptions(flags, io.env, { asFlannel: true }), io);
}
