/** n2n's first version, the one that Debian has: a supernode on the left node, an edge on each. Node to node only. */
import { fixedSubnet, type Overlay, type OverlayNode, type Site } from '../systems.js';
import { Daemon } from './daemon.js';

// Its own default of 1400 leaves no room for its header on an Ethernet: every packet would be two.
const MTU_BYTES = 1340;
const PORT = 7654;
const DEVICE = 'n2n0';

function nodeOf(i: 0 | 1): OverlayNode {
  const subnet = fixedSubnet(i);
  return { subnet, address: `${subnet.address}`.replace(/\.0$/, '.1') };
}

export async function startN2n(site: Site): Promise<Overlay> {
  const { bed, signal } = site;
  Daemon.start(site, 0, 'supernode', ['-l', String(PORT)]);
  const pids: number[] = [];
  for (const i of [0, 1] as const) {
    const argv = [
      ...['-d', DEVICE, '-a', nodeOf(i).address, '-s', '255.255.0.0', '-c', 'bench', '-k', 'bench'],
      ...[
        '-l',
        `${bed.nodes[0].underlay}:${PORT}`,
        '-M',
        String(MTU_BYTES),
        '-m',
        `02:00:00:00:10:0${i + 1}`,
      ],
      ...['-u', '0', '-g', '0'],
    ];
    const daemon = Daemon.start(site, i, 'edge', argv);
    await daemon.device(DEVICE, signal);
    if (daemon.pid !== undefined) pids.push(daemon.pid);
  }
  return { nodes: [nodeOf(0), nodeOf(1)], mtuBytes: MTU_BYTES, pids };
}
