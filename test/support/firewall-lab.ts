/** Nodes that keep rules, a host outside of the overlay, and the text that the rules have in each program. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { joinByVeth, type Namespace } from '../../src/lab/namespace.js';
import { type AgentNode, type Lab, labWith } from './agent-node.js';
import { base, makeNamespace, makeSegment } from './namespaces.js';

export const N = '10.77.0.0/16';
export const N6 = 'fd00:77::/56';

/** A program that holds rules. */
export interface Holder {
  readonly name: string;
  readonly isNft: boolean;
  /** Lists all that this program shows, in both families. */
  readonly list: (inside: Namespace) => Promise<string>;
  /** Somebody empties it. */
  readonly flush: (inside: Namespace) => Promise<unknown>;
}

/** One command line, words divided by single spaces. */
export const run = (inside: Namespace, line: string) => {
  const [command = '', ...args] = line.split(' ');
  return inside.exec(command, args).then(({ stdout }) => stdout);
};

function iptables(kind: 'nft' | 'legacy'): Holder {
  const tables = ['iptables', 'ip6tables'].flatMap((program) =>
    ['nat', 'filter'].map((table) => `${program}-${kind} -t ${table}`),
  );
  const each = async (inside: Namespace, tail: string) => {
    let text = '';
    for (const table of tables) text += await run(inside, `${table} ${tail}`);
    return text;
  };
  return {
    ...{ name: `iptables-${kind}`, isNft: false },
    list: (inside) => each(inside, '-S'),
    flush: (inside) => each(inside, '-F'),
  };
}

/** The kernel lists tables, and chains in them, in the order in which they were made. */
function inOrder(listed: string): string {
  const tables = listed.split(/^(?=table )/m).map((table) => {
    const chains = [...table.matchAll(/^\tchain [\s\S]*?^\t}$/gm)].map(([text]) => text).sort();
    return table.replace(/^\tchain [\s\S]*^\t}$/m, () => chains.join('\n\n'));
  });
  return tables.sort().join('');
}

const nft: Holder = {
  ...{ name: 'nft', isNft: true },
  list: async (inside) => inOrder(await run(inside, 'nft -s list ruleset')),
  flush: (inside) => run(inside, 'nft flush ruleset'),
};
export const holders = [iptables('nft'), iptables('legacy'), nft];

export interface World {
  readonly lab: Lab<readonly [AgentNode, AgentNode]>;
  readonly a: AgentNode;
  readonly b: AgentNode;
  readonly outside: Namespace;
}

/** Two nodes and a host outside of the overlay on one bridge. In the namespaces nothing but this holder has rules. */
export async function makeWorld(t: TestContext, holder: Holder): Promise<World> {
  let outside: Namespace | undefined;
  const config = {
    EnableIPv6: true,
    IPv6Network: N6,
    EnableNFTables: holder.isNft,
    Backend: { Type: 'vxlan' },
  };
  const lab = await labWith(t, config, async (make) => {
    const hosts = ['a', 'b', 'outside'].map((label, i) => {
      return { label, addresses: [`192.0.2.${i + 1}/24`, `2001:db8::${i + 1}/64`] };
    });
    const [a, b, last] = await makeSegment(t, hosts);
    assert.ok(a && b && last);
    outside = last;
    return [make(a), make(b)] as const;
  });
  const [a, b] = lab.nodes;
  assert.ok(outside);
  for (const [i, node] of [a, b].entries()) {
    node.storeFlags = [`--store=dir:${lab.store}`, `--public-ipv6=2001:db8::${i + 1}`];
    node.environment = { XTABLES_LOCKFILE: join(lab.directory, 'xtables.lock') };
    await forward(node.namespace);
    // A rule of somebody else tells where the rules of this host are kept.
    if (holder.name === 'iptables-legacy')
      await run(node.namespace, 'iptables-legacy -A FORWARD -m mark --mark 9 -j DROP');
  }
  return { lab, a, b, outside };
}

async function forward(inside: Namespace): Promise<void> {
  const on = 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding';
  await inside.exec('sh', ['-c', on]);
}

export interface Pod {
  readonly namespace: Namespace;
  readonly v4: string;
  readonly v6: string;
}

