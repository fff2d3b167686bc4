/** What goes wrong at the command line: one clear line (what, where, how to fix), the right exit code, nothing left behind. */
import assert from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type AgentNode, type Lab, labOfTwo } from '../support/agent-node.js';
import { asNobody, cannotRun, nobodyCannotRun } from '../support/namespaces.js';
import { Probe } from '../support/probe.js';

const skip = await cannotRun();
const skipNobody = skip || (await nobodyCannotRun());
const backend = { Type: 'vxlan' };

interface Trial {
  readonly name: string;
  /** The text of net-conf. */
  readonly config?: string;
  readonly flags?: readonly string[];
  /** A command line around the agent. */
  readonly around?: readonly string[];
  /** Makes the trouble inside the namespace. */
  readonly prepare?: (node: AgentNode, lab: Lab<unknown>, t: TestContext) => Promise<unknown>;
  readonly code: 1 | 2;
  readonly says: RegExp;
}

/** Its own view of /dev, made before the agent starts. */
const withDev = (setUp: string) => [
  'unshare',
  '--mount',
  '--',
  'sh',
  '-c',
  `mount -t tmpfs tmpfs /dev/net && ${setUp} && exec "$@"`,
  'sh',
];
const openTun = 'mknod -m 666 /dev/net/tun c 10 200';

