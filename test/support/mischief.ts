/**
 * What can be done to a host that carries an overlay: devices, addresses, routes, entries and rules deleted and changed, each
 * by the tools that people have. What is there at the moment is asked for first, so most of it hits.
 */
import type { Namespace } from '../../src/lab/namespace.js';

/** Uniform in [0, 1). */
export type Chance = () => number;

export interface Target {
  readonly namespace: Namespace;
  /** Of the overlay: `flannel.1`, `flannel-v6.1`. */
  readonly devices: readonly string[];
  readonly underlay: string;
  /** Of the underlay interface, with length. */
  readonly addresses: readonly string[];
  readonly mtuBytes: number;
}

export interface Mischief {
  readonly name: string;
  readonly act: (target: Target, chance: Chance) => Promise<unknown>;
}

/** mulberry32: the same numbers for the same seed, whatever the machine. */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pick<T>(from: readonly T[], chance: Chance): T | undefined {
  return from[Math.floor(chance() * from.length)];
}

/** Space-separated; what comes from the kernel's own listings holds no space. */
const ip = ({ namespace }: Target, line: string) => namespace.ip(...line.split(' '));

const onDevice =
  (line: (device: string) => string): Mischief['act'] =>
  (target, chance) =>
    ip(target, line(pick(target.devices, chance) ?? 'none'));

/** What a listing names first on one of its lines, those of a device of the overlay. */
async function oneOf(
  target: Target,
  chance: Chance,
  listing: string,
): Promise<{ line: string; device: string }> {
  const device = pick(target.devices, chance) ?? 'none';
  const lines = (await ip(target, `${listing} dev ${device}`))
    .split('\n')
    .filter((line) => line.trim() !== '');
  return { line: (pick(lines, chance) ?? '').trim(), device };
}

/** With a device of any kind. */
export const deviceMischief: readonly Mischief[] = [
  { name: 'device deleted', act: onDevice((device) => `link delete ${device}`) },
  { name: 'MTU of the device changed', act: onDevice((device) => `link set ${device} mtu 1300`) },
  { name: 'addresses of the device flushed', act: onDevice((device) => `address flush dev ${device}`) },
  {
    name: 'device set down and up',
    act: async (target, chance) => {
      const device = pick(target.devices, chance) ?? 'none';
      await ip(target, `link set ${device} down`);
      await ip(target, `link set ${device} up`);
    },
  },
  {
    name: 'route deleted',
    act: async (target, chance) => {
      const family = pick(['-4', '-6'], chance);
      const { line, device } = await oneOf(target, chance, `${family} route show`);
      return ip(target, `${family} route delete ${line.split(' ')[0]} dev ${device}`);
    },
  },
  {
    name: 'routes of the device flushed',
    act: onDevice((device) => `route flush dev ${device}`),
  },
];

/** With the routes to peers, wherever they lead. */
export const peerRouteMischief: readonly Mischief[] = [
  {
    name: 'route to a peer deleted',
    act: async (target, chance) => {
      const { family, line } = await peerRoute(target, chance);
      return ip(target, `${family} route delete ${line}`);
    },
  },
  {
    name: 'route to a peer sent elsewhere',
    act: async (target, chance) => {
      const { family, line } = await peerRoute(target, chance);
      const gateway = family === '-4' ? '192.0.2.99' : '2001:db8::99';
      return ip(target, `${family} route replace ${line} via ${gateway} dev ${target.underlay}`);
    },
  },
];

/** Its destination: none, where there is none. */
async function peerRoute(target: Target, chance: Chance): Promise<{ family: string; line: string }> {
  const family = pick(['-4', '-6'], chance) ?? '-4';
  const lines = (await ip(target, `${family} route show`)).split('\n');
  const overlay = lines.filter((line) => /^(10\.77\.|fd00:77:).* via /.test(line));
  return { family, line: (pick(overlay, chance) ?? 'none').split(' ')[0] ?? 'none' };
}