/** A pod of this node, at .9 and ::9 of its subnet. */
export async function makePod(t: TestContext, node: AgentNode): Promise<Pod> {
  const [v4 = '', v6 = ''] = (await node.status()).node.subnet.split(' ').map(base);
  const pod = await makeNamespace(t, `pod-${node.namespace.label}`);
  const own = { v4: v4.replace(/0$/, '9'), v6: `${v6}9` };
  const gateway = { v4: v4.replace(/0$/, '1'), v6: `${v6}1` };
  await joinByVeth(
    { namespace: pod, device: 'uplink', addresses: [`${own.v4}/24`, `${own.v6}/64`] },
    { namespace: node.namespace, device: 'pod0', addresses: [`${gateway.v4}/24`, `${gateway.v6}/64`] },
    1400,
  );
  await pod.ip('route', 'add', 'default', 'via', gateway.v4);
  await pod.ip('-6', 'route', 'add', 'default', 'via', gateway.v6);
  return { namespace: pod, ...own };
}

/** What the program lists: flannel's rules word for word, but for rule 4 and the mark in nft; and the foreign rule. */
export function golden(holder: Holder, subnet: string, hasForeign = true): string {
  const [s4 = '', s6 = ''] = subnet.split(' ');
  const families = [
    { n: N, s: s4, multicast: '224.0.0.0/4', ip: 'ip', table: 'table ip flannel-ipv4 {' },
    { n: N6, s: s6, multicast: 'ff00::/8', ip: 'ip6', table: 'table ip6 flannel-ipv6 {' },
  ];
  const texts = families.map(({ n, s, multicast, ip, table }) => {
    if (holder.isNft) {
      return [
        table,
        `\tcomment "rules for ${table.split(' ')[2]}"`,
        '\tchain forward {',
        '\t\tcomment "chain to accept flannel traffic"',
        '\t\ttype filter hook forward priority filter; policy accept;',
        `\t\t${ip} saddr ${n} accept`,
        `\t\t${ip} daddr ${n} accept`,
        '\t}',
        '',
        '\tchain postrtg {',
        '\t\tcomment "chain to manage traffic masquerading by flannel"',
        '\t\ttype nat hook postrouting priority srcnat; policy accept;',
        '\t\tmeta mark & 0x00004000 == 0x00004000 return',
        `\t\t${ip} saddr ${s} ${ip} daddr ${n} return`,
        `\t\t${ip} saddr ${n} ${ip} daddr ${s} return`,
        `\t\t${ip} saddr != ${n} ${ip} daddr ${s} return`,
        `\t\t${ip} saddr ${n} ${ip} daddr != ${multicast} masquerade fully-random`,
        `\t\t${ip} saddr != ${n} ${ip} daddr ${n} masquerade fully-random`,
        '\t}',
        '}',
      ].join('\n');
    }
    const masq = '-m comment --comment "flanneld masq" -j';
    const fwd = '-m comment --comment "flanneld forward" -j';
    return [
      '-P PREROUTING ACCEPT',
      '-P INPUT ACCEPT',
      '-P OUTPUT ACCEPT',
      '-P POSTROUTING ACCEPT',
      '-N FLANNEL-POSTRTG',
      `-A POSTROUTING ${masq} FLANNEL-POSTRTG`,
      `-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 ${masq} RETURN`,
      `-A FLANNEL-POSTRTG -s ${s} -d ${n} ${masq} RETURN`,
      `-A FLANNEL-POSTRTG -s ${n} -d ${s} ${masq} RETURN`,
      `-A FLANNEL-POSTRTG ! -s ${n} -d ${s} ${masq} RETURN`,
      `-A FLANNEL-POSTRTG -s ${n} ! -d ${multicast} ${masq} MASQUERADE --random-fully`,
      `-A FLANNEL-POSTRTG ! -s ${n} -d ${n} ${masq} MASQUERADE --random-fully`,
      '-P INPUT ACCEPT',
      '-P FORWARD ACCEPT',
      '-P OUTPUT ACCEPT',
      '-N FLANNEL-FWD',
      ...(hasForeign && holder.name === 'iptables-legacy' && ip === 'ip'
        ? ['-A FORWARD -m mark --mark 0x9 -j DROP']
        : []),
      `-A FORWARD ${fwd} FLANNEL-FWD`,
      `-A FLANNEL-FWD -s ${n} ${fwd} ACCEPT`,
      `-A FLANNEL-FWD -d ${n} ${fwd} ACCEPT`,
    ].join('\n');
  });
  return `${texts.join('\n')}\n`;
}
