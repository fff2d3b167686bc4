// `serve ADDRESS` prints its port, then the SHA-256 of what the first connection brings; `send ADDRESS PORT BYTES` prints
// the SHA-256 of what it sent. Both end by themselves.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

const [, , role, address = '', port = '0', bytes = '0'] = process.argv;
const hash = createHash('sha256');

if (role === 'serve') {
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    socket.on('data', (data) => hash.update(data));
    socket.on('end', () => {
      console.log(hash.digest('hex'));
      server.close();
    });
  });
  server.listen(0, address, () => console.log((server.address() as AddressInfo).port));
} else {
  const socket = connect({ host: address, port: Number(port) });
  await once(socket, 'connect');
  for (let left = Number(bytes); left > 0; left -= 65_536) {
    const chunk = randomBytes(Math.min(left, 65_536));
    hash.update(chunk);
    if (!socket.write(chunk)) await once(socket, 'drain');
  }
  socket.end();
  console.log(hash.digest('hex'));
}
