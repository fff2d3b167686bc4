/** What stands behind a dataplane that does not open. Pure. */
import { TwillError } from '../errors.js';

export interface KernelLink {
  readonly name: string;
  readonly kind: string;
  readonly vxlan?: { readonly port: number };
}

const EBUSY = 16;
const EADDRINUSE = 98;

/** The same error in words that name the culprit where the links show one; any other error as it is. */
export function explainOpenFailure(
  error: unknown,
  wanted: { readonly port: number; readonly deviceName: string },
  links: readonly KernelLink[],
): unknown {
  if (!(error instanceof TwillError)) return error;
  const detail = { ...(error.errno !== undefined && { errno: error.errno }), cause: error };
  const { port, deviceName } = wanted;
  if (error.code === 'ERR_TWILL_SOCKET' && error.errno === EADDRINUSE) {
    const holder = links.find(({ kind, vxlan }) => kind === 'vxlan' && vxlan?.port === port);
    const why = holder
      ? `port ${port} is held by the kernel's vxlan device ${holder.name}: remove it with "ip link delete ${holder.name}"`
      : `port ${port} is held by another program: "ss -ulpn sport = :${port}" names it; stop it (perhaps a second agent)`;
    return new TwillError(error.code, why, detail);
  }
  if (error.code !== 'ERR_TWILL_DEVICE') return error;
  const device = links.find(({ name }) => name === deviceName);
  if (device && device.kind !== 'tun') {
    const why = `a ${device.kind || 'different'} device named ${deviceName} is in the way`;
    const fix = `remove it with "ip link delete ${deviceName}", or choose another name with --tun-name`;
    return new TwillError(error.code, `${why}: ${fix}`, detail);
  }
  if (error.errno === EBUSY) {
    const why = `device ${deviceName} is in use by another process (a second agent?)`;
    return new TwillError(error.code, `${why}: stop it, or choose another name with --tun-name`, detail);
  }
  return error;
}
