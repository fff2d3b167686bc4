/**
 * Shows the flows of a mirrored feed, such as AWS Traffic Mirroring sends: every frame of a network card, often cut short,
 * in VXLAN on UDP port 4789 under any VNI. It wants only the codec: no native code, no privilege.
 *
 *     node dist/examples/vxlan-sniffer.js --port 4789 --every 10
 *
 * Prints the largest flows every so many seconds and at the end (Ctrl-C, or after --datagrams).
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { decodeEthernet, decodeIp, decodeVxlan, ETHER_TYPE, type IpPacket, PROTOCOL } from 'twill/codec';

const { values } = parseArgs({
  options: {
    address: { type: 'string', default: '0.0.0.0' },
    port: { type: 'string', default: '4789' },
    every: { type: 'string', default: '10' },
    datagrams: { type: 'string', default: 'Infinity' },
    top: { type: 'string', default: '20' },
  },
});

interface Flow {
  readonly vni: number;
  readonly name: string;
  packets: number;
  /** Of the packets as they were sent, also where the mirror cut them. */
  bytes: number;
}

/** A feed with ever new addresses must not fill the memory. */
const MOST_FLOWS = 65_536;
const NAMES: Record<number, string> = {
  [PROTOCOL.icmp]: 'icmp',
  [PROTOCOL.tcp]: 'tcp',
  [PROTOCOL.udp]: 'udp',
  [PROTOCOL.icmpv6]: 'icmp6',
};
/** IEEE 802.1Q and 802.1ad. */
const VLAN_TAGS = [0x8100, 0x88a8];
const flows = new Map<string, Flow>();
/** What is in no flow, by reason. */
const others = new Map<string, number>();
let datagrams = 0;

const socket = createSocket(values.address.includes(':') ? 'udp6' : 'udp4');
const end = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end.abort());
socket.on('message', (payload) => {
  datagrams += 1;
  const why = count(payload);
  if (why !== null) others.set(why, (others.get(why) ?? 0) + 1);
  if (datagrams >= Number(values.datagrams)) end.abort();
});
socket.bind({ port: Number(values.port), address: values.address });
await once(socket, 'listening');
// A burst waits here while the flows are printed.
socket.setRecvBufferSize(8 << 20);
const { address, port } = socket.address();
console.log(`listening on ${address} port ${port}`);
const timer = setInterval(print, Number(values.every) * 1000);
await once(end.signal, 'abort');
clearInterval(timer);
socket.close();
print();

/** Adds a datagram to its flow, or says why it is in none. */
function count(datagram: Uint8Array): string | null {
  const vxlan = decodeVxlan(datagram);
  if ('drop' in vxlan) return `no VXLAN (${vxlan.drop})`;
  const frame = decodeEthernet(vxlan.frame);
  if ('drop' in frame) return `no frame (${frame.drop})`;
  let { etherType, payload } = frame;
  for (; VLAN_TAGS.includes(etherType) && payload.length >= 4; payload = payload.subarray(4))
    etherType = ((payload[2] ?? 0) << 8) | (payload[3] ?? 0);
  if (etherType !== ETHER_TYPE.ipv4 && etherType !== ETHER_TYPE.ipv6)
    return `EtherType 0x${etherType.toString(16).padStart(4, '0')}`;
  const ip = decodeIp(payload, { cut: true });
  if ('drop' in ip) return `no IP packet (${ip.drop})`;
  const { vni } = vxlan;
  const ports = portsOf(ip);
  // Two flows of two networks may have the same addresses.
  const key = `${vni} ${ip.protocol} ${ports?.join()} ${String.fromCharCode(...ip.ends)}`;
  let flow = flows.get(key);
  if (!flow) {
    if (flows.size === MOST_FLOWS) return 'more flows than are kept';
    flow = { vni, name: nameOf(ip, ports), packets: 0, bytes: 0 };
    flows.set(key, flow);
  }
  flow.packets += 1;
  flow.bytes += ip.totalBytes;
  return null;
}

/** At the same place in TCP and UDP; later fragments, and what is cut before them, have none. */
function portsOf(ip: IpPacket): readonly [number, number] | null {
  const { protocol, payload } = ip;
  const hasPorts = protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp;
  if (!hasPorts || payload.length < 4 || (ip.family === 4 && ip.fragmentOffset > 0)) return null;
  const view = new DataView(payload.buffer, payload.byteOffset);
  return [view.getUint16(0), view.getUint16(2)];
}

function nameOf(ip: IpPacket, ports: readonly [number, number] | null): string {
  const protocol = NAMES[ip.protocol] ?? `protocol ${ip.protocol}`;
  const at = (address: string, port: number | undefined) =>
    port === undefined ? address : ip.family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
  return `${protocol} ${at(`${ip.source}`, ports?.[0])} > ${at(`${ip.destination}`, ports?.[1])}`;
}

function print(): void {
  console.log(`${datagrams} datagrams, ${flows.size} flows`);
  console.log('   packets         bytes       VNI  flow');
  const largest = [...flows.values()].sort((a, b) => b.bytes - a.bytes).slice(0, Number(values.top));
  for (const { packets, bytes, vni, name } of largest)
    console.log(
      [`${packets}`.padStart(10), `${bytes}`.padStart(13), `${vni}`.padStart(9), ` ${name}`].join(' '),
    );
  for (const [why, packets] of others) console.log(`${packets}`.padStart(10), ` ${why}`);
}
