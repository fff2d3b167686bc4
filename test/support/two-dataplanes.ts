// `two-dataplanes SIDE`: a program that embeds Twill twice in one process, on one host: VNI 1 and VNI 2, each with a TUN of
// its own. SIDE is 1 or 2. Prints one line when both forward, answers each line on stdin with both accounts.
import { createInterface } from 'node:readline';
import { Dataplane, IpAddress, MacAddress, Prefix } from '../../src/index.js';

const side = Number(process.argv[2]);
const other = 3 - side;
const planes: Dataplane[] = [];
for (const vni of [1, 2]) {
  const plane = await Dataplane.open({
    encap: 'vxlan',
    ...{ vni, port: 8471 + vni, mac: `02:00:00:00:0${vni}:0${side}` },
    subnets: [`10.${vni}.${side}.0/24`],
    networks: [`10.${vni}.0.0/16`],
    overlay: { kind: 'tun', name: `weft${vni}` },
    underlay: { kind: 'udp', addresses: [`192.0.2.${side}`] },
  });
  plane.peers.replace([
    {
      subnet: Prefix.parse(`10.${vni}.${other}.0/24`),
      endpoint: { address: IpAddress.parse(`192.0.2.${other}`), port: 8471 + vni },
      mac: MacAddress.parse(`02:00:00:00:0${vni}:0${other}`),
    },
  ]);
  planes.push(plane);
}
console.log('ready');
for await (const _ of createInterface({ input: process.stdin }))
  console.log(JSON.stringify(planes.map((plane) => plane.stats())));
await Promise.all(planes.map((plane) => plane.close()));