/** With the kernel's vxlan. */
export const vxlanMischief: readonly Mischief[] = [
  {
    name: 'neighbour deleted',
    act: async (target, chance) => {
      const { line, device } = await oneOf(target, chance, 'neighbour show nud permanent');
      return ip(target, `neighbour delete ${line.split(' ')[0]} dev ${device}`);
    },
  },
  {
    name: 'neighbour given another MAC',
    act: async (target, chance) => {
      const { line, device } = await oneOf(target, chance, 'neighbour show nud permanent');
      const entry = `${line.split(' ')[0]} lladdr 02:00:00:00:00:66 dev ${device}`;
      return ip(target, `neighbour replace ${entry} nud permanent`);
    },
  },
  {
    name: 'forwarding entry deleted',
    act: async (target, chance) => {
      const { mac, device } = await fdbEntry(target, chance);
      return target.namespace.exec('bridge', ['fdb', 'delete', mac, 'dev', device]);
    },
  },
  {
    name: 'forwarding entry sent elsewhere',
    act: async (target, chance) => {
      const { mac, device } = await fdbEntry(target, chance);
      return target.namespace.exec('bridge', ['fdb', 'replace', mac, 'dev', device, 'dst', '192.0.2.99']);
    },
  },
  {
    name: 'neighbours flushed',
    act: onDevice((device) => `neighbour flush all dev ${device} nud permanent`),
  },
  {
    name: 'MAC of the device changed',
    act: onDevice((device) => `link set ${device} address 02:00:00:00:00:77`),
  },
];

async function fdbEntry({ namespace, devices }: Target, chance: Chance) {
  const device = pick(devices, chance) ?? 'none';
  const { stdout } = await namespace.exec('bridge', ['fdb', 'show', 'dev', device]);
  const mac = (pick(stdout.trim().split('\n'), chance) ?? '').split(' ')[0] ?? '';
  return { mac, device };
}

/** With the interface below; `repair` puts it back. */
export const underlayMischief: readonly Mischief[] = [
  {
    name: 'MTU of the underlay changed',
    act: (target, chance) =>
      ip(target, `link set ${target.underlay} mtu ${pick([1400, 1450, 1500], chance)}`),
  },
  {
    name: 'underlay without its addresses for a moment',
    act: async (target) => {
      await ip(target, `address flush dev ${target.underlay} scope global`);
      return readdress(target);
    },
  },
  {
    name: 'underlay set down and up',
    act: async (target) => {
      await ip(target, `link set ${target.underlay} down`);
      await ip(target, `link set ${target.underlay} up`);
      // The kernel takes IPv6 addresses away with that.
      return readdress(target);
    },
  },
];

async function readdress(target: Target): Promise<void> {
  for (const address of target.addresses) {
    const nodad = address.includes(':') ? ' nodad' : '';
    await ip(target, `address replace ${address} dev ${target.underlay}${nodad}`);
  }
}

export async function repairUnderlay(target: Target): Promise<void> {
  await ip(target, `link set ${target.underlay} up mtu ${target.mtuBytes}`);
  await readdress(target);
}

/** With rules in iptables; `command`: `iptables`, `ip6tables`. */
export const iptablesMischief = (command: string): readonly Mischief[] => {
  const run =
    (line: string): Mischief['act'] =>
    ({ namespace }) =>
      namespace.exec(command, line.split(' '));
  return [
    { name: `${command}: masquerade rules flushed`, act: run('-w -t nat -F FLANNEL-POSTRTG') },
    { name: `${command}: forward rules flushed`, act: run('-w -F FLANNEL-FWD') },
    { name: `${command}: all of nat flushed`, act: run('-w -t nat -F POSTROUTING') },
    { name: `${command}: all of FORWARD flushed`, act: run('-w -F FORWARD') },
    {
      name: `${command}: one rule deleted`,
      act: (target, chance) =>
        run(`-w -t nat -D FLANNEL-POSTRTG ${1 + Math.floor(chance() * 6)}`)(target, chance),
    },
  ];
};

/** With rules in nftables. */
export const nftMischief: readonly Mischief[] = ['ip flannel-ipv4', 'ip6 flannel-ipv6'].flatMap((table) => {
  const run =
    (line: string): Mischief['act'] =>
    ({ namespace }) =>
      namespace.exec('nft', line.split(' '));
  return [
    { name: `nft: table ${table} deleted`, act: run(`delete table ${table}`) },
    { name: `nft: postrtg of ${table} flushed`, act: run(`flush chain ${table} postrtg`) },
    { name: `nft: forward of ${table} flushed`, act: run(`flush chain ${table} forward`) },
  ];
});
