/**
 * A host that is nothing but this program: it has addresses in the overlay and answers ping (IPv4 and IPv6) and UDP echo
 * (port 7, RFC 862) there. Its peers may be Twill nodes, or machines with the kernel's vxlan device such as flannel's. It
 * needs no privilege and no device.
 *
 *     node dist/examples/virtual-host.js --underlay 192.0.2.1 --mac 02:00:00:00:00:01 \
 *         --host 10.244.1.10/24 --host fd00:244:1::10/64 \
 *         --peer 10.244.2.0/24,192.0.2.2,02:00:00:00:00:02 --peer fd00:244:2::/64,192.0.2.2,02:00:00:00:00:02
 *
 * No packet is copied: the answer is written over the question, in the buffer in which it came.
 */
import { parseArgs } from 'node:util';
import { Dataplane, IpAddress } from 'twill';
import {
  decodeIcmp,
  decodeIp,
  decodeUdp,
  encodeIcmpEcho,
  encodeIpv4,
  encodeIpv6,
  encodeUdp,
  type IpEnds,
  type IpPacket,
  internetChecksum,
  PROTOCOL,
  transportChecksum,
} from 'twill/codec';

const { values } = parseArgs({
  options: {
    underlay: { type: 'string' },
    mac: { type: 'string' },
    vni: { type: 'string', default: '1' },
    port: { type: 'string', default: '8472' },
    host: { type: 'string', multiple: true, default: [] },
    peer: { type: 'string', multiple: true, default: [] },
  },
});
const { underlay, mac } = values;
if (underlay === undefined || mac === undefined) throw new Error('--underlay and --mac are needed');
const ECHO_PORT = 7;
const hosts = values.host.map((text) => IpAddress.parse(text.replace(/\/.*/, '')));

await using plane = await Dataplane.open({
  encap: 'vxlan',
  vni: Number(values.vni),
  port: Number(values.port),
  subnets: values.host,
  mac,
  overlay: { kind: 'user' },
  underlay: { kind: 'udp', addresses: [underlay] },
});
plane.peers.set(
  values.peer.map((text) => {
    const [subnet = '', address = '', peerMac = ''] = text.split(',');
    return { subnet, endpoint: { address, port: Number(values.port) }, mac: peerMac };
  }),
);
const { overlay } = plane;
if (!overlay) throw new Error('the overlay is not the program');
// Closing ends the loop below.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => plane.close());

console.log(`answering as ${hosts.join(' and ')}`);
const answered = { ping: 0, echo: 0 };
for await (const batch of overlay) {
  for (const packet of batch) {
    if (!answer(packet.bytes) || overlay.send([packet]) === 0) packet.release();
  }
}
console.log(`answered ${answered.ping} pings and ${answered.echo} echo datagrams`);

/** Makes the answer of the question; false where there is none. */
function answer(bytes: Uint8Array): boolean {
  const ip = decodeIp(bytes);
  if ('drop' in ip || !hosts.some((host) => host.equals(ip.destination))) return false;
  // A host would wait for the rest of a fragment, and know some options; this one does not.
  if (ip.family === 4 && (ip.moreFragments || ip.fragmentOffset > 0 || ip.options.length > 0)) return false;
  const { family, protocol, payload } = ip;
  const back = { source: ip.destination, destination: ip.source };
  if (answerPing(ip, back)) answered.ping += 1;
  else if (answerEcho(ip, back)) answered.echo += 1;
  else return false;
  const header = { ...back, protocol, payloadBytes: payload.length };
  if (family === 4) encodeIpv4({ ...header, dontFragment: true }, bytes);
  else encodeIpv6(header, bytes);
  return true;
}

function answerPing(ip: IpPacket, back: IpEnds): boolean {
  const { family, protocol, payload } = ip;
  if (protocol !== (family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6)) return false;
  const icmp = decodeIcmp(payload, family);
  const sum = family === 4 ? internetChecksum(payload) : transportChecksum(ip, protocol, payload);
  if ('drop' in icmp || icmp.kind !== 'echoRequest' || sum !== 0) return false;
  const { id, sequence, payload: data } = icmp;
  encodeIcmpEcho({ kind: 'echoReply', id, sequence, payloadBytes: data.length, between: back }, payload);
  return true;
}

function answerEcho(ip: IpPacket, back: IpEnds): boolean {
  const udp = ip.protocol === PROTOCOL.udp ? decodeUdp(ip.payload) : null;
  // Two echo hosts would play for ever.
  if (!udp || 'drop' in udp || udp.destinationPort !== ECHO_PORT || udp.sourcePort === ECHO_PORT)
    return false;
  // IPv4 may leave the checksum out.
  if (udp.checksum !== 0 && transportChecksum(ip, PROTOCOL.udp, udp.bytes) !== 0) return false;
  const ports = { sourcePort: udp.destinationPort, destinationPort: udp.sourcePort };
  encodeUdp({ ...ports, payloadBytes: udp.payload.length, between: back }, ip.payload);
  return true;
}
