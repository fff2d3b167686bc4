/**
 * A tunnel between two processes that need no privilege at all. What goes in and comes out are packets of the programs' own
 * making; between them it is VXLAN in real UDP, on loopback.
 *
 *     node dist/examples/rootless-tunnel.js --packets 100000
 *
 * This process only starts the two nodes and lets them begin at the same time.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Dataplane, IpAddress } from 'twill';
import { decodeIpv4, decodeUdp, encodeIpv4, encodeUdp, PROTOCOL } from 'twill/codec';

const { values } = parseArgs({
  options: {
    packets: { type: 'string', default: '10000' },
    port: { type: 'string', default: '18472' },
    node: { type: 'string' },
  },
});
const packets = Number(values.packets);
const HEADERS = 20 + 8;
/** So far a node runs ahead of what it hears from the other: no queue on the way overflows, so nothing is lost. */
const WINDOW = 64;

if (values.node === undefined) await startBoth();
else await runNode(Number(values.node));

async function startBoth(): Promise<void> {
  const nodes = [1, 2].map((n) =>
    fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), `--node=${n}`]),
  );
  for (const node of nodes) node.once('exit', (code) => code !== 0 && process.exit(1));
  await Promise.all(nodes.map((node) => once(node, 'message')));
  for (const node of nodes) node.send('begin');
  // Neither leaves before the other has all.
  await Promise.all(nodes.map((node) => once(node, 'message')));
  for (const node of nodes) node.disconnect();
}

async function runNode(own: number): Promise<void> {
  const other = 3 - own;
  const mac = (node: number) => `02:00:00:00:00:0${node}`;
  // A VXLAN node listens on every address of its host: two on one host need a port each.
  const udpPort = (node: number) => Number(values.port) + node;
  await using plane = await Dataplane.open({
    encap: 'vxlan',
    port: udpPort(own),
    subnets: [`10.244.${own}.0/24`],
    mac: mac(own),
    overlay: { kind: 'user' },
    underlay: { kind: 'udp', addresses: [`127.0.0.${own}`] },
  });
  plane.peers.set({
    subnet: `10.244.${other}.0/24`,
    endpoint: { address: `127.0.0.${other}`, port: udpPort(other) },
    mac: mac(other),
  });
  const { overlay, pool } = plane;
  if (!overlay) throw new Error('the overlay is not the program');
  const [here, there] = [own, other].map((node) => IpAddress.parse(`10.244.${node}.7`)) as [
    IpAddress,
    IpAddress,
  ];

  let sent = 0;
  let received = 0;
  /** A UDP datagram of four bytes, its number, written where it will leave from. */
  const send = () => {
    while (sent < packets && sent < received + WINDOW) {
      const packet = pool.allocate(HEADERS + 4);
      if (!packet) return;
      const { bytes } = packet;
      bytes.writeUInt32BE(sent, HEADERS);
      const ip = { source: here, destination: there, protocol: PROTOCOL.udp, payloadBytes: 8 + 4 };
      encodeIpv4(ip, bytes);
      encodeUdp({ sourcePort: 1000, destinationPort: 2000, payloadBytes: 4, between: ip }, bytes, 20);
      if (overlay.send([packet]) === 0) return packet.release();
      sent += 1;
    }
  };

  const begin = once(process, 'message');
  process.send?.('ready');
  await begin;
  const startedAt = performance.now();
  send();
  for await (const batch of overlay) {
    for (const packet of batch) {
      const ip = decodeIpv4(packet.bytes);
      const udp = 'drop' in ip ? ip : decodeUdp(ip.payload);
      if ('drop' in udp) throw new Error(`packet ${received} cannot be read: ${udp.drop}`);
      const number = packet.bytes.readUInt32BE(HEADERS);
      if (number !== received) throw new Error(`packet ${number} came where ${received} was due`);
      received += 1;
      packet.release();
    }
    send();
    if (received === packets) break;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const rate = Math.round((sent + received) / seconds).toLocaleString('en');
  console.log(
    `node ${own}, as user ${process.getuid?.()}: ${sent} sent, ${received} received in order, ${rate} packets/s`,
  );
  const end = once(process, 'disconnect');
  process.send?.('done');
  await end;
}
