/** The library's face over user ports: no privilege, real engine. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  Dataplane,
  type DataplaneOptions,
  IpAddress,
  MacAddress,
  type PacketBuffer,
  type Peer,
  type PeerColumn,
  Prefix,
} from '../../../src/index.js';
import { ipPacket } from '../../support/packets.js';
import { until } from '../agent/fakes.js';

const macs = ['02:00:00:00:00:01', '02:00:00:00:00:02'] as const;

function options(i: 0 | 1, more: Partial<DataplaneOptions> = {}): DataplaneOptions {
  return {
    encap: 'vxlan',
    subnets: [`10.5.${i + 1}.0/24`],
    mac: macs[i],
    overlay: { kind: 'user' },
    underlay: { kind: 'user' },
    poolSlots: 512,
    ...more,
  };
}

function peer(i: 0 | 1, address = `192.0.2.${i + 1}`, port = 8472): Peer {
  return {
    subnet: Prefix.parse(`10.5.${i + 1}.0/24`),
    endpoint: { address: IpAddress.parse(address), port },
    mac: MacAddress.parse(macs[i]),
  };
}

const fromAtoB = ipPacket({ source: '10.5.1.9', destination: '10.5.2.9' });
const fromBtoA = ipPacket({ source: '10.5.2.9', destination: '10.5.1.9' });

test('two dataplanes in one process, over real sockets on loopback: packets cross by worker threads', {
  timeout: 30_000,
}, async (t) => {
  const port = 20_000 + (process.pid % 20_000);
  const open = async (i: 0 | 1) => {
    const plane = await Dataplane.open(
      options(i, { encap: 'udp', port, underlay: { kind: 'udp', addresses: [`127.0.0.${i + 1}`] } }),
    );
    t.after(() => plane.close());
    return plane;
  };
  const a = await open(0);
  const b = await open(1);
  a.peers.replace([peer(1, '127.0.0.2', port)]);
  b.peers.replace([peer(0, '127.0.0.1', port)]);
  const arrived: Buffer[] = [];
  b.overlay?.onReadable(() => {
    for (const packet of b.overlay?.receive() ?? []) {
      arrived.push(Buffer.from(packet.bytes));
      packet.release();
    }
  });
  for (let i = 0; i < 200; i++) {
    const packet = ipPacket({
      source: '10.5.1.9',
      destination: '10.5.2.9',
      payload: Uint8Array.from([i & 255, i >> 8]),
    });
    await until('room', () => a.overlay?.write(packet) === true);
  }
  await until('all arrive', () => arrived.length === 200);
  assert.deepEqual(
    arrived.map((packet) => packet.readUInt16LE(20)),
    Array.from({ length: 200 }, (_, i) => i),
    'in order',
  );
  b.overlay?.onReadable(null);
  await Promise.all([a.close(), b.close()]);
  for (const { encap, decap } of [a.stats(), b.stats()]) {
    for (const { received, delivered, drops } of [encap, decap])
      assert.equal(received, delivered + Object.values(drops).reduce((sum, count) => sum + count, 0));
  }
  assert.equal(b.stats().decap.delivered, 200);
});

test('a packet crosses two user ports without a copy of ours: the same buffer, a header in front', async () => {
  const a = await Dataplane.open(options(0, { workers: 0 }));
  a.peers.replace([peer(1)]);
  const packet = a.pool.allocate(fromAtoB.length) as PacketBuffer;
  packet.bytes.set(fromAtoB);
  const { byteOffset: before, buffer } = packet.bytes;
  assert.equal(a.overlay?.send([packet]), 1);
  a.step();
  const [datagram] = a.underlay?.receive() ?? [];
  assert.ok(datagram);
  assert.equal(datagram.bytes.buffer, buffer);
  assert.equal(datagram.bytes.byteOffset, before - 22);
  assert.equal(`${datagram.remote?.address}:${datagram.remote?.port}`, '192.0.2.2:8472');
  datagram.release();
  assert.deepEqual([a.pool.free, a.pool.size, a.pool.held], [512, 512, 0]);
  await a.close();
});

test('buffers: every misuse throws, and none reaches the pool', async () => {
  const a = await Dataplane.open(options(0, { workers: 0 }));
  const b = await Dataplane.open(options(1, { workers: 0 }));
  const packet = a.pool.allocate(100) as PacketBuffer;
  const pool = { code: 'ERR_TWILL_POOL' };
  const range = { name: 'RangeError', code: 'ERR_TWILL_ARGUMENT' };
  assert.throws(() => a.pool.allocate(a.pool.packetBytes + 1), range);
  assert.throws(() => a.pool.allocate(-1), range);
  assert.throws(() => packet.setLength(1 << 20), range);
  assert.throws(() => b.overlay?.send([packet]), { ...pool, message: /belongs to one dataplane/ });
  packet.release();
  for (const use of [() => packet.release(), () => packet.bytes, () => a.overlay?.send([packet])])
    assert.throws(use, { ...pool, message: /sent or released before/ });
  const twice = a.pool.allocate(fromAtoB.length) as PacketBuffer;
  assert.throws(() => a.overlay?.send([twice, twice]), pool, 'the same buffer twice in one call');
  twice.release(); // nothing of that call was taken
  while (a.step() > 0);
  const all = Array.from({ length: 600 }, () => a.pool.allocate(10)).filter((buffer) => buffer !== null);
  assert.equal(a.pool.allocate(10), null, 'an empty pool says so');
  assert.equal(a.overlay?.write(fromAtoB), false);
  for (const buffer of all) buffer.release();
  assert.equal(a.pool.free, 512);
  await a.close();
  await b.close();
});

test('bytes of a pool stay readable after the dataplane has gone', async () => {
  const a = await Dataplane.open(options(0, { workers: 0 }));
  const packet = a.pool.allocate(4) as PacketBuffer;
  packet.bytes.write('knot');
  const { bytes } = packet;
  await a.close();
  assert.equal(bytes.toString(), 'knot');
});

test('peers change any number of times between steps, and after a close amid traffic', async () => {
  // Each waited for ever for a worker that would never let go of the table it had used last.
  const stepped = await Dataplane.open(options(0, { workers: 0 }));
  stepped.peers.replace([peer(1)]);
  stepped.overlay?.write(fromAtoB);
  assert.equal(stepped.step(), 1);
  for (let port = 1; port <= 4; port++) stepped.peers.replace([peer(1, '192.0.2.2', port)]);
  await stepped.close();

  const busy = await Dataplane.open(options(0));
  busy.peers.replace([peer(1)]);
  while (busy.overlay?.write(fromAtoB));
  await busy.close();
  assert.throws(() => busy.peers.replace([]), { code: 'ERR_TWILL_CLOSED' });
});

test('use after close harms nothing; close twice is once', async () => {
  const a = await Dataplane.open(options(0));
  a.peers.replace([peer(1)]);
  await Promise.all([a.close(), a.close()]);
  assert.equal(a.stats().peers, 1);
  assert.equal(a.trace('10.9.2.1').drop, 'no_route');
});

test('wrong options are named', async () => {
  const wrong: [Partial<DataplaneOptions>, RegExp][] = [
    [{ encap: 'gre' as 'udp' }, /encap must be "vxlan" or "udp", not "gre"/],
    [{ vni: 1 << 24 }, /vni must be an integer .*, not 16777216/],
    [{ port: 0 }, /port must .*, not 0/],
    [{ workers: 1.5 }, /workers must .*, not 1\.5/],
    [{ mtuBytes: 10 }, /mtuBytes must .*, not 10/],
    [{ underlay: { kind: 'udp', addresses: [] } }, /at least one address/],
    [{ subnets: ['10.5.1.0'] }, /subnets\[0\] must be written like ADDRESS\/LENGTH, .*, not "10\.5\.1\.0"/],
    [{ mac: 'x' }, /mac must be written like aa:bb:cc:dd:ee:ff, not "x"/],
  ];
  for (const [more, message] of wrong)
    await assert.rejects(Dataplane.open(options(0, more)), {
      ...{ name: 'RangeError', code: 'ERR_TWILL_ARGUMENT', message },
    });
  await assert.rejects(Dataplane.open(options(0, { workerCpus: [1023] })), {
    ...{ name: 'TwillError', syscall: 'pthread_setaffinity_np', errno: 22 },
    message: /cannot bind a worker to processor 1023/,
  });
  await assert.rejects(
    Dataplane.open(options(0, { underlay: { kind: 'udp', addresses: ['192.0.2.200'] } })),
    { code: 'ERR_TWILL_SOCKET', message: /192\.0\.2\.200|address/ },
  );
});

test('workers stay on the processors that they are given', async () => {
  const plane = await Dataplane.open(options(0, { workers: 2, workerCpus: [0] }));
  const allowed = readdirSync('/proc/self/task')
    .map((task) => readFileSync(`/proc/self/task/${task}/status`, 'utf8'))
    .filter((status) => /^Name:\ttwill-\d/m.test(status))
    .map((status) => /^Cpus_allowed_list:\t(.*)$/m.exec(status)?.[1]);
  await plane.close();
  assert.deepEqual(allowed, ['0', '0']);
});

test('trace, peers and generation: what a packet would meet', async () => {
  const a = await Dataplane.open(options(0, { workers: 0 }));
  const first = a.peers.replace([peer(1)]);
  assert.equal(a.peers.replace([peer(1)]), first, 'no change, no new generation');
  const found = a.trace('10.5.2.77');
  assert.ok(found.drop === null);
  assert.equal(Buffer.from(found.header).toString('hex'), '08000000000001000200000000020200000000010800');
  assert.ok(a.peers.replace([]) > first);
  assert.equal(a.trace('10.5.2.77').drop, 'no_route');
  assert.deepEqual(a.peers.list(), []);
  await a.close();
});

test('peer by peer: what each sent and got adds up to what was delivered', async () => {
  const a = await Dataplane.open(options(0, { workers: 0 }));
  const others = Array.from({ length: 50 }, (_, n) => ({
    ...peer(1, `192.0.2.${n + 2}`),
    subnet: Prefix.parse(`10.5.${n + 2}.0/24`),
  }));
  a.peers.replace(others);
  const sent = new Map<string, number>();
  for (let i = 0; i < 400; i++) {
    const n = (i * i) % 53;
    const subnet = `10.5.${n + 2}.0/24`;
    a.overlay?.write(ipPacket({ source: '10.5.1.9', destination: `10.5.${n + 2}.9` }));
    sent.set(subnet, (sent.get(subnet) ?? 0) + 1);
    a.step();
    for (const packet of a.underlay?.receive() ?? []) packet.release();
  }
  const stats = a.peers.stats();
  assert.deepEqual(stats.peers, others);
  for (const [row, { subnet }] of others.entries()) {
    assert.equal(stats.get(row, 'encapPackets'), sent.get(subnet.toString()) ?? 0, subnet.toString());
    assert.equal(stats.get(row, 'idleSeconds'), Number.POSITIVE_INFINITY);
  }
  const sum = (column: PeerColumn) => others.reduce((total, _, row) => total + stats.get(row, column), 0);
  const { delivered, deliveredBytes, drops } = a.stats().encap;
  assert.ok(delivered > 0);
  assert.deepEqual([sum('encapPackets'), sum('encapBytes')], [delivered, deliveredBytes]);
  assert.equal(drops['no_route'], 400 - delivered, 'the others were for nobody');
  // One that stays keeps its counts, one that comes anew starts from zero.
  a.peers.replace(others.slice(25));
  a.peers.replace(others);
  const later = a.peers.stats();
  const rowOf = new Map(later.peers.map(({ subnet }, row) => [subnet.toString(), row]));
  for (const [row, { subnet }] of others.entries()) {
    const now = later.get(rowOf.get(subnet.toString()) ?? -1, 'encapPackets');
    assert.equal(now, row < 25 ? 0 : stats.get(row, 'encapPackets'));
  }
  await a.close();
  assert.equal(a.peers.stats().peers.length, 50, 'closed, it answers still');
});

test('open and close 500 times: descriptors and threads are back at the start', {
  timeout: 120_000,
}, async () => {
  const count = (what: 'fd' | 'task') => readdirSync(`/proc/self/${what}`).length;
  const cycle = async () => {
    const plane = await Dataplane.open(
      options(0, {
        encap: 'udp',
        port: 20_000 + (process.pid % 20_000),
        underlay: { kind: 'udp', addresses: ['127.0.0.9'] },
        workers: 2,
      }),
    );
    plane.peers.replace([peer(1)]);
    plane.overlay?.write(fromBtoA);
    await plane.close();
  };
  for (let i = 0; i < 5; i++) await cycle();
  const before = [count('fd'), count('task')];
  for (let i = 0; i < 500; i++) await cycle();
  assert.deepEqual([count('fd'), count('task')], before);
});

test('worker_threads and a forgotten dataplane: the process ends by itself', { timeout: 30_000 }, () => {
  const library = new URL('../../../src/index.js', import.meta.url).href;
  const script = `
    const { Worker, isMainThread } = await import('node:worker_threads');
    const { Dataplane } = await import(${JSON.stringify(library)});
    const open = () => Dataplane.open({ encap: 'vxlan', subnets: ['10.5.1.0/24'], overlay: { kind: 'user' }, underlay: { kind: 'user' }, workers: 1 });
    await open();
    if (isMainThread) {
      const code = "import(" + ${JSON.stringify(JSON.stringify(library))} + ").then(({ Dataplane }) => Dataplane.open({ encap: 'vxlan', subnets: ['10.5.2.0/24'], overlay: { kind: 'user' }, underlay: { kind: 'user' } })).then((plane) => plane.overlay.onReadable(() => {})).then(() => process.exit())";
      await new Promise((resolve) => new Worker(code, { eval: true }).once('exit', resolve));
      console.log('done');
    }`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(out.trim(), 'done');
});
