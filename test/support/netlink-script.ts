// Runs inside a namespace with a veth end `eth0`: changes it through netlink and prints what netlink then says.
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { TwillError } from '../../src/errors.js';
import { type NetlinkEvent, netlink } from '../../src/native/netlink.js';
import { IpAddress } from '../../src/net/ip.js';
import { Prefix } from '../../src/net/prefix.js';

const seen: NetlinkEvent[] = [];
const watch = netlink.watch((events) => seen.push(...events));
const eth0 = netlink.links().find(({ name }) => name === 'eth0');
if (!eth0) throw new Error('no eth0');
const { index } = eth0;
netlink.linkSet(index, { mtu: 1400, txQueueLength: 77, up: true });
for (const [text, length] of [
  ['192.0.2.1', 24],
  ['2001:db8::1', 64],
  ['10.9.0.0', 32],
] as const) {
  netlink.addressAdd(index, { address: IpAddress.parse(text), length });
}
netlink.addressAdd(index, { address: IpAddress.parse('10.9.0.0'), length: 32 });
netlink.addressDelete(index, { address: IpAddress.parse('10.9.0.0'), length: 32 });
const routed = Prefix.parse('10.77.0.0/16');
netlink.routeReplace({ destination: routed, index });
netlink.routeReplace({ destination: routed, index, gateway: IpAddress.parse('192.0.2.254') });
netlink.routeReplace({
  destination: Prefix.parse('10.78.0.0/16'),
  index,
  gateway: IpAddress.parse('198.51.100.1'),
  onlink: true,
});
netlink.routeReplace({ destination: Prefix.parse('fd00::/64'), index });
netlink.routeReplace({ destination: Prefix.parse('10.79.0.0/16'), index });
netlink.routeDelete({ destination: Prefix.parse('10.79.0.0/16'), index });

const failures = [
  () => netlink.linkSet(999_999, { up: true }),
  () => netlink.linkSet(index, { mtu: 1 }),
  () => netlink.routeReplace({ destination: routed, index, gateway: IpAddress.parse('203.0.113.7') }),
].map((attempt) => {
  try {
    attempt();
    return null;
  } catch (error) {
    return error instanceof TwillError
      ? { code: error.code, message: error.message, errno: error.errno }
      : String(error);
  }
});
const reach = netlink.routeGet(IpAddress.parse('10.77.1.2'));
while (!['link', 'address', 'route'].every((kind) => seen.some((event) => event.kind === kind)))
  await delay(5);
watch.stop();
watch.stop();
const plain = (_: string, value: unknown) =>
  value instanceof IpAddress || value instanceof Prefix ? `${value}` : value;
process.stdout.write(
  JSON.stringify(
    {
      ...{ index, failures },
      link: netlink.links().find((link) => link.index === index),
      addresses: netlink.addresses().filter((address) => address.index === index),
      routes: [...netlink.routes(4), ...netlink.routes(6)].filter(
        (route) => route.index === index && route.table === 254,
      ),
      reach: { index: reach.index, source: reach.source, gateway: reach.gateway },
      removed: seen.filter(({ removed }) => removed).map(({ kind }) => kind),
    },
    plain,
  ),
);
if (process.stdout.writableLength > 0) await once(process.stdout, 'drain');
