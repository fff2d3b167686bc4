/** What the rules do to packets: who is masqueraded and who is not, in every program, and that a restart loses none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { Namespace } from '../../src/lab/namespace.js';
import { udpFlow } from '../../src/lab/traffic.js';
import { holders, makePod, makeWorld, N, type Pod, run } from '../support/firewall-lab.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';

const skip = await cannotRun();

/** Source addresses of what arrives at `port` when each of these sends a datagram there. */
async function sources(
  at: Namespace,
  port: number,
  senders: readonly { readonly from: Namespace; readonly source?: string; readonly to: string }[],
): Promise<string[]> {
  const listen = `
    const socket = require('dgram').createSocket('udp6');
    socket.on('message', (_, { address }) => console.log(address.replace('::ffff:', '')));
    socket.bind(${port}, () => console.log('ready'));`;
  const listener = at.spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  listener.stdout?.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  const lines = () => text.split('\n').slice(1, -1);
  try {
    await until('it listens', async () => text.startsWith('ready\n'));
    for (const [i, { from, source, to }] of senders.entries()) {
      const send = `
        const socket = require('dgram').createSocket('${to.includes(':') ? 'udp6' : 'udp4'}');
        socket.bind({ address: ${JSON.stringify(source)} }, () => socket.send('x', ${port}, '${to}', () => socket.close()));`;
      // Before neighbours are resolved one may be lost; sent again it may come twice.
      await until(`a datagram of ${source ?? 'the sender'} to ${to}`, async () => {
        await from.exec(process.execPath, ['-e', send]);
        return lines().length > i;
      });
      text = `ready\n${lines()
        .slice(0, i + 1)
        .join('\n')}\n`;
    }
    return lines();
  } finally {
    const end = once(listener, 'exit');
    listener.kill('SIGKILL');
    await end;
  }
}

for (const holder of holders) {
  test(`${holder.name}: pods reach the world as the node, each other as themselves, and the host's own traffic is accepted`, {
    skip,
    timeout: 90_000,
  }, async (t) => {
    const { a, b, outside } = await makeWorld(t, holder);
    for (const node of [a, b]) node.run(['--ip-masq']);
    await Promise.all([a.ready(1), b.ready(1)]);
    // A host that lets nothing pass by itself.
    for (const { namespace } of [a, b])
      for (const program of ['iptables', 'ip6tables']) {
        if (holder.isNft) continue;
        await run(namespace, `${program}-${holder.name.split('-')[1]} -P FORWARD DROP`);
      }
    const [podA, podB]: Pod[] = [await makePod(t, a), await makePod(t, b)];
    assert.ok(podA && podB);
    await until('pods reach each other', () => pings(podA.namespace, podB.v4));
    await until('in both families', () => pings(podA.namespace, podB.v6));
    const [deviceA4 = '', deviceA6 = ''] = (await a.status()).node.subnet.split(' ').map(base);

    assert.deepEqual(
      await sources(outside, 4000, [
        { from: podA.namespace, to: '192.0.2.3' },
        { from: podB.namespace, to: '192.0.2.3' },
        { from: podA.namespace, to: '2001:db8::3' },
        { from: a.namespace, to: '192.0.2.3' },
      ]),
      ['192.0.2.1', '192.0.2.2', '2001:db8::1', '192.0.2.1'],
      'out of the cluster',
    );
    assert.deepEqual(
      await sources(podB.namespace, 4000, [
        { from: podA.namespace, to: podB.v4 },
        { from: podA.namespace, to: podB.v6 },
        { from: a.namespace, to: podB.v4 },
        // Not masqueraded it would not be what this peer may send.
        { from: a.namespace, source: '192.0.2.1', to: podB.v4 },
        { from: a.namespace, source: '2001:db8::1', to: podB.v6 },
        { from: b.namespace, source: '192.0.2.2', to: podB.v4 },
      ]),
      [podA.v4, podA.v6, deviceA4, deviceA4, deviceA6, '192.0.2.2'],
      'into the overlay',
    );
    // From outside, straight to the pod of a node: it sees who calls.
    await outside.ip('route', 'add', N, 'via', '192.0.2.2');
    assert.deepEqual(await sources(podB.namespace, 4001, [{ from: outside, to: podB.v4 }]), ['192.0.2.3']);
    const drops = (await b.status()).counters.decap.drops;
    assert.equal(drops['src_mismatch'], 0);
  });

  test(`${holder.name}: a restart of the agent loses no packet on its way out`, {
    skip,
    timeout: 90_000,
  }, async (t) => {
    const { a, outside } = await makeWorld(t, holder);
    a.run(['--ip-masq']);
    await a.started();
    const pod = await makePod(t, a);
    await until('the pod reaches the world', () => pings(pod.namespace, '192.0.2.3'));
    let restarts = 0;
    const plan = { durationMs: 6000, packetsPerSecond: 1000, payloadBytes: 200 };
    const flow = udpFlow(pod.namespace, outside, '192.0.2.3', plan);
    // New flows, too: each of them meets the rules for the first time.
    let fresh = 0;
    let isDone = false;
    const fresher = (async () => {
      while (!isDone) {
        assert.ok(await pings(pod.namespace, '192.0.2.3', '-W', '2'), 'a new flow passes');
        fresh += 1;
      }
    })();
    fresher.catch(() => {});
    while (restarts < 2) {
      await a.stop();
      a.run(['--ip-masq']);
      await a.started();
      restarts += 1;
    }
    const { sent, received, lost } = await flow;
    isDone = true;
    await fresher;
    assert.deepEqual(
      { lost, refused: sent.refused, duplicated: received.duplicated },
      { lost: 0, refused: 0, duplicated: 0 },
    );
    assert.ok(fresh > 10, `${fresh} new flows`);
  });
}

test('the blackhole route: what is for no pod is dropped, a bridge that comes later wins', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const [holder] = holders;
  assert.ok(holder);
  const { a } = await makeWorld(t, holder);
  a.run(['--ip-blackhole-route', '--iptables-resync=1']);
  const [v4 = '', v6 = ''] = (await a.started()).node.subnet.split(' ');
  const routes = () => a.namespace.ip('route', 'show', 'type', 'blackhole');
  await until('IPv4', async () => (await routes()) === `blackhole ${v4} metric 4096 \n`);
  const routes6 = () => a.namespace.ip('-6', 'route', 'show', 'type', 'blackhole');
  await until('IPv6', async () => (await routes6()).startsWith(`blackhole ${v6} dev lo metric 4096`));
  await a.namespace.ip('route', 'del', 'blackhole', v4);
  await until('it is back', async () => (await routes()) !== '');
  const pod = await makePod(t, a);
  await until('the pod is reached', () => pings(a.namespace, pod.v4));
  await a.stop();
  assert.notEqual(await routes(), '', 'it stays at the end');
  a.run();
  await a.started();
  await until('it goes when it is not wanted', async () => (await routes()) + (await routes6()) === '');
});
