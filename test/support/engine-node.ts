// One node of a test: opens an engine in the network namespace it is started in, configures its device with iproute2,
// prints one JSON line when it forwards, answers each line on stdin with the statistics, ends when stdin ends.
import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { OFFLOADS, type OffloadName } from '../../src/config/offload.js';
import { loadNative } from '../../src/native/binding.js';
import { guard } from '../../src/native/errors.js';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';

export interface EngineNodeOptions {
  readonly encap: 'udp' | 'vxlan';
  readonly port: number;
  readonly network: string;
  readonly subnet: string;
  readonly local: string;
  readonly mac: string;
  readonly device: string;
  readonly mtuBytes: number;
  readonly workers: number;
  readonly offload?: readonly OffloadName[];
  readonly peers: readonly { readonly subnet: string; readonly endpoint: string; readonly mac: string }[];
}

const OP_BYTES = 48;

function pack(prefix: Prefix): Uint8Array {
  const out = new Uint8Array(18);
  out[0] = prefix.family;
  out[1] = prefix.length;
  out.set(prefix.address.bytes(), 2);
  return out;
}

function host(text: string): Prefix {
  const address = IpAddress.parse(text);
  return Prefix.of(address, address.family === 4 ? 32 : 128);
}

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
const subnet = Prefix.parse(options.subnet);
const base = host(subnet.address.toString());
const local = IpAddress.parse(options.local);
const engine = guard(() =>
  loadNative().openEngine({
    encap: options.encap,
    port: options.port,
    vni: 1,
    mac: MacAddress.parse(options.mac).bytes(),
    ownSubnets: pack(subnet),
    ownAddresses: pack(host(options.local)),
    icmpSources: pack(base),
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
  }),
);
const device = engine.deviceName;
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
ip('link', 'set', device, 'mtu', String(options.mtuBytes), 'up');
ip('address', 'add', base.toString(), 'dev', device);
ip('route', 'add', options.network, 'dev', device);
engine.publish(setOps(options));
console.log(JSON.stringify({ device }));

for await (const _ of createInterface({ input: process.stdin })) console.log(JSON.stringify(engine.stats()));
engine.close();
