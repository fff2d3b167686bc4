/** Which systems this machine has: ours always, other userspace overlays where their programs are installed. */
import { startFastd } from './peers/fastd.js';
import { startN2n } from './peers/n2n.js';
import { startNebula } from './peers/nebula.js';
import { startOpenVswitch } from './peers/open-vswitch.js';
import { startTinc } from './peers/tinc.js';
import { startWireguard } from './peers/wireguard-go.js';
import type { BenchOptions } from './plan.js';
import { findProgram } from './requirements.js';
import type { BenchResult } from './result.js';
import { type System, systems as usual, withoutOffload } from './systems.js';

interface Peer extends System {
  readonly programs: readonly string[];
  readonly debianPackage: string;
  /** Its addresses are its own affair: no pods behind it. */
  readonly isNodeOnly?: boolean;
}

const peers: readonly Peer[] = [
  {
    ...{ name: 'wireguard-go', title: 'wireguard-go', start: startWireguard },
    ...{ programs: ['wireguard-go'], debianPackage: 'wireguard-go' },
  },
  {
    ...{ name: 'fastd', title: 'fastd, null method', start: startFastd },
    ...{ programs: ['fastd'], debianPackage: 'fastd' },
  },
  {
    ...{ name: 'tinc', title: 'tinc, no cipher', start: startTinc },
    ...{ programs: ['tincd'], debianPackage: 'tinc' },
  },
  {
    ...{ name: 'nebula', title: 'nebula', start: startNebula, isNodeOnly: true },
    ...{ programs: ['nebula', 'nebula-cert'], debianPackage: 'nebula' },
  },
  {
    ...{ name: 'n2n', title: 'n2n', start: startN2n, isNodeOnly: true },
    ...{ programs: ['edge', 'supernode'], debianPackage: 'n2n' },
  },
  {
    ...{ name: 'openvswitch', title: 'Open vSwitch, userspace', start: startOpenVswitch, isNodeOnly: true },
    ...{ programs: ['ovs-vswitchd', 'ovsdb-server', 'ovs-vsctl'], debianPackage: 'openvswitch-switch' },
  },
];

export interface Choice {
  readonly systems: readonly System[];
  readonly absent: BenchResult['absent'];
}

/** Installs nothing: what is not there is named with the package that would bring it. */
export async function chooseAll(
  { withPeers, withPods, withOffloads }: Pick<BenchOptions, 'withPeers' | 'withPods' | 'withOffloads'>,
  path?: string,
): Promise<Choice> {
  const systems = withOffloads ? [...usual, ...withoutOffload] : usual;
  if (!withPeers) return { systems, absent: [] };
  const found: Peer[] = [];
  const absent: { name: string; why: string }[] = [];
  for (const peer of peers) {
    const programs = await Promise.all(peer.programs.map((program) => findProgram(program, path)));
    if (programs.includes(null)) {
      absent.push({
        name: peer.name,
        why: `not installed; on Debian, "apt-get install ${peer.debianPackage}"`,
      });
    } else if (withPods && peer.isNodeOnly) {
      absent.push({ name: peer.name, why: 'set up for traffic between the nodes only' });
    } else found.push(peer);
  }
  return { systems: [...systems, ...found], absent };
}
