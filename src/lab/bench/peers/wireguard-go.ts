/** wireguard-go, configured through its own socket (the cross-platform interface of wireguard.com/xplatform). */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { TwillError } from '../../../errors.js';
import { fixedSubnet, type Overlay, overlayNode, type Site } from '../systems.js';
import { configureDevice, Daemon } from './daemon.js';

const MTU_BYTES = 1420;
const PORT = 51820;

export async function startWireguard(site: Site): Promise<Overlay> {
  const { bed, signal } = site;
  const keys = [generateKeyPairSync('x25519'), generateKeyPairSync('x25519')] as const;
  const pids: number[] = [];
  for (const i of [0, 1] as const) {
    const other = (1 - i) as 0 | 1;
    // Its socket is named after the device, in a folder that all namespaces share.
    const device = `tw${process.pid}${'lr'[i]}`;
    const environment = { LOG_LEVEL: 'error', WG_PROCESS_FOREGROUND: '1' };
    const daemon = Daemon.start(site, i, 'wireguard-go', ['-f', device], environment);
    await daemon.device(device, signal);
    const lines = [
      ...['set=1', `private_key=${hex(keys[i].privateKey, 'd')}`, `listen_port=${PORT}`],
      ...[`public_key=${hex(keys[other].publicKey, 'x')}`, `endpoint=${bed.nodes[other].underlay}:${PORT}`],
      `allowed_ip=${fixedSubnet(other)}`,
    ];
    const path = `/var/run/wireguard/${device}.sock`;
    let refusal = '';
    const configure = () =>
      ask(path, lines).then(
        (answer) => {
          refusal = answer;
          return true;
        },
        () => false,
      );
    await daemon.until(configure, signal);
    if (!refusal.includes('errno=0'))
      throw new TwillError('ERR_TWILL_INTERNAL', `wireguard-go: ${refusal.trim()}`);
    await configureDevice(bed.nodes[i].namespace, device, {
      ...{ address: `${fixedSubnet(i).address}/32`, mtuBytes: MTU_BYTES, route: `${fixedSubnet(other)}` },
    });
    if (daemon.pid !== undefined) pids.push(daemon.pid);
  }
  return { nodes: [overlayNode(fixedSubnet(0)), overlayNode(fixedSubnet(1))], mtuBytes: MTU_BYTES, pids };
}

function hex(key: KeyObject, part: 'd' | 'x'): string {
  return Buffer.from(key.export({ format: 'jwk' })[part] ?? '', 'base64url').toString('hex');
}

async function ask(path: string, lines: readonly string[]): Promise<string> {
  const socket = connect(path);
  await once(socket, 'connect');
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
    if (answer.includes('errno=')) socket.end();
  });
  socket.write(`${lines.join('\n')}\n\n`);
  await once(socket, 'close');
  return answer;
}
