/** tinc 1.0 as a router, without cipher, digest and compression. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fixedSubnet, type Overlay, overlayNode, type Site } from '../systems.js';
import { configureDevice, Daemon } from './daemon.js';

const MTU_BYTES = 1430;
const DEVICE = 'tinc0';
const names = ['left', 'right'] as const;

export async function startTinc(site: Site): Promise<Overlay> {
  const { bed, directory, signal } = site;
  const keys = names.map(() =>
    generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    }),
  );
  const pids: number[] = [];
  for (const i of [0, 1] as const) {
    const other = (1 - i) as 0 | 1;
    const folder = join(directory, names[i]);
    await mkdir(join(folder, 'hosts'), { recursive: true });
    const settings = [
      ...[`Name = ${names[i]}`, 'DeviceType = tun', `Interface = ${DEVICE}`, 'Mode = router'],
      ...[`BindToAddress = ${bed.nodes[i].underlay}`, ...(i === 1 ? [`ConnectTo = ${names[0]}`] : [])],
    ];
    await writeFile(join(folder, 'tinc.conf'), `${settings.join('\n')}\n`);
    await writeFile(join(folder, 'rsa_key.priv'), keys[i]?.privateKey ?? '', { mode: 0o600 });
    for (const n of [0, 1] as const) {
      const host = [
        ...[`Address = ${bed.nodes[n].underlay}`, `Subnet = ${fixedSubnet(n)}`],
        ...[
          'Cipher = none',
          'Digest = none',
          'Compression = 0',
          'PMTU = 1448',
          'PMTUDiscovery = no',
          keys[n]?.publicKey ?? '',
        ],
      ];
      await writeFile(join(folder, 'hosts', names[n]), `${host.join('\n')}\n`);
    }
    const daemon = Daemon.start(site, i, 'tincd', ['-D', '-c', folder, `--pidfile=${join(folder, 'pid')}`]);
    await daemon.device(DEVICE, signal);
    await configureDevice(bed.nodes[i].namespace, DEVICE, {
      ...{ address: `${fixedSubnet(i).address}/32`, mtuBytes: MTU_BYTES, route: `${fixedSubnet(other)}` },
    });
    if (daemon.pid !== undefined) pids.push(daemon.pid);
  }
  return { nodes: [overlayNode(fixedSubnet(0)), overlayNode(fixedSubnet(1))], mtuBytes: MTU_BYTES, pids };
}
