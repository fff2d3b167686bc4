/**
 * Open vSwitch's userspace datapath with a VXLAN port. The underlay's address moves from the device to a bridge that holds
 * the device, as its documentation has it. Node to node only.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fixedSubnet, type Overlay, type OverlayNode, type Site } from '../systems.js';
import { UNDERLAY_DEVICE, UNDERLAY_MTU_BYTES } from '../underlay.js';
import { Daemon } from './daemon.js';

const MTU_BYTES = UNDERLAY_MTU_BYTES - 50;
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

function nodeOf(i: 0 | 1): OverlayNode {
  const subnet = fixedSubnet(i);
  return { subnet, address: `${subnet.address}`.replace(/\.0$/, '.1') };
}

export async function startOpenVswitch(site: Site): Promise<Overlay> {
  const pids = await Promise.all([startSwitch(site, 0), startSwitch(site, 1)]);
  return { nodes: [nodeOf(0), nodeOf(1)], mtuBytes: MTU_BYTES, pids: pids.flatMap((pid) => pid ?? []) };
}

async function startSwitch(site: Site, i: 0 | 1): Promise<number | undefined> {
  const { bed, directory, signal } = site;
  const { namespace: node, underlay } = bed.nodes[i];
  const folder = join(directory, `ovs-${i}`);
  await mkdir(folder);
  const at = (name: string) => join(folder, name);
  const socket = `unix:${at('db.sock')}`;
  await node.exec('ovsdb-tool', ['create', at('conf.db'), SCHEMA]);
  const own = { OVS_RUNDIR: folder, OVS_LOGDIR: folder, OVS_DBDIR: folder };
  const database = Daemon.start(
    site,
    i,
    'ovsdb-server',
    [at('conf.db'), `--remote=p${socket}`, `--unixctl=${at('db.ctl')}`],
    own,
  );
  const vsctl = (...args: string[]) => node.exec('ovs-vsctl', [`--db=${socket}`, '--timeout=10', ...args]);
  await database.until(
    () =>
      vsctl('--no-wait', 'init').then(
        () => true,
        () => false,
      ),
    signal,
  );
  const daemon = Daemon.start(site, i, 'ovs-vswitchd', [socket, `--unixctl=${at('switch.ctl')}`], own);
  const bridge = (name: string) => [
    '--',
    'add-br',
    name,
    '--',
    'set',
    'bridge',
    name,
    'datapath_type=netdev',
  ];
  await vsctl(...bridge('br-under').slice(1), '--', 'add-port', 'br-under', UNDERLAY_DEVICE);
  await node.ip('address', 'flush', 'dev', UNDERLAY_DEVICE);
  await node.ip('address', 'add', `${underlay}/24`, 'dev', 'br-under');
  await node.ip('link', 'set', 'br-under', 'up');
  const tunnel = ['type=vxlan', `options:remote_ip=${bed.nodes[1 - i]?.underlay ?? ''}`, 'options:key=1'];
  await vsctl(
    ...bridge('br-over').slice(1),
    ...['--', 'add-port', 'br-over', 'vxlan0', '--', 'set', 'interface', 'vxlan0', ...tunnel],
  );
  await node.ip('address', 'add', `${nodeOf(i).address}/16`, 'dev', 'br-over');
  await node.ip('link', 'set', 'br-over', 'mtu', String(MTU_BYTES), 'up');
  return daemon.pid;
}
