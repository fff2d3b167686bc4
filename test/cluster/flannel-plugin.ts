/** flannel's CNI plugin as a runtime starts it (CNI specification, section 2): by contract, since Debian has none. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { delegateConf, type PluginConf } from '../support/flannel-cni.js';

const { CNI_COMMAND = '', CNI_CONTAINERID = '', CNI_PATH = '' } = process.env;
/** What a pod's end needs, as it was at its beginning. */
const kept = join('/var/lib/cni/flannel', CNI_CONTAINERID);

function delegated(given: PluginConf): PluginConf | null {
  if (CNI_COMMAND === 'ADD') {
    const conf = delegateConf(given, readFileSync('/run/flannel/subnet.env', 'utf8'));
    mkdirSync(dirname(kept), { recursive: true });
    writeFileSync(kept, JSON.stringify(conf));
    return conf;
  }
  return existsSync(kept) ? (JSON.parse(readFileSync(kept, 'utf8')) as PluginConf) : null;
}

function work(): number {
  if (CNI_COMMAND === 'VERSION') {
    console.log(JSON.stringify({ cniVersion: '0.3.1', supportedVersions: ['0.3.0', '0.3.1', '0.4.0'] }));
    return 0;
  }
  const conf = delegated(JSON.parse(readFileSync(0, 'utf8')) as PluginConf);
  if (!conf) return 0;
  const program = CNI_PATH.split(':')
    .map((folder) => join(folder, String(conf['type'])))
    .find(existsSync);
  if (program === undefined) throw new Error(`no plugin ${conf['type']} in ${CNI_PATH}`);
  const { status } = spawnSync(program, [], {
    input: JSON.stringify(conf),
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  if (CNI_COMMAND === 'DEL' && status === 0) rmSync(kept, { force: true });
  return status ?? 1;
}

try {
  process.exitCode = work();
} catch (error) {
  console.log(JSON.stringify({ cniVersion: '0.3.1', code: 100, msg: (error as Error).message }));
  process.exitCode = 1;
}
