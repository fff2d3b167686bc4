/**
 * Agents over a store of one's own. The first process keeps the leases in memory and serves them; each of the others is a node:
 * it takes a lease there, makes its device, and carries packets to the nodes that it finds in the store. Nodes need root, and a
 * network namespace or a machine each.
 *
 *     node custom-store.js serve --socket=/run/leases.sock --network=10.244.0.0/16
 *     node custom-store.js node --socket=/run/leases.sock --iface=eth0 --directory=/run/node-a
 *
 * A node prints its subnet and the peers that come and go, and ends on SIGINT or SIGTERM.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Agent } from 'twill/agent';
import { LeaseServer } from './lease-server.js';
import { SocketStore } from './socket-store.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    socket: { type: 'string', default: '/run/leases.sock' },
    network: { type: 'string', default: '10.244.0.0/16' },
    iface: { type: 'string', default: 'eth0' },
    directory: { type: 'string', default: '/run/twill' },
  },
});
const stopped = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => resolve());
});

if (positionals[0] === 'serve') await serve();
else if (positionals[0] === 'node') await runNode();
else throw new Error('say "serve" or "node"');

async function serve(): Promise<void> {
  const server = new LeaseServer(JSON.stringify({ Network: values.network, Backend: { Type: 'vxlan' } }));
  await server.listen(values.socket);
  console.log(`serving ${values.network} on ${values.socket}`);
  await stopped;
  await server.close();
}

async function runNode(): Promise<void> {
  const store = new SocketStore(values.socket);
  await using agent = await Agent.start({
    store,
    iface: values.iface,
    controlSocket: join(values.directory, 'control.sock'),
    subnetFile: join(values.directory, 'subnet.env'),
  });
  const { subnet, device } = agent.status().node;
  console.log(`node ${subnet} on ${device}`);
  let known = '';
  const look = setInterval(() => {
    const peers = agent.peers().map(({ subnet: theirs, endpoint }) => `${theirs} at ${endpoint.address}`);
    if (peers.join() === known) return;
    known = peers.join();
    console.log(`peers: ${peers.join(', ') || 'none'}`);
  }, 100);
  await Promise.race([stopped, agent.finished]);
  clearInterval(look);
  await agent.stop();
  await store.close();
}