const trials: readonly Trial[] = [
  {
    name: 'a flag with a typo',
    flags: ['--ifacee=eth0'],
    code: 2,
    says: /unknown flag --ifacee: did you mean --iface\?/,
  },
  { name: 'a word too many', flags: ['now'], code: 2, says: /unexpected argument: now/ },
  {
    name: 'a value out of range',
    flags: ['--workers=0'],
    code: 2,
    says: /--workers="0" is wrong: write an integer from 1 to 64/,
  },
  {
    name: 'two places for leases',
    flags: ['--kube-subnet-mgr'],
    code: 2,
    says: /--store and --kube-subnet-mgr are given, and leases have one place/,
  },
  {
    name: 'a health port on an address that is not ours',
    flags: ['--healthz-ip=203.0.113.7', '--healthz-port=8081'],
    code: 1,
    says: /cannot listen on 203\.0\.113\.7:8081 for health checks: .*mend --healthz-ip/,
  },
  {
    name: 'a store of another kind',
    flags: ['--store=etcd:http://127.0.0.1'],
    code: 2,
    says: /store="etcd:.* is wrong: write dir:PATH/,
  },
  {
    name: 'a network that is no CIDR',
    config: '{"Network":"10.77.0.0/33"}',
    code: 1,
    says: /directory \S*store: .*Network is "10\.77\.0\.0\/33": write an IPv4 network, for example/,
  },
  {
    name: 'a network configuration cut short',
    config: '{"Network":',
    code: 1,
    says: /directory \S*store: .*is not JSON.*it looks like/,
  },
  {
    name: 'a value of the wrong kind',
    config: '{"Network":"10.77.0.0/16","Backend":{"Type":"vxlan","VNI":"one"}}',
    code: 1,
    says: /directory \S*store: .*VNI is "one": write an integer/,
  },
  {
    name: 'a subnet length that does not fit',
    config: '{"Network":"10.77.0.0/16","SubnetLen":31}',
    code: 1,
    says: /SubnetLen is 31: write 18 to 30/,
  },
  {
    name: 'an unknown backend',
    config: '{"Network":"10.77.0.0/16","Backend":{"Type":"warp"}}',
    code: 1,
    says: /Backend\.Type is "warp": this version has udp, vxlan/,
  },
  {
    name: 'no network configuration',
    prepare: (_, lab) => rm(join(lab.store, 'config')),
    code: 1,
    says: /there is no \S*store\/config: write the network configuration there, for example/,
  },
  {
    name: 'a store that is a file',
    flags: ['--store=dir:/etc/hostname'],
    code: 1,
    says: /cannot use store directory \/etc\/hostname: .*choose another --store/,
  },
  {
    name: 'a store closed to us',
    around: asNobody,
    code: 1,
    says: /cannot use store directory \S*store: .*permission denied.*run as a user that may/,
  },
  {
    name: 'a control socket where there is a file',
    prepare: (node) => writeFile(node.socket, ''),
    code: 1,
    says: /a\.sock is in the way and is no socket: remove it, or choose another with --control-socket/,
  },
  {
    name: 'an interface that is not there',
    flags: [],
    prepare: async (node) => {
      node.iface = 'nope0';
    },
    code: 1,
    says: /no interface matches --iface=nope0; interfaces here: .*eth0 \(192\.0\.2\.1/,
  },
  {
    name: 'an interface without an address',
    prepare: (node) => node.namespace.ip('address', 'flush', 'dev', 'eth0'),
    code: 1,
    says: /interface eth0 has no usable IPv4 address: add one or choose another with --iface/,
  },
  {
    name: 'an underlay inside the overlay',
    prepare: (node) =>
      node.namespace.ip('address', 'replace', '10.77.0.9/24', 'dev', 'eth0').then(() => {
        node.iface = '10.77.0.9';
      }),
    code: 1,
    says: /underlay address 10\.77\.0\.9 lies in the overlay network 10\.77\.0\.0\/16: choose another/,
  },
  {
    name: 'a route in the way',
    prepare: (node) => node.namespace.ip('route', 'add', '10.77.0.0/16', 'dev', 'eth0'),
    code: 1,
    says: /a route to the overlay network 10\.77\.0\.0\/16 leads to eth0 already: remove it with "ip route delete/,
  },
  {
    name: 'no /dev/net/tun',
    around: withDev('true'),
    code: 1,
    says: /no \/dev\/net\/tun: load the module \(modprobe tun\), or give the container the device/,
  },
  {
    name: 'no CAP_NET_ADMIN',
    around: ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'],
    code: 1,
    says: /cannot make TUN device flannel\.1: needs CAP_NET_ADMIN \(run as root\)/,
  },
  {
    name: 'a user who may not open /dev/net/tun',
    prepare: (node) => node.namespace.exec('chmod', ['-R', 'a+rwX', node.directory]),
    around: [...withDev('mknod -m 600 /dev/net/tun c 10 200'), ...asNobody],
    code: 1,
    says: /cannot open \/dev\/net\/tun: run as root, or make the device readable and writable/,
  },
  {
    name: 'a user who may open it and no more',
    prepare: (node) => node.namespace.exec('chmod', ['-R', 'a+rwX', node.directory]),
    around: [...withDev(openTun), ...asNobody],
    code: 1,
    says: /cannot make TUN device flannel\.1: needs CAP_NET_ADMIN/,
  },
  {
    name: "a kernel's vxlan device that holds the port",
    prepare: (node) => kernelDevice(node, 'vx9', 'up'),
    code: 1,
    says: /port 8472 is held by the kernel's vxlan device vx9: remove it with "ip link delete vx9"/,
  },
  {
    name: 'one that has our name and another VNI',
    prepare: (node) => kernelDevice(node, 'flannel.1', 'down'),
    code: 1,
    says: /a vxlan device of VNI 9, not 1 named flannel\.1 is in the way.* "ip link delete flannel\.1"/,
  },
  {
    name: "flannel's device, without the right to take it over",
    prepare: (node) => kernelDevice(node, 'flannel.1', 'up', '1'),
    around: ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'],
    code: 1,
    says: /device flannel\.1: cannot delete link \d+: Operation not permitted: run as root or with CAP_NET_ADMIN/,
  },
  {
    name: 'a port that a program holds',
    prepare: (node) => Probe.start(node.namespace, 'listen', '8472', '0.0.0.0'),
    code: 1,
    says: /port 8472 is held by another program: "ss -ulpn sport = :8472" names it/,
  },
];

async function linkNames({ namespace }: AgentNode): Promise<string[]> {
  const links = JSON.parse(await namespace.ip('-j', 'link')) as { ifname: string }[];
  return links.map(({ ifname }) => ifname);
}

async function kernelDevice(
  { namespace }: AgentNode,
  name: string,
  state: 'up' | 'down',
  vni = '9',
): Promise<void> {
  const vxlan = ['type', 'vxlan', 'id', vni, 'dev', 'eth0', 'dstport', '8472'];
  await namespace.ip('link', 'add', name, ...vxlan);
  await namespace.ip('link', 'set', name, state);
}

for (const { name, config, flags, around, prepare, code, says } of trials) {
  const isSkipped = around?.includes('--clear-groups') ? skipNobody : skip;
  test(`${name} ends with ${code} and one line`, { skip: isSkipped, timeout: 30_000 }, async (t) => {
    const lab = await labOfTwo(t, { Backend: backend });
    const [node] = lab.nodes;
    if (config !== undefined) await writeFile(join(lab.store, 'config'), config);
    await prepare?.(node, lab, t);
    const linksBefore = await linkNames(node);
    const ended = await node.fail(flags, around);
    assert.equal(ended.code, code, node.stderr);
    const lines = ended.line.split('\n');
    // Whoever typed something wrong is also told where to read.
    assert.equal(lines.length, code === 2 ? 2 : 1, ended.line);
    assert.match(lines[0] ?? '', /^twill: /);
    assert.match(lines[0] ?? '', says);
    assert.deepEqual(await linkNames(node), linksBefore, 'no device is left');
    const sockets = (await readdir(lab.directory)).filter((file) => file.endsWith('.sock'));
    assert.ok(name.includes('control socket') || sockets.length === 0, 'no socket is left');
  });
}
