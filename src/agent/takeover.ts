/** Whether we may take over what is left on this host, and how that is told. Nothing is changed here: the plane does it. */
import type { Plane } from '../dataplane/plane.js';
import { TwillError } from '../errors.js';
import type { Netlink } from '../native/netlink.js';
import type { IpFamily } from '../net/ip.js';
import type { MacAddress } from '../net/mac.js';
import { findLeftovers, type Leftover, type WantedDevice } from './leftovers.js';
import { findFlanneld, findTunHolder } from './processes.js';

/** Throws ERR_TWILL_DEVICE where a foreign device bears our name, or where a living process uses what we would take. */
export function takeable(wanted: WantedDevice, netlink: Pick<Netlink, 'links' | 'routes'>): Leftover[] {
  const routes = wanted.networks.flatMap(({ family }) => netlink.routes(family));
  const leftovers = findLeftovers(wanted, netlink.links(), routes);
  const tun = leftovers.find(({ inUse }) => inUse);
  if (tun) throw inUse(tun.name);
  const [vxlan] = leftovers.filter(({ kind }) => kind === 'vxlan');
  const flanneld = vxlan && findFlanneld();
  if (flanneld) {
    const what = `flanneld (process ${flanneld.pid}) runs here and device ${vxlan.name} may be its own`;
    const fix = `stop it and start again, or remove the device with "ip link delete ${vxlan.name}"`;
    throw new TwillError('ERR_TWILL_DEVICE', `${what}: ${fix}`);
  }
  return leftovers;
}

/** Another has put flannel's own device where ours was, whatever ours is: what to say; null: it has not. */
export function supplanter(
  wanted: WantedDevice,
  netlink: Pick<Netlink, 'links'>,
  ours: Pick<Plane, 'kind' | 'deviceIndexes'>,
): TwillError | null {
  let leftovers: Leftover[] = [];
  try {
    leftovers = findLeftovers(wanted, netlink.links(), []);
  } catch {
    // A foreign device is in the way: that may pass.
  }
  const device = leftovers.find(({ kind, name, index, isTwills }) => {
    if (kind !== 'vxlan') return false;
    // One of ours that has lost its alias is still the one that we have made.
    return ours.kind === 'kernel' ? !isTwills && !ours.deviceIndexes?.includes(index) : name === wanted.name;
  });
  if (!device) return null;
  const flanneld = findFlanneld();
  const who = flanneld ? `flanneld (process ${flanneld.pid})` : 'flannel';
  return supplanted(`${who} has put its own device in the place of ${device.name}`);
}

/** Routes of ours have become flannel's, and it is here: what to say; null: it is not, and somebody has typed them. */
export function supplanterOfRoutes(device: string): TwillError | null {
  const flanneld = findFlanneld();
  if (!flanneld) return null;
  return supplanted(
    `flanneld (process ${flanneld.pid}) has put its routes in the place of ours on ${device}`,
  );
}

function supplanted(what: string): TwillError {
  const fix = 'one of the two can run on a node; to have it back, stop flanneld and start this again';
  return new TwillError('ERR_TWILL_SUPPLANTED', `${what} and carries the packets now: ${fix}`);
}

/** What flannel's devices say of our VTEP. */
export function leftoverMacs(leftovers: readonly Leftover[]) {
  const of = (wanted: IpFamily) =>
    leftovers.find(({ kind, family }) => kind === 'vxlan' && family === wanted)?.mac ?? null;
  return { v4: of(4), v6: of(6) };
}

/** For the log, when it is done. */
export function takeoverLine(
  leftovers: readonly Leftover[],
  { mac, macV6 }: { readonly mac?: MacAddress; readonly macV6?: MacAddress },
): string {
  const parts = leftovers.map(({ name, kind, family, mac: theirs }) => {
    if (kind === 'tun' || !theirs) return `the ${kind} device ${name}`;
    const ours = family === 6 ? (macV6 ?? mac) : mac;
    return `the vxlan device ${name} ${ours?.equals(theirs) ? 'with its MAC' : 'but not its MAC'} ${theirs}`;
  });
  return `Took over what was left here: ${parts.join(', ')}`;
}

function inUse(device: string): TwillError {
  const holder = findTunHolder(device);
  const who = holder ? `process ${holder.pid} (${holder.name})` : 'another process (a second agent?)';
  return new TwillError(
    'ERR_TWILL_DEVICE',
    `device ${device} is in use by ${who}: stop it, or choose another name with --tun-name`,
  );
}
