/** nebula between two hosts that know each other; it always encrypts. Node to node only. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fixedSubnet, type Overlay, type OverlayNode, type Site } from '../systems.js';
import { Daemon } from './daemon.js';

const MTU_BYTES = 1440;
const PORT = 4242;
const DEVICE = 'nebula0';
const names = ['left', 'right'] as const;

function nodeOf(i: 0 | 1): OverlayNode {
  const subnet = fixedSubnet(i);
  return { subnet, address: `${subnet.address}`.replace(/\.0$/, '.1') };
}

export async function startNebula(site: Site): Promise<Overlay> {
  const { bed, directory, signal } = site;
  const cert = (...args: string[]) => promisify(execFile)('nebula-cert', args, { cwd: directory });
  await cert('ca', '-name', 'bench');
  const pids: number[] = [];
  for (const i of [0, 1] as const) {
    const other = (1 - i) as 0 | 1;
    await cert('sign', '-name', names[i], '-ip', `${nodeOf(i).address}/16`);
    const file = join(directory, `${names[i]}.yml`);
    // YAML takes JSON.
    const config = {
      pki: {
        ca: join(directory, 'ca.crt'),
        cert: join(directory, `${names[i]}.crt`),
        key: join(directory, `${names[i]}.key`),
      },
      static_host_map: { [nodeOf(other).address]: [`${bed.nodes[other].underlay}:${PORT}`] },
      lighthouse: { am_lighthouse: false, hosts: [] },
      listen: { host: bed.nodes[i].underlay, port: PORT },
      tun: { dev: DEVICE, mtu: MTU_BYTES },
      firewall: {
        outbound: [{ port: 'any', proto: 'any', host: 'any' }],
        inbound: [{ port: 'any', proto: 'any', host: 'any' }],
      },
      logging: { level: 'error' },
    };
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
    const daemon = Daemon.start(site, i, 'nebula', ['-config', file]);
    await daemon.device(DEVICE, signal);
    if (daemon.pid !== undefined) pids.push(daemon.pid);
  }
  return { nodes: [nodeOf(0), nodeOf(1)], mtuBytes: MTU_BYTES, pids };
}
