/** What crosses into the addon: a call, the pool, the peer table at several sizes. */
import type { Peer } from '../../src/backend/backend.js';
import { Dataplane } from '../../src/dataplane/dataplane.js';
import { packPeerChange, peerChange, peersBySubnet } from '../../src/dataplane/peer-ops.js';
import { loadNative } from '../../src/native/binding.js';
import { IpAddress } from '../../src/net/ip.js';
import { Prefix } from '../../src/net/prefix.js';
import { measure, type Speed } from './suite.js';

export const TABLE_SIZES = [10, 1000, 100_000] as const;

/** A /28 each, from 10.0.0.0 on. */
function peerAt(i: number, host = 1): Peer {
  const address = IpAddress.of(4, BigInt(0x0a000000 + i * 16));
  const endpoint = { address: IpAddress.of(4, BigInt(0xc0000200 + host)), port: 8285 };
  return { subnet: Prefix.of(address, 28), endpoint };
}

export async function callSpeeds(): Promise<Speed[]> {
  const native = loadNative().openEngine(
    {
      ...{ encap: 'udp', port: 8285, vni: 0, mac: new Uint8Array(6), innerMtu: 1472, sourceCheck: true },
      ...{ ownSubnets: new Uint8Array(), ownAddresses: new Uint8Array(), icmpSources: new Uint8Array() },
      ...{ overlay: { kind: 'user' }, underlays: [{ kind: 'user' }], workers: 0, poolSlots: 1024 },
      ...{ offload: [], workerCpus: [] },
    },
    () => {},
  );
  try {
    return [
      measure('the cheapest call (take of no slot)', () => native.take(0)),
      measure('pool: take and give 64 slots', () => {
        native.take(64);
        native.give(64);
      }),
      measure('a step that finds nothing', () => native.step()),
      measure('statistics', () => native.stats()),
    ];
  } finally {
    native.close();
  }
}

export async function tableSpeeds(): Promise<Speed[]> {
  const speeds: Speed[] = [];
  for (const size of TABLE_SIZES) {
    const dataplane = await Dataplane.open({
      ...{ encap: 'udp', subnets: ['172.16.0.0/24'], workers: 0, poolSlots: 256 },
      ...{ overlay: { kind: 'user' }, underlay: { kind: 'user' } },
    });
    const peers = Array.from({ length: size }, (_, i) => peerAt(i));
    dataplane.peers.replace(peers);
    const addresses = peers
      .filter((_, i) => i % Math.ceil(size / 1000) === 0)
      .map(({ subnet }) => subnet.last);
    const shown = size.toLocaleString('en');
    speeds.push(
      measure(`look-up through trace, ${shown} peers`, (i) =>
        dataplane.trace(addresses[i % addresses.length] ?? IpAddress.of(4, 0n)),
      ),
    );
    // Packing alone, then the whole change set: one peer of all gets another endpoint, each time a different one.
    const [before, after] = [peersBySubnet([peerAt(0, 1)]), peersBySubnet([peerAt(0, 2)])];
    if (size === TABLE_SIZES[0])
      speeds.push(measure('pack one changed peer', () => packPeerChange(peerChange(before, after))));
    let host = 1;
    const perCall = Math.max(Math.round(1000 / size), 1);
    speeds.push(
      measure(
        `one peer changes, of ${shown}`,
        (i) => {
          host = (host % 200) + 1;
          const changed = [...peers];
          changed[i % size] = peerAt(i % size, host);
          return dataplane.peers.replace(changed);
        },
        perCall,
      ),
    );
    dataplane.close();
  }
  return speeds;
}
