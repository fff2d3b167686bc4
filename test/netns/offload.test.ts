// Offloads over real devices: each alone, all and none carry the same bytes; what a path refuses goes without, and is
// counted; what crosses the wire is right to the last checksum.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { OFFLOADS, type OffloadName } from '../../src/config/offload.js';
import type { Namespace } from '../../src/lab/namespace.js';
import { tcpBulk, udpFlow } from '../../src/lab/traffic.js';
import type { NativeStats } from '../../src/native/binding.js';
import { cannotRun, makePair, until } from '../support/namespaces.js';
import { readPcap } from '../support/pcap.js';
import { preload } from '../support/preload.js';
import { addressOf, assertIdentity, EngineSite, sites, startKernelSite } from '../support/sites.js';
import { checkTunnelFrame } from '../support/tunnel-frame.js';

const skip = await cannotRun();
const [left, right] = sites[4];
const BULK_BYTES = 8 << 20;

function pair(t: TestContext) {
  return makePair(t, [`${left.endpoint}/24`], [`${right.endpoint}/24`]);
}

async function twoEngines(
  places: readonly [Namespace, Namespace],
  more: { offload?: readonly OffloadName[]; mtuBytes?: number; workers?: number } = {},
  encap: 'vxlan' | 'udp' = 'vxlan',
) {
  return [
    await EngineSite.start(places[0], encap, left, right, more),
    await EngineSite.start(places[1], encap, right, left, more),
  ] as const;
}

/** Bulk TCP and a UDP flow, IPv4 one way and IPv6 the other. */
async function exchange([a, b]: readonly [Namespace, Namespace], families: readonly (4 | 6)[] = [4, 6]) {
  for (const family of families) {
    const [from, to, site] = family === 4 ? ([a, b, right] as const) : ([b, a, left] as const);
    const address = addressOf(site, family);
    const bulk = await tcpBulk(from, to, address, { bytes: BULK_BYTES });
    assert.ok(bulk.intact, `TCP to ${address} arrived changed`);
    const flow = await udpFlow(from, to, address, {
      ...{ durationMs: 200, packetsPerSecond: 2000, payloadBytes: 300 },
    });
    assert.equal(flow.lost, 0);
    const { malformed, duplicated, reordered } = flow.received;
    assert.deepEqual([malformed, duplicated, reordered], [0, 0, 0]);
  }
}

/** Nothing lost but what the kernel says to everybody by multicast, which no peer holds. */
function assertClean(stats: NativeStats) {
  for (const direction of [stats.encap, stats.decap]) {
    assertIdentity(direction);
    const lost = Object.entries(direction.drops).filter(
      ([reason, count]) => count > 0 && !['no_route', 'family'].includes(reason),
    );
    assert.deepEqual(lost, []);
  }
}

/** Sends bursts cut by UDP_SEGMENT (103) in the application, with short last segments, and lone large datagrams. */
const APPLICATION = `
import socket, struct, sys
to = (sys.argv[1], int(sys.argv[2]))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
n = 0
def payload(size):
    global n
    n += 1
    return struct.pack('!I', n) + bytes((n + i) % 251 for i in range(size - 4))
for size, count, last in [(500, 30, 77), (1400, 40, 1400), (9, 60, 5), (1422, 44, 4), (64, 64, 64)]:
    s.setsockopt(socket.IPPROTO_UDP, 103, size)
    s.sendto(b''.join(payload(size) for _ in range(count - 1)) + payload(last), to)
s.setsockopt(socket.IPPROTO_UDP, 103, 0)
for size in [3000, 9000, 100, 1422, 1423, 4]:
    s.sendto(payload(size), to)
`;
const RECEIVER = `
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.bind((sys.argv[1], 0))
s.settimeout(10)
print(s.getsockname()[1], flush=True)
sizes = []
for want in range(1, int(sys.argv[2]) + 1):
    d = s.recv(65535)
    n, = struct.unpack('!I', d[:4])
    assert n == want, (n, want)
    assert d[4:] == bytes((n + i) % 251 for i in range(len(d) - 4)), n
    sizes.append(len(d))
print(sizes[0], sizes[29], sizes[-1], len(sizes), flush=True)
`;

