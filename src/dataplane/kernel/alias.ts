/** How we know a vxlan device of ours again, whatever its name and number: by its alias, which nobody else reads. Pure. */
import type { Link } from '../../native/netlink.js';
import { Prefix } from '../../net/prefix.js';

const ALIAS = 'twill ';

/** `twill 10.244.0.0/16`. */
export function aliasOf(networks: readonly Prefix[]): string {
  return ALIAS + networks.join(' ');
}

/** Whether somebody like us made it, for an overlay that has a part in common with ours. */
export function isOfTwill({ kind, alias }: Link, networks: readonly Prefix[]): boolean {
  if (kind !== 'vxlan' || !alias.startsWith(ALIAS)) return false;
  const theirs = alias
    .slice(ALIAS.length)
    .split(' ')
    .flatMap((text) => Prefix.tryParse(text) ?? []);
  return theirs.some((their) => networks.some((network) => network.overlaps(their)));
}
