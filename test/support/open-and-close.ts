// `open-and-close TIMES`: opens and closes a dataplane with a TUN and UDP sockets that often, and prints what the process
// and the namespace held before and after.
import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { Dataplane } from '../../src/index.js';
import { netlink } from '../../src/native/netlink.js';

async function once(workers: number): Promise<void> {
  const plane = await Dataplane.open({
    encap: 'vxlan',
    workers,
    subnets: ['10.1.1.0/24'],
    networks: ['10.1.0.0/16'],
    overlay: { kind: 'tun', name: 'weft%d' },
    underlay: { kind: 'udp', addresses: ['192.0.2.1'] },
  });
  await plane.close();
  // The event loop lets go of what it watched in its next turn.
  for (let turn = 0; turn < 2; turn++) await setImmediate();
}

const held = () => ({
  descriptors: readdirSync('/proc/self/fd').length,
  threads: readdirSync('/proc/self/task').length,
  links: netlink.links().map(({ name }) => name),
  routes: netlink.routes(4).length,
});

// What the runtime itself opens on first use.
await once(1);
const before = held();
for (let i = 0; i < Number(process.argv[2]); i++) await once(1 + (i % 2));
console.log(JSON.stringify({ before, after: held() }));