async function burst([from, to]: readonly [Namespace, Namespace]) {
  const address = addressOf(right, 4);
  const receiver = to.spawn('python3', ['-c', RECEIVER, address, '244'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  receiver.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  const end = once(receiver, 'close');
  await until('the receiver listens', async () => out.includes('\n'));
  await from.exec('python3', ['-c', APPLICATION, address, out.trim()]);
  await end;
  assert.equal(out.split('\n')[1], '500 77 4 244');
}

const combinations: (readonly [string, readonly OffloadName[]])[] = [
  ['none', []],
  ...OFFLOADS.map((name) => [name, [name]] as const),
  ['all but udp-gso', OFFLOADS.filter((name) => name !== 'udp-gso')],
  ['all', OFFLOADS],
];

for (const [name, offload] of combinations) {
  test(`offloads, ${name}: the same bytes arrive`, { skip }, async (t) => {
    const places = await pair(t);
    const nodes = await twoEngines(places, { offload });
    await exchange(places);
    for (const node of nodes) {
      const stats = await node.stats();
      assertClean(stats);
      for (const known of OFFLOADS) {
        const wanted = offload.includes(known);
        assert.deepEqual(stats.offloads[known], { wanted, active: wanted, refused: 0 }, known);
      }
    }
  });
}

test('all offloads against the kernel, and with two workers, and in flannel’s udp', { skip }, async (t) => {
  const kernel = await pair(t);
  const ours = await EngineSite.start(kernel[0], 'vxlan', left, right);
  await startKernelSite(kernel[1], right, left);
  await exchange(kernel);
  assertClean(await ours.stats());
  for (const encap of ['vxlan', 'udp'] as const) {
    const places = await pair(t);
    const nodes = await twoEngines(places, { workers: 2 }, encap);
    await exchange(places, encap === 'udp' ? [4] : [4, 6]);
    for (const node of nodes) assertClean(await node.stats());
  }
});

for (const refusal of ['EIO', 'EINVAL'] as const) {
  test(`a device that refuses super-packets with ${refusal}: switched off, sent again one by one, nothing lost or doubled`, {
    skip,
  }, async (t) => {
    const places = await pair(t);
    const env = { ...(await preload(t, 'refuse')), TWILL_TEST_REFUSE: refusal };
    const nodes = [
      await EngineSite.start(places[0], 'vxlan', left, right, {}, env),
      await EngineSite.start(places[1], 'vxlan', right, left, {}, env),
    ];
    await exchange(places);
    await burst(places);
    const [sender, receiver] = await Promise.all(nodes.map((node) => node.stats()));
    for (const [stats, names] of [
      [sender, ['udp-gso', 'tcp-coalesce']],
      [receiver, ['udp-gso', 'tcp-coalesce', 'udp-coalesce']],
    ] as const) {
      assert.ok(stats);
      assertClean(stats);
      for (const name of names) {
        assert.equal(stats.offloads[name]?.active, false, name);
        assert.ok((stats.offloads[name]?.refused ?? 0) >= 1, name);
      }
    }
  });
}

test('a path narrower than the device: what cannot be cut goes whole, in fragments, and nothing is lost', {
  skip,
}, async (t) => {
  const places = await pair(t);
  await places[0].ip('route', 'replace', `${right.endpoint}/32`, 'dev', 'eth0', 'mtu', '1300');
  const [a] = await twoEngines(places);
  await exchange(places, [4]);
  const stats = await a.stats();
  assertClean(stats);
  assert.equal(stats.offloads['udp-gso']?.active, true);
  assert.ok((stats.offloads['udp-gso']?.refused ?? 0) >= 1);
});

test('a jumbo underlay', { skip }, async (t) => {
  const places = await pair(t);
  for (const place of places) await place.ip('link', 'set', 'eth0', 'mtu', '9000');
  const nodes = await twoEngines(places, { mtuBytes: 8950 });
  await exchange(places);
  for (const node of nodes) assertClean(await node.stats());
});

for (const offload of [OFFLOADS, []] as const) {
  const how = offload.length > 0 ? 'with' : 'without';
  test(`an application that cuts by itself, large datagrams in fragments, ${how} offloads`, {
    skip,
  }, async (t) => {
    const places = await pair(t);
    await twoEngines(places, { offload });
    await burst(places);
  });
}

test('on the wire: no frame above the MTU, every inner checksum right', { skip }, async (t) => {
  const places = await pair(t);
  // Frames as a network card would send them: cut before they cross, not put together before they are seen.
  for (const place of places) {
    await place.exec('ethtool', ['-K', 'eth0', 'tx-udp-segmentation', 'off', 'gro', 'off']);
  }
  await twoEngines(places);
  const directory = await mkdtemp(join(tmpdir(), 'twill-wire-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'wire.pcap');
  const capture = places[1].spawn(
    'tcpdump',
    ['-i', 'eth0', '-Q', 'in', '-n', '-B', '65536', '-w', file, 'udp'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let said = '';
  capture.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await until('tcpdump listens', async () => said.includes('listening on'));
  await exchange(places);
  const end = once(capture, 'close');
  capture.kill('SIGINT');
  await end;
  const frames = readPcap(await readFile(file));
  assert.ok(frames.length > 5000, `${frames.length} frames`);
  const longest = frames.reduce((most, frame) => Math.max(most, frame.length), 0);
  assert.equal(longest, 1514, 'the MTU is used to the full, and not passed');
  const seen = { tcp: 0, udp: 0, other: 0 };
  for (const frame of frames) seen[checkTunnelFrame(frame)]++;
  assert.ok(seen.tcp > 4000 && seen.udp > 300, JSON.stringify(seen));
});
