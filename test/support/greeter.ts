/** A TCP service that tells who it takes the caller for, and callers. */
import { once } from 'node:events';
import type { Namespace } from '../../src/lab/namespace.js';

const server = `
  const answer = (socket) => socket.on('error', () => {}).end(socket.remoteAddress);
  require('net').createServer(answer).listen(Number(process.argv[1]), '::', () => console.log('listening'));
`;
const caller = `
  const socket = require('net').connect({ port: Number(process.argv[2]), host: process.argv[1] });
  socket.setTimeout(Number(process.argv[3]), () => socket.destroy(new Error('no answer')));
  socket.on('data', (text) => process.stdout.write(text)).on('error', () => process.exit(1));
`;

/** Resolves once it listens, on every address of the namespace; it ends with that. */
export async function startGreeter(namespace: Namespace, port: number): Promise<void> {
  const child = namespace.spawn(process.execPath, ['-e', server, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await Promise.race([
    once(child.stdout ?? child, 'data'),
    once(child, 'exit').then(() => {
      throw new Error(`no greeter in ${namespace.label}`);
    }),
  ]);
}

/** The address by which the service knows the caller (IPv4 in its plain form); null: nobody answered. */
export async function callerAsSeen(from: Namespace, address: string, port: number): Promise<string | null> {
  const args = ['-e', caller, address, String(port), '1000'];
  return from.exec(process.execPath, args).then(
    ({ stdout }) => stdout.replace(/^::ffff:/, ''),
    () => null,
  );
}
