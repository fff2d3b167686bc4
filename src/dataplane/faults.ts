/** Notices when the host takes away what a dataplane stands on: its device, or an address that it sends from. */
import { TwillError } from '../errors.js';
import { netlink } from '../native/netlink.js';
import type { IpAddress } from '../net/ip.js';

export interface Footing {
  /** null: no TUN. */
  readonly device: { readonly index: number; readonly name: string } | null;
  readonly locals: readonly IpAddress[];
}

type DeviceState = 'up' | 'down' | 'gone';

/**
 * Reports each thing once when it goes, and again when it went, came and went. Only addresses that the host has now are
 * watched. `stop` returns whether there was anything to watch.
 */
export function watchFaults(footing: Footing, report: (fault: TwillError) => void): { stop(): boolean } {
  const { device } = footing;
  const locals = presentOf(footing.locals);
  if (!device && locals.length === 0) return { stop: () => false };
  let state: DeviceState = 'up';
  const missing = new Set<string>();
  const look = () => {
    if (device) {
      const now = stateOf(device.index);
      if (now !== state && now !== 'up') report(deviceFault(device.name, now));
      state = now;
    }
    const present = new Set(presentOf(locals));
    for (const address of locals) {
      const key = address.toString();
      if (present.has(address)) missing.delete(key);
      else if (!missing.has(key)) {
        missing.add(key);
        const fix = 'give it back to an interface, or open another dataplane';
        report(new TwillError('ERR_TWILL_SOCKET', `this host has lost the underlay address ${key}: ${fix}`));
      }
    }
  };
  const watch = netlink.watch(look);
  return {
    stop: () => {
      watch.stop();
      return true;
    },
  };
}

function stateOf(index: number): DeviceState {
  const link = netlink.links().find((candidate) => candidate.index === index);
  if (!link) return 'gone';
  return link.up ? 'up' : 'down';
}

function deviceFault(name: string, state: 'down' | 'gone'): TwillError {
  const message =
    state === 'gone'
      ? `the device ${name} has been deleted: close this dataplane and open another`
      : `the device ${name} has been set down: "ip link set ${name} up" lets packets pass again`;
  return new TwillError('ERR_TWILL_DEVICE', message);
}

function presentOf(addresses: readonly IpAddress[]): IpAddress[] {
  const wanted = addresses.filter(({ isUnspecified, isLoopback }) => !isUnspecified && !isLoopback);
  if (wanted.length === 0) return [];
  const present = netlink.addresses();
  return wanted.filter((address) => present.some((other) => other.address.equals(address)));
}
