/**
 * Devices that a flannel, or one of us, has left on this host. A kernel vxlan device outlives its flanneld: it holds our port, our
 * device's name, and routes that are more specific than ours. It gives way to our device, but only where it surely is that;
 * whatever else bears the name is somebody's, and is left alone. Pure.
 */
import { isOfTwill } from '../dataplane/kernel/alias.js';
import { TwillError } from '../errors.js';
import type { Link, Route } from '../native/netlink.js';
import type { IpFamily } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import type { Prefix } from '../net/prefix.js';

export interface WantedDevice {
  /** `flannel.1`; `flannel%d` lets the kernel pick the number; null: there is to be none. */
  readonly name: string | null;
  readonly port: number;
  /** Of VXLAN. */
  readonly vni?: number;
  readonly networks: readonly Prefix[];
}

export interface Leftover {
  readonly index: number;
  readonly name: string;
  readonly kind: 'vxlan' | 'tun';
  /** Of the VTEP that peers know. */
  readonly mac: MacAddress | null;
  /** Which pods it carries. */
  readonly family: IpFamily;
  /** One of us has made it, and said so. */
  readonly isTwills: boolean;
  /** A TUN that a living process has open. */
  readonly inUse: boolean;
}

/** Throws ERR_TWILL_DEVICE where a foreign device bears the name that ours must have. */
export function findLeftovers(
  wanted: WantedDevice,
  links: readonly Link[],
  routes: readonly Route[],
): Leftover[] {
  const leftovers: Leftover[] = [];
  for (const link of links) {
    const { index, name, kind, mac } = link;
    const family = vxlanFamily(name, wanted);
    const why = kind === 'vxlan' ? notFlannels(link, wanted) : '';
    if (isOfTwill(link, wanted.networks)) {
      // The kernel carried what we wanted carried, perhaps with another VNI or under another backend.
      leftovers.push({
        index,
        name,
        kind: 'vxlan',
        mac,
        family: link.vxlan?.local?.family ?? 4,
        isTwills: true,
        inUse: false,
      });
    } else if (family && why === null) {
      leftovers.push({ index, name, kind: 'vxlan', mac, family, isTwills: false, inUse: false });
    } else if (kind === 'tun' && isNamed(name, wanted.name) && (name === wanted.name || leads(link))) {
      const tun = { index, name, kind, mac: null, family: 4, isTwills: false, inUse: link.carrier } as const;
      leftovers.push(tun);
    } else if (name === wanted.name) {
      throw foreign(link, why ?? '');
    } else if (kind === 'vxlan' && /^flannel(-v6)?\.\d+$/.test(name) && leadsInside(link)) {
      throw stale(link);
    }
  }
  return leftovers;

  /** Routes to peers are more specific than ours to the network: they would win. */
  function leadsInside({ index }: Link): boolean {
    return routes.some(
      ({ destination, index: through }) =>
        through === index && destination && wanted.networks.some((network) => network.contains(destination)),
    );
  }

  /** The number of flannel's TUN says nothing, its route does. */
  function leads({ index }: Link): boolean {
    return routes.some(
      ({ destination, index: through }) =>
        through === index && wanted.networks.some((network) => destination?.equals(network)),
    );
  }
}

/** flannel's two devices; null: the name is neither. */
function vxlanFamily(name: string, { vni }: WantedDevice): IpFamily | null {
  if (vni === undefined) return null;
  if (name === `flannel.${vni}`) return 4;
  return name === `flannel-v6.${vni}` ? 6 : null;
}

/** What flannel would not have made; null: it could have. */
function notFlannels({ vxlan, master }: Link, { vni, port }: WantedDevice): string | null {
  if (!vxlan || vni === undefined) return '';
  if (vxlan.external) return ' whose tunnels are chosen packet by packet';
  if (vxlan.vni !== vni) return ` of VNI ${vxlan.vni}, not ${vni}`;
  if (vxlan.port !== port) return ` of port ${vxlan.port}, not ${port}`;
  if (vxlan.remote) return ` with the remote ${vxlan.remote}`;
  return master === 0 ? null : ' that is part of a bridge or bond';
}

function isNamed(name: string, pattern: string | null): boolean {
  if (pattern === null) return false;
  const [before = '', after] = pattern.split('%d');
  if (after === undefined) return name === pattern;
  return name.startsWith(before) && /^\d+$/.test(name.slice(before.length));
}

function stale({ name, vxlan }: Link): TwillError {
  const what = `device ${name} (VNI ${vxlan?.vni}, port ${vxlan?.port}) has routes into the overlay network`;
  const why = 'a flannel with another configuration has left it, or lives';
  return new TwillError('ERR_TWILL_DEVICE', `${what}: ${why}: remove it with "ip link delete ${name}"`);
}

function foreign({ name, kind }: Link, details: string): TwillError {
  const what = `a ${kind || 'different'} device${details} named ${name} is in the way, which flannel has not left`;
  const fix = `rename it, or remove it with "ip link delete ${name}", or choose another name with --tun-name`;
  return new TwillError('ERR_TWILL_DEVICE', `${what}: ${fix}`);
}
