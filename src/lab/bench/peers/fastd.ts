/** fastd with its null method: no encryption, no authentication. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fixedSubnet, type Overlay, overlayNode, type Site } from '../systems.js';
import { configureDevice, Daemon } from './daemon.js';

// One byte of its own beside IP and UDP; 1450 as VXLAN, to compare.
const MTU_BYTES = 1450;
const PORT = 10000;
const DEVICE = 'fastd0';

async function makeKey(): Promise<{ secret: string; public: string }> {
  const { stdout, stderr } = await promisify(execFile)('fastd', ['--generate-key']);
  const find = (name: string) => new RegExp(`${name}: ([0-9a-f]{64})`).exec(stdout + stderr)?.[1] ?? '';
  return { secret: find('Secret'), public: find('Public') };
}

export async function startFastd(site: Site): Promise<Overlay> {
  const { bed, directory, signal } = site;
  const keys = [await makeKey(), await makeKey()] as const;
  const pids: number[] = [];
  const daemons = [0, 1].map(async (n) => {
    const i = n as 0 | 1;
    const other = (1 - i) as 0 | 1;
    const file = join(directory, `fastd-${i}.conf`);
    const lines = [
      ...['log level warn;', 'mode tun;', `interface "${DEVICE}";`, 'method "null";', `mtu ${MTU_BYTES};`],
      ...[`bind ${bed.nodes[i].underlay}:${PORT};`, `secret "${keys[i].secret}";`],
      `peer "other" { remote ${bed.nodes[other].underlay}:${PORT}; key "${keys[other].public}"; }`,
    ];
    await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
    const daemon = Daemon.start(site, i, 'fastd', ['--config', file]);
    await daemon.device(DEVICE, signal);
    await configureDevice(bed.nodes[i].namespace, DEVICE, {
      ...{ address: `${fixedSubnet(i).address}/32`, mtuBytes: MTU_BYTES, route: `${fixedSubnet(other)}` },
    });
    if (daemon.pid !== undefined) pids.push(daemon.pid);
  });
  await Promise.all(daemons);
  return { nodes: [overlayNode(fixedSubnet(0)), overlayNode(fixedSubnet(1))], mtuBytes: MTU_BYTES, pids };
}
