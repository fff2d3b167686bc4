/**
 * Flannel's udp proxy in a process of its own: `flannel-loop-tool JSON` prints its device when packets flow, and ends with
 * its standard input.
 */
import { writeSync } from 'node:fs';
import { loadNative } from '../native/binding.js';
import { guard } from '../native/errors.js';
import { netlink } from '../native/netlink.js';
import { IpAddress } from '../net/ip.js';
import { Prefix } from '../net/prefix.js';
import type { FlannelLoopPlan } from './flannel-loop.js';

const plan = JSON.parse(process.argv[2] ?? '{}') as FlannelLoopPlan;
const own = Prefix.parse(plan.subnet).address;
const routes = plan.peers.map(({ subnet, endpoint }) => {
  const prefix = Prefix.parse(subnet);
  const mask = new Uint8Array(4);
  new DataView(mask.buffer).setUint32(0, prefix.length === 0 ? 0 : (-1 << (32 - prefix.length)) >>> 0);
  return Buffer.concat([prefix.address.bytes(), mask, IpAddress.parse(endpoint).bytes()]);
});
let device = '';
try {
  guard(() =>
    loadNative().traffic.flannelLoop(
      {
        address: IpAddress.parse(plan.local).bytes(),
        port: plan.port,
        device: 'flannel%d',
        ownAddress: own.bytes(),
        mtuBytes: plan.mtuBytes,
        routes: Buffer.concat(routes),
        stopDescriptor: 0,
      },
      (name, index) => {
        device = name;
        netlink.addressAdd(index, { address: own, length: 32 });
        netlink.linkSet(index, { mtu: plan.mtuBytes, up: true });
        netlink.routeReplace({ destination: Prefix.parse(plan.network), index });
      },
      () => writeSync(1, `${JSON.stringify({ device })}\n`),
    ),
  );
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
