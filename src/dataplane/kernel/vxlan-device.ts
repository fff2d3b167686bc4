/**
 * The kernel's vxlan device as flannel makes it, one for each family of the overlay: `flannel.<VNI>`, `flannel-v6.<VNI>`. One
 * that is there and carries the same tunnels is kept, with what it counts and whoever uses it; what of it can be changed in
 * place is changed. flannel compares neither MTU nor MAC nor learning; we do.
 */
import { TwillError } from '../../errors.js';
import { type Link, type LinkChange, netlink, type VxlanPlan } from '../../native/netlink.js';
import type { IpFamily } from '../../net/ip.js';
import { quietly } from '../device.js';

export interface DevicePlan extends VxlanPlan {
  readonly family: IpFamily;
  /** Says that it is ours, to who comes after us. */
  readonly alias: string;
}

const ENODEV = 19;
const EOPNOTSUPP = 95;

/** Which tunnels it carries can only be chosen when it is made. Why it cannot become what is wanted; null: it can. */
export function whyNotKept({ kind, vxlan, lower }: Link, plan: VxlanPlan): string | null {
  if (kind !== 'vxlan' || !vxlan) return `it was a ${kind || 'different'} device`;
  if (vxlan.external) return 'its tunnels were chosen packet by packet';
  if (vxlan.vni !== plan.vni) return `its VNI was ${vxlan.vni}, not ${plan.vni}`;
  if (vxlan.port !== plan.port) return `its port was ${vxlan.port}, not ${plan.port}`;
  // What is missing on one side agrees with anything, as in flannel.
  if (lower !== 0 && lower !== plan.lower) return `it lay on link ${lower}, not ${plan.lower}`;
  if (vxlan.local && !vxlan.local.equals(plan.local))
    return `it sent from ${vxlan.local}, not from ${plan.local}`;
  if (vxlan.remote) return `it had the default destination ${vxlan.remote}`;
  if (vxlan.l2miss) return 'it asked for unknown MACs';
  if (vxlan.gbp !== plan.gbp) return `its group policy was ${vxlan.gbp ? 'on' : 'off'}`;
  if (vxlan.learning !== plan.learning) return `its learning was ${vxlan.learning ? 'on' : 'off'}`;
  return null;
}

/** What can be changed in place, with words for what was found. */
export function changesOf(
  { mtu, mac, alias }: Link,
  plan: DevicePlan,
): { readonly change: LinkChange; readonly faults: readonly string[] } {
  const isMtu = mtu === plan.mtu;
  const isMac = mac?.equals(plan.mac) === true;
  const isAlias = alias === plan.alias;
  return {
    change: {
      ...(!isMtu && { mtu: plan.mtu }),
      ...(!isMac && { mac: plan.mac }),
      ...(!isAlias && { alias: plan.alias }),
    },
    faults: [
      ...(isMtu ? [] : [`its MTU was ${mtu}, not ${plan.mtu}`]),
      ...(isMac ? [] : [`its MAC was ${mac ?? 'none'}, not ${plan.mac}, which our lease says`]),
    ],
  };
}

export interface KeptDevice {
  readonly index: number;
  readonly isUp: boolean;
  /** It was not there, or had to be made anew. */
  readonly isNew: boolean;
  /** What had to be put right, in words. */
  readonly mended: readonly string[];
}

/** Makes the device so; it is up where it is new. Throws ERR_TWILL_NETLINK, _DEVICE or _PRIVILEGE, naming the device. */
export function ensureDevice(plan: DevicePlan, links: readonly Link[]): KeptDevice {
  const { name } = plan;
  try {
    const there = links.find((link) => link.name === name);
    const why = there && whyNotKept(there, plan);
    if (there && !why) {
      const { change, faults } = changesOf(there, plan);
      if (Object.keys(change).length > 0) netlink.linkSet(there.index, change);
      return { index: there.index, isUp: there.up, isNew: false, mended: faults };
    }
    if (there) netlink.linkDelete(there.index);
    return { index: makeDevice(plan), isUp: true, isNew: true, mended: [why ?? 'it was gone'] };
  } catch (error) {
    if (!(error instanceof TwillError)) throw error;
    if (error.errno === EOPNOTSUPP) throw noVxlan(error);
    throw new TwillError(error.code, `device ${name}: ${error.message}`, { cause: error });
  }
}

function makeDevice(plan: DevicePlan): number {
  const { name, alias, family, mtu } = plan;
  netlink.vxlanAdd(plan);
  const made = netlink.links().find((link) => link.name === name);
  if (!made) throw new TwillError('ERR_TWILL_DEVICE', 'it went as soon as it was made', { errno: ENODEV });
  quietly('ipv6', name, family === 6 ? { accept_ra: 0, addr_gen_mode: 1 } : { disable_ipv6: 1 });
  // The kernel cuts the MTU to what the link below carries; udev may have put a MAC of its own in place of ours.
  netlink.linkSet(made.index, { alias, mac: plan.mac, mtu, up: true });
  return made.index;
}

export function noVxlan(cause: Error): TwillError {
  const fix = 'load the module (modprobe vxlan), or choose --dataplane=userspace or auto';
  return new TwillError('ERR_TWILL_DEVICE', `this kernel has no vxlan device: ${fix}`, { cause });
}
