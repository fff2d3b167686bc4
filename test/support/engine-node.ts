// One node of a test: opens an engine in the network namespace it is started in, configures its device with iproute2,
// prints one JSON line when it forwards, answers each line on stdin with the statistics, ends when stdin ends.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { OFFLOADS, type OffloadName } from '../../src/config/offload.js';
import { hostPrefix, packPrefixes } from '../../src/dataplane/prefixes.js';
import { loadNative } from '../../src/native/binding.js';
import { guard } from '../../src/native/errors.js';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';

export interface EngineNodeOptions {
  readonly encap: 'udp' | 'vxlan';
  readonly port: number;
  readonly networks: readonly string[];
  /** One a family at most. */
  readonly subnets: readonly string[];
  readonly local: string;
  readonly mac: string;
  readonly device: string;
  /** Largest inner packet. */
  readonly mtuBytes: number;
  /** Where it is to differ from that. */
  readonly deviceMtuBytes?: number;
  readonly workers: number;
  readonly offload?: readonly OffloadName[];
  readonly peers: readonly { readonly subnet: string; readonly endpoint: string; readonly mac: string }[];
}

const OP_BYTES = 48;

function setOps(options: EngineNodeOptions): Uint8Array {
  const ops = new Uint8Array(OP_BYTES * options.peers.length);
  const view = new DataView(ops.buffer);
  for (const [i, peer] of options.peers.entries()) {
    const subnet = Prefix.parse(peer.subnet);
    const endpoint = IpAddress.parse(peer.endpoint);
    const at = i * OP_BYTES;
    ops.set([1, subnet.family, subnet.length, endpoint.family], at);
    view.setUint16(at + 4, options.port);
    ops.set(MacAddress.parse(peer.mac).bytes(), at + 6);
    ops.set(subnet.address.bytes(), at + 16);
    ops.set(endpoint.bytes(), at + 32);
  }
  return ops;
}

const options = JSON.parse(process.argv[2] ?? '{}') as EngineNodeOptions;
const subnets = options.subnets.map((text) => Prefix.parse(text));
const bases = subnets.map(({ address }) => hostPrefix(address));
const local = IpAddress.parse(options.local);
const engine = guard(() =>
  loadNative().openEngine(
    {
      encap: options.encap,
      port: options.port,
      vni: 1,
      mac: MacAddress.parse(options.mac).bytes(),
      ownSubnets: packPrefixes(subnets),
      ownAddresses: packPrefixes([hostPrefix(local)]),
      icmpSources: packPrefixes(bases),
      innerMtu: options.mtuBytes,
      sourceCheck: true,
      overlay: { kind: 'tun', name: options.device, persist: false },
      underlays: [
        {
          kind: 'udp',
          bindAddress: local.bytes(),
          sourceAddress: local.bytes(),
          port: options.port,
          sourcePorts: options.encap === 'vxlan' ? 16 : 0,
        },
      ],
      workers: options.workers,
      poolSlots: 1024,
      offload: options.offload ?? OFFLOADS,
      workerCpus: [],
    },
    () => {},
  ),
);
const device = engine.deviceName;
// Our ICMP errors come from the device's own address.
writeFileSync(`/proc/sys/net/ipv4/conf/${device}/accept_local`, '1');
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
ip(
  'link',
  'set',
  device,
  'mtu',
  String(options.deviceMtuBytes ?? options.mtuBytes),
  'txqueuelen',
  '4000',
  'up',
);
for (const address of bases)
  ip('address', 'add', address.toString(), 'dev', device, ...(address.family === 6 ? ['nodad'] : []));
for (const network of options.networks) ip('route', 'add', network, 'dev', device);
engine.publish(setOps(options));
console.log(JSON.stringify({ device }));

for await (const _ of createInterface({ input: process.stdin })) console.log(JSON.stringify(engine.stats()));
engine.close();
