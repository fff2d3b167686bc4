/**
 * What a host's kernel holds of the overlay, in lines that can be compared: no numbers of interfaces, no counters, no
 * handles, no order of the kernel's own.
 */
import type { Namespace } from '../../src/lab/namespace.js';

interface IpLink {
  readonly ifname: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly address?: string;
  readonly link?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly id?: number; readonly local?: string; readonly port?: number };
  };
}
interface IpAddress {
  readonly ifname: string;
  readonly addr_info: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly scope: string;
  }[];
}
interface IpRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
  readonly protocol?: string;
  readonly flags?: readonly string[];
}
interface IpNeighbour {
  readonly dst: string;
  readonly lladdr: string;
  readonly dev: string;
}
interface FdbEntry {
  readonly mac: string;
  readonly ifname: string;
  readonly dst?: string;
}

const OURS = /^flannel/;

/** `overlay`: what addresses inside it begin with. */
export async function overlayState(namespace: Namespace, overlay: RegExp): Promise<string[]> {
  const ask = async <T>(...args: string[]): Promise<readonly T[]> =>
    JSON.parse((await namespace.ip('-j', ...args)) || '[]') as T[];
  const [links, addresses, fdb, ...dumps] = await Promise.all([
    ask<IpLink>('-d', 'link', 'show'),
    ask<IpAddress>('address', 'show'),
    namespace
      .exec('bridge', ['-j', 'fdb', 'show'])
      .then(({ stdout }) => JSON.parse(stdout || '[]') as FdbEntry[]),
    ask<IpRoute>('-4', 'route', 'show'),
    ask<IpRoute>('-6', 'route', 'show'),
  ]);
  const neighbours = await Promise.all(
    ['-4', '-6'].map((family) => ask<IpNeighbour>(family, 'neighbour', 'show', 'nud', 'permanent')),
  );
  const lines = [
    ...links.filter(({ ifname }) => OURS.test(ifname)).map(linkText),
    ...addresses
      .filter(({ ifname }) => OURS.test(ifname))
      .flatMap(({ ifname, addr_info }) =>
        addr_info
          .filter(({ scope }) => scope !== 'link')
          .map(({ local, prefixlen }) => `address ${local}/${prefixlen} dev ${ifname}`),
      ),
    ...dumps
      .flat()
      // What the kernel adds for an address: its table of local addresses goes first.
      .filter(({ dev, protocol }) => dev !== 'lo' && protocol !== 'kernel')
      .filter(({ dst, dev }) => overlay.test(dst) || (OURS.test(dev) && !dst.startsWith('fe80')))
      .map(({ dst, gateway, dev, flags = [] }) => {
        const onlink = flags.includes('onlink') ? ' onlink' : '';
        return `route ${dst}${gateway ? ` via ${gateway}` : ''} dev ${dev}${onlink}`;
      }),
    ...neighbours
      .flat()
      .filter(({ dev }) => OURS.test(dev))
      .map(({ dst, lladdr, dev }) => `neighbour ${dst} ${lladdr} dev ${dev}`),
    ...fdb
      .filter(({ ifname }) => OURS.test(ifname))
      .map(({ mac, ifname, dst = '-' }) => `fdb ${mac} dst ${dst} dev ${ifname}`),
    ...(await firewallLines(namespace)),
  ];
  return lines.sort();
}

function linkText({ ifname, mtu, flags, address, link, linkinfo = {} }: IpLink): string {
  const { info_kind: kind = '', info_data: data = {} } = linkinfo;
  const up = flags.includes('UP') ? 'up' : 'down';
  const vxlan =
    kind === 'vxlan' ? ` id ${data.id} local ${data.local} port ${data.port} on ${link} ${address}` : '';
  return `link ${ifname} ${kind} mtu ${mtu} ${up}${vxlan}`;
}

/** Of ours, in either mode, in their order. */
async function firewallLines(namespace: Namespace): Promise<string[]> {
  const output = (command: string, ...args: string[]) =>
    namespace.exec(command, args).then(
      ({ stdout }) => stdout,
      () => '',
    );
  const saved = await Promise.all(
    ['iptables-save', 'ip6tables-save'].map(async (command) => {
      const lines = (await output(command))
        .split('\n')
        .filter((line) => /^-A .*(FLANNEL|flanneld)/.test(line));
      return lines.map((line, i) => `${command} ${String(i).padStart(2, '0')} ${line}`);
    }),
  );
  const tables = await Promise.all(
    ['ip flannel-ipv4', 'ip6 flannel-ipv6'].map(async (table) => {
      const text = await output('nft', 'list', 'table', ...table.split(' '));
      return text === '' ? [] : [`nft ${text.replace(/\s+/g, ' ').trim()}`];
    }),
  );
  return [...saved, ...tables].flat();
}
