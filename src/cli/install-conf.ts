/** `twill install-conf`: a CNI configuration from a mounted ConfigMap to where the container runtime looks for it. */
import { constants } from 'node:fs';
import { mkdir, open, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseFlags } from '../config/flags.js';
import { TwillError } from '../errors.js';
import { parseJsonObject } from '../net/json.js';
import { replaceFile } from '../store/files.js';
import { type Command, exitCode } from './command.js';

const LONGEST_BYTES = 256 * 1024;
const MODE = 0o644;

const usage = [
  'Usage: twill install-conf SOURCE DESTINATION',
  '',
  'Copies a CNI configuration, usually from /etc/kube-flannel/cni-conf.json to /etc/cni/net.d/10-flannel.conflist, in one step:',
  'whoever reads the folder meanwhile finds the old file or the new one, also after a crash. Mode 0644, whatever the umask.',
  'Nothing is copied that is no JSON object, and nothing else in the folder is touched. A file there that container runtimes',
  'would take instead, since its name comes first, is named on standard error.',
  '',
  'A link of the name install-conf to this program does the same: install-conf SOURCE DESTINATION.',
].join('\n');

export const installConfCommand: Command = {
  name: 'install-conf',
  summary: 'copy a CNI configuration to where the container runtime looks for it',
  usage,
  async run(argv, io) {
    const [source, destination, ...more] = parseFlags([], argv, {}).positional;
    if (source === undefined || destination === undefined)
      throw wrongUsage(`missing argument: ${source === undefined ? 'SOURCE' : 'DESTINATION'}`);
    if (more.length > 0) throw wrongUsage(`unexpected argument: ${more[0]}`);
    const folder = dirname(destination);
    try {
      const text = await readConfiguration(source);
      await mkdir(folder, { recursive: true });
      await replaceFile(destination, text, MODE);
    } catch (cause) {
      const { message } = cause as Error;
      throw new TwillError('ERR_TWILL_CONFIG', `cannot install ${source} as ${destination}: ${message}`, {
        cause,
      });
    }
    io.stdout(`installed ${source} as ${destination}`);
    const first = await chosenInstead(destination);
    if (first !== null)
      io.stderr(`container runtimes take ${join(folder, first)} instead: its name comes first; move it away`);
    return exitCode.done;
  },
};

/** Links are followed: those of a ConfigMap are links. */
async function readConfiguration(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('not a regular file');
    if (stats.size > LONGEST_BYTES) throw new Error(`larger than ${LONGEST_BYTES} bytes`);
    const text = await file.readFile('utf8');
    parseJsonObject(text);
    return text;
  } finally {
    await file.close();
  }
}

/** As libcni chooses: the first name of those that end like a configuration. */
async function chosenInstead(destination: string): Promise<string | null> {
  const names = (await readdir(dirname(destination))).filter((name) => /\.(conf|conflist|json)$/.test(name));
  const [first = ''] = names.sort();
  return first !== '' && first < basename(destination) ? first : null;
}

function wrongUsage(message: string): TwillError {
  return new TwillError('ERR_TWILL_USAGE', message);
}
