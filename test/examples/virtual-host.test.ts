/** examples/virtual-host.ts, reached from a machine with the kernel's vxlan device as flannel sets it up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addKernelPeer, addKernelVxlan } from '../../src/lab/kernel-vxlan.js';
import { IpAddress } from '../../src/net/ip.js';
import { MacAddress } from '../../src/net/mac.js';
import { Prefix } from '../../src/net/prefix.js';
import { Example } from '../support/example.js';
import { cannotRun, makePair, pings } from '../support/namespaces.js';

const skip = await cannotRun();
const mac = { host: '02:00:00:00:00:01', kernel: '02:00:00:00:00:02' };

/** Sends each length, one after the other, and prints how many came back with the same bytes. */
const echoClient = (address: string) => `
  const { createSocket } = require('node:dgram');
  const socket = createSocket('${address.includes(':') ? 'udp6' : 'udp4'}');
  const lengths = [0, 1, 18, 512, 1400];
  let at = 0, timer;
  const send = () => {
    clearTimeout(timer);
    if (at === lengths.length * 20) { console.log(at); return socket.close(); }
    const bytes = Buffer.alloc(lengths[at % lengths.length], at);
    socket.once('message', (answer, { address, port }) => {
      if (answer.compare(bytes) !== 0 || address !== '${address}' || port !== 7) throw new Error('not what was sent');
      at += 1;
      send();
    });
    socket.send(bytes, 7, '${address}');
    timer = setTimeout(() => { throw new Error('no answer to number ' + at); }, 10000);
  };
  send();`;

test('virtual host: a kernel vxlan peer pings it and gets its datagrams back, IPv4 and IPv6', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const [a, b] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const device = await addKernelVxlan(b, {
    subnet: Prefix.parse('10.77.2.0/24'),
    local: IpAddress.parse('192.0.2.2'),
    mac: MacAddress.parse(mac.kernel),
    ...{ lower: 'eth0', vni: 7, port: 8472, mtuBytes: 1450 },
  });
  await b.ip('address', 'add', 'fd77:2::/128', 'dev', device, 'nodad');
  const endpoint = IpAddress.parse('192.0.2.1');
  for (const subnet of ['10.77.1.0/24', 'fd77:1::/64'].map(Prefix.parse))
    await addKernelPeer(b, device, { subnet, endpoint, mac: MacAddress.parse(mac.host) });

  const host = Example.start(
    t,
    'virtual-host',
    [
      ...['--underlay', '192.0.2.1', '--mac', mac.host, '--vni', '7'],
      ...['--host', '10.77.1.10/24', '--host', 'fd77:1::10/64'],
      ...['--peer', `10.77.2.0/24,192.0.2.2,${mac.kernel}`, '--peer', `fd77:2::/64,192.0.2.2,${mac.kernel}`],
    ],
    { namespace: a },
  );
  assert.equal(await host.line(), 'answering as 10.77.1.10 and fd77:1::10');
  for (const address of ['10.77.1.10', 'fd77:1::10']) {
    for (const payloadBytes of [0, 56, 57, 1350])
      await b.exec('ping', [
        '-n',
        '-c',
        '10',
        '-i',
        '0.01',
        '-W',
        '5',
        '-s',
        `${payloadBytes}`,
        '-p',
        'a7',
        address,
      ]);
    const { stdout } = await b.exec(process.execPath, ['-e', echoClient(address)]);
    assert.equal(stdout, '100\n');
  }
  assert.equal(await pings(b, '10.77.1.11'), false, 'another address of the subnet is nobody');
  host.stop();
  assert.equal(await host.end(), 0);
  assert.equal(host.lines.at(-1), 'answered 80 pings and 200 echo datagrams');
});
