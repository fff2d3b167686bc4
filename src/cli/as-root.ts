/** For the commands that make network namespaces: root's rights, one's own or those inside a user namespace. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { TwillError } from '../errors.js';
import { type CommandIo, exitCode } from './command.js';

/** Set for the copy of us that runs inside a user namespace. */
const NESTED = 'TWILL_NESTED';

/** null: we are root and go on; else the command has run as root of a user namespace, and this is its exit code. */
export async function runAsRoot(
  command: string,
  argv: readonly string[],
  io: CommandIo,
): Promise<number | null> {
  if (process.geteuid?.() === 0) return null;
  if (io.env[NESTED] === undefined) return runInUserNamespace(command, argv, io);
  throw new TwillError('ERR_TWILL_PRIVILEGE', 'the user namespace maps us to no root: run as root');
}

export async function requireTun(): Promise<void> {
  try {
    await access('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const why = isMissing ? 'there is no /dev/net/tun' : '/dev/net/tun is closed to this user';
    const fix = isMissing
      ? 'load it with "modprobe tun"'
      : 'run as root, or open it with "chmod 666 /dev/net/tun"';
    throw new TwillError('ERR_TWILL_DEVICE', `${why}: ${fix}`, { cause });
  }
}

/** Once more, as root of a user namespace of our own. */
async function runInUserNamespace(command: string, argv: readonly string[], io: CommandIo): Promise<number> {
  io.stderr('not root: using a user namespace');
  const [script = ''] = process.argv.slice(1);
  // Whatever ends us ends it, and gently.
  const copy = ['setpriv', '--pdeathsig=INT', '--', process.execPath, script, command, ...argv];
  const child = spawn('unshare', ['--user', '--map-root-user', '--', ...copy], {
    stdio: ['ignore', 'inherit', 'pipe'],
    // Ctrl-C signals a whole process group: a second signal beside the one we pass on would end it amid its cleaning up.
    detached: true,
    env: { ...io.env, [NESTED]: '1' },
  });
  let isRunning = false;
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    isRunning ||= !part.startsWith('unshare:');
    if (isRunning) process.stderr.write(part);
  });
  const forward = () => child.kill('SIGINT');
  io.signal.addEventListener('abort', forward);
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  try {
    const [code] = (await Promise.race([once(child, 'close'), failed])) as [number | null];
    if (isRunning || code === 0) return code ?? exitCode.failed;
    throw new Error(text.trim() || `unshare ended with ${code}`);
  } catch (cause) {
    const why = `cannot make a user namespace: ${(cause as Error).message}`;
    const fix =
      'run as root, or allow it (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)';
    throw new TwillError('ERR_TWILL_PRIVILEGE', `${why}; ${fix}`, { cause });
  } finally {
    io.signal.removeEventListener('abort', forward);
  }
}
