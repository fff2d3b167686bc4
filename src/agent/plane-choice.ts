/** Which plane carries the packets, and why that one. */
import type { Backend } from '../backend/backend.js';
import type { RunOptions } from '../config/run-options.js';
import { noVxlan } from '../dataplane/kernel/vxlan-device.js';
import type { PlaneKind } from '../dataplane/plane.js';
import { TwillError } from '../errors.js';
import type { Netlink } from '../native/netlink.js';
import { IpAddress } from '../net/ip.js';
import { MacAddress } from '../net/mac.js';

export interface PlaneChoice {
  readonly kind: PlaneKind;
  /** In words, for people. */
  readonly why: string;
}

/** Throws ERR_TWILL_CONFIG, _USAGE or _DEVICE where what is asked for cannot be had. */
export function choosePlane(
  { dataplane, tunName }: Pick<RunOptions, 'dataplane' | 'tunName'>,
  backend: Backend,
  vxlanFault: () => TwillError | null,
): PlaneChoice {
  if (backend.carrier === 'none') return { kind: 'none', why: `backend ${backend.type} carries nothing` };
  if (backend.carrier === 'routes') return { kind: 'routes', why: `backend ${backend.type} needs no tunnel` };
  if (dataplane === 'kernel' && tunName !== undefined)
    throw new TwillError(
      'ERR_TWILL_USAGE',
      '--tun-name names a TUN, and --dataplane=kernel has none: leave one out',
    );
  if (backend.encap === 'udp') {
    const why = 'the kernel has no device for the udp backend';
    if (dataplane !== 'kernel')
      return { kind: 'userspace', why: dataplane === 'auto' ? why : asked(dataplane) };
    throw new TwillError(
      'ERR_TWILL_CONFIG',
      `--dataplane=kernel: ${why}: use userspace or auto, or Backend.Type "vxlan"`,
    );
  }
  if (dataplane === 'userspace') return userspace(backend, asked(dataplane));
  if (dataplane === 'auto' && tunName !== undefined) return userspace(backend, '--tun-name names a TUN');
  const fault = vxlanFault();
  if (!fault)
    return { kind: 'kernel', why: dataplane === 'auto' ? 'this kernel has vxlan' : asked(dataplane) };
  if (dataplane === 'kernel') throw fault;
  return userspace(backend, fault.message);
}

function asked(dataplane: RunOptions['dataplane']): string {
  return `--dataplane=${dataplane}`;
}

function userspace({ gbp }: { readonly gbp: boolean }, why: string): PlaneChoice {
  if (!gbp) return { kind: 'userspace', why };
  const what = `Backend.GBP is true, which only the kernel's vxlan device can do, and it is not used (${why})`;
  throw new TwillError(
    'ERR_TWILL_CONFIG',
    `network configuration: ${what}: leave it out, or use --dataplane=kernel`,
  );
}

/** Why the kernel cannot stand in for our own plane while there is no agent; null: it can. */
export function noStandIn(backend: Backend, vxlanFault: () => TwillError | null): string | null {
  if (backend.type !== 'vxlan') return `the kernel has no device for the ${backend.type} backend`;
  return vxlanFault()?.message ?? null;
}

const EOPNOTSUPP = 95;
const PROBE_NAME = 'twill-probe';

/** Why this kernel has no vxlan device; null: it has. Makes one where there is none to be seen, and takes it away again. */
export function vxlanFaultOf(netlink: Pick<Netlink, 'links' | 'vxlanAdd' | 'linkDelete'>): TwillError | null {
  if (netlink.links().some(({ kind }) => kind === 'vxlan')) return null;
  try {
    netlink.vxlanAdd({
      ...{ name: PROBE_NAME, mtu: 1400, lower: 0, vni: 0xffffff, port: 8472, learning: false, gbp: false },
      mac: MacAddress.parse('02:00:00:00:00:01'),
      local: IpAddress.parse('127.0.0.1'),
    });
  } catch (error) {
    if (error instanceof TwillError && error.errno === EOPNOTSUPP) return noVxlan(error);
    throw error;
  }
  const probe = netlink.links().find(({ name }) => name === PROBE_NAME);
  if (probe) netlink.linkDelete(probe.index);
  return null;
}
