/** GBP and Learning on the kernel's device: what they put on the wire, what they do at the other end, and in our own path. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AgentNode, labOfThree, labOfTwo, network } from '../support/agent-node.js';
import { base, cannotRun, pings, until } from '../support/namespaces.js';
import { datagramOf, readPcap } from '../support/pcap.js';
import { Probe } from '../support/probe.js';

const skip = await cannotRun();
const KERNEL = '--dataplane=kernel';

/** The VXLAN headers of the datagrams that `from` sends to the address while `during` runs, as many as are awaited. */
async function headersOf(from: AgentNode, to: string, count: number, during: () => Promise<unknown>) {
  const file = join(from.directory, `to-${to}.pcap`);
  const filter = ['udp', 'dst', 'port', '8472', 'and', 'dst', 'host', to];
  const argv = ['-i', 'eth0', '-Q', 'out', '-n', '-c', String(count), '-w', file, ...filter];
  const capture = from.namespace.spawn('tcpdump', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  capture.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const end = once(capture, 'close');
  await until('tcpdump listens', async () => said.includes('listening on'));
  await during();
  await end;
  return readPcap(await readFile(file)).map((frame) => {
    const { payload } = datagramOf(frame) ?? {};
    return Buffer.from(payload?.subarray(0, 8) ?? []).toString('hex');
  });
}

test('GBP: the mark of a packet is its group on the wire and its mark at a peer; our own path drops it by name', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { nodes, store } = await labOfThree(t, { Backend: { Type: 'vxlan' } });
  const [a, b, ours] = nodes;
  ours.run();
  await ours.started();
  const gbp = { Network: network, Backend: { Type: 'vxlan', GBP: true } };
  await writeFile(join(store, 'config'), JSON.stringify(gbp));
  const { code, line } = await a.fail(['--dataplane=userspace']);
  assert.equal(code, 1);
  assert.match(line, /Backend\.GBP is true, which only the kernel's vxlan device can do/);
  a.run([KERNEL]);
  b.run([KERNEL]);
  await Promise.all([a.ready(2), b.ready(2), ours.ready(2)]);
  assert.match(await a.namespace.ip('-d', 'link', 'show', 'flannel.1'), / gbp /);
  const addressOf = async (node: AgentNode) => base((await node.status()).node.subnet);
  const [toB, toOurs] = await Promise.all([addressOf(b), addressOf(ours)]);
  for (const to of [toB, toOurs]) await until(`${to} answers`, () => pings(a.namespace, to, '-W', '0.5'));

  const marked = ['-m', String(0x123), '-c', '1', '-W', '1'];
  await b.namespace.exec('iptables', ['-A', 'INPUT', '-m', 'mark', '--mark', '0x123', '-p', 'icmp']);
  const headers = await headersOf(a, '192.0.2.2', 2, async () => {
    assert.ok(await pings(a.namespace, toB, '-c', '1'));
    assert.ok(await pings(a.namespace, toB, ...marked), 'the group is no hindrance');
  });
  assert.deepEqual(headers, ['0800000000000100', '8800012300000100']);
  const rules = await b.namespace.exec('iptables', ['-L', 'INPUT', '-v', '-x', '-n']);
  assert.match(rules.stdout, /^ *1 +84 .* mark match 0x123/m, 'one packet of one ping');

  // As a kernel's device without GBP: what it does not know, it does not guess.
  const [header] = await headersOf(a, '192.0.2.3', 1, async () =>
    assert.equal(await pings(a.namespace, toOurs, ...marked), false),
  );
  assert.equal(header, '8800012300000100');
  const { counters, identity } = await ours.status();
  assert.deepEqual([counters.decap.drops['reserved_bits'], identity.decap], [1, true]);
  assert.ok(await pings(a.namespace, toOurs), 'without a mark all is as ever');
});

const STRANGER = '02:00:00:00:00:55';

for (const learning of [true, false]) {
  test(`Learning ${learning}: the kernel ${learning ? 'learns' : 'does not learn'} who is behind a sender, and we let it`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const { nodes } = await labOfTwo(t, { Backend: { Type: 'vxlan', Learning: learning } });
    const [a, b] = nodes;
    a.run([KERNEL]);
    b.run([KERNEL]);
    const [{ backend }, { node }] = await Promise.all([a.ready(1), b.ready(1)]);
    await until('they reach each other', () => pings(a.namespace, base(node.subnet), '-W', '0.5'));
    const received = async () => {
      const [link] = JSON.parse(await a.namespace.ip('-j', '-s', 'link', 'show', 'flannel.1'));
      return link.stats64.rx.packets as number;
    };
    const forwarding = async () =>
      (await a.namespace.exec('bridge', ['fdb', 'show', 'dev', 'flannel.1'])).stdout.trim().split('\n');
    const before = await received();
    const probe = await Probe.start(b.namespace, 'send', '192.0.2.2', '192.0.2.1', '8472');
    const ethernet = `${backend.mac}${STRANGER}`.replaceAll(':', '');
    const packet = '450000140000000040fd00000a4d00010a4d0002';
    await probe.sendNow(Buffer.from(`0800000000000100${ethernet}0800${packet}`, 'hex'));
    await until('the frame is in', async () => (await received()) > before);
    const learned = async () =>
      (await forwarding()).filter((line) => line.startsWith(`${STRANGER} dst 192.0.2.2`)).length;
    assert.equal(await learned(), learning ? 1 : 0);

    // A look that puts something else right leaves it alone.
    const mended = async () => (await a.status()).dataplane.mended.count;
    const mendedBefore = await mended();
    // Not flushed: that goes on until it finds no route, and takes what has been put back.
    await a.namespace.ip('route', 'delete', node.subnet);
    await until('a look was had', async () => (await mended()) > mendedBefore);
    assert.equal(await learned(), learning ? 1 : 0);
    assert.equal((await forwarding()).filter((line) => line.endsWith('permanent')).length, 1, 'its peer');
    assert.ok(await pings(a.namespace, base(node.subnet)));
  });
}
