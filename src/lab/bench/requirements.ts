/** Programs of other packages that the benchmark needs, and which Debian package has them. */
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { TwillError } from '../../errors.js';

const debianPackage = {
  ip: 'iproute2',
  bridge: 'iproute2',
  tc: 'iproute2',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  ethtool: 'ethtool',
  iperf3: 'iperf3',
} as const;
export type Tool = keyof typeof debianPackage;

/** Where a program is, by PATH; null where it is not. */
export async function findProgram(name: string, path = process.env['PATH'] ?? ''): Promise<string | null> {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, name);
    const isThere = await access(file, constants.X_OK).then(
      () => folder !== '',
      () => false,
    );
    if (isThere) return file;
  }
  return null;
}

/** Throws, with what to install, when any is missing. */
export async function requireTools(tools: readonly Tool[], path?: string): Promise<void> {
  const missing: Tool[] = [];
  for (const tool of tools) if ((await findProgram(tool, path)) === null) missing.push(tool);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => debianPackage[tool]))];
  throw new TwillError(
    'ERR_TWILL_INTERNAL',
    `the benchmark needs ${missing.join(', ')}, not found in PATH: on Debian, "apt-get install ${packages.join(' ')}"`,
  );
}
