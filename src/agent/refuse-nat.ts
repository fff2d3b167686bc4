/** What `host-gw` cannot do. Pure. */
import type { Backend } from '../backend/backend.js';
import { TwillError } from '../errors.js';
import type { Underlay } from './underlay.js';

/** Peers would route to an address that this host does not have. Throws ERR_TWILL_CONFIG. */
export function refuseNat({ type, carrier }: Backend, underlay: Underlay): void {
  if (carrier !== 'routes') return;
  const pairs = [
    [underlay.publicIp, underlay.address],
    [underlay.publicIpv6, underlay.addressV6],
  ] as const;
  for (const [advertised, own] of pairs) {
    if (!advertised || !own || advertised.equals(own)) continue;
    const what = `the public IP ${advertised} is not that of interface ${underlay.interface} (${own})`;
    const fix = 'a NAT stands between, through which no route leads: leave out --public-ip, or use vxlan';
    throw new TwillError('ERR_TWILL_CONFIG', `Backend.Type "${type}": ${what}: ${fix}`);
  }
}
