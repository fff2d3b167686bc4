// Real TUN, real sockets, real kernel peers: two nodes in namespaces of their own ping each other and
// exchange bulk TCP through the engine.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { joinByVeth, Namespace } from '../../src/lab/namespace.js';
import type { NativeDirection, NativeStats } from '../../src/native/binding.js';
import type { EngineNodeOptions } from '../support/engine-node.js';

const SCRIPT = fileURLToPath(new URL('../support/engine-node.js', import.meta.url));
const NETWORK = '10.244.0.0/16';
const A = { subnet: '10.244.1.0/24', base: '10.244.1.0', endpoint: '192.0.2.1', mac: '02:00:00:00:00:01' };
const B = { subnet: '10.244.2.0/24', base: '10.244.2.0', endpoint: '192.0.2.2', mac: '02:00:00:00:00:02' };

class EngineNode {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
  }

  static async start(
    namespace: Namespace,
    encap: 'udp' | 'vxlan',
    own: typeof A,
    peer: typeof A,
    workers = 1,
  ) {
    const options: EngineNodeOptions = {
      encap,
      port: encap === 'udp' ? 8285 : 8472,
      network: NETWORK,
      subnet: own.subnet,
      local: own.endpoint,
      mac: own.mac,
      device: encap === 'udp' ? 'flannel%d' : 'flannel.1',
      mtuBytes: encap === 'udp' ? 1472 : 1450,
      workers,
      peers: [{ subnet: peer.subnet, endpoint: peer.endpoint, mac: peer.mac }],
    };
    const child = namespace.spawn(process.execPath, [SCRIPT, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    assert.ok(child.stdout);
    const node = new EngineNode(child, createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    await node.#line();
    return node;
  }

  async #line(): Promise<string> {
    const line = await this.#lines.next();
    assert.ok(!line.done, 'the node ended early');
    return line.value;
  }

  async stats(): Promise<NativeStats> {
    this.#child.stdin?.write('\n');
    return JSON.parse(await this.#line()) as NativeStats;
  }
}

function assertIdentity(direction: NativeDirection): void {
  const drops = Object.values(direction.drops).reduce((sum, n) => sum + n, 0);
  assert.equal(direction.received, direction.delivered + drops);
}

async function pair(t: { after(fn: () => Promise<void>): void }): Promise<[Namespace, Namespace]> {
  const a = await Namespace.create('a');
  t.after(() => a.close());
  const b = await Namespace.create('b');
  t.after(() => b.close());
  await joinByVeth(
    { namespace: a, device: 'eth0', addresses: [`${A.endpoint}/24`] },
    { namespace: b, device: 'eth0', addresses: [`${B.endpoint}/24`] },
  );
  return [a, b];
}

async function pingAll(from: Namespace, source: string, to: string, mtuBytes: number): Promise<void> {
  // Payload sizes from none to the MTU with DF, beyond it in fragments.
  for (const size of [0, 1, 56, 1000, mtuBytes - 28]) {
    await from.exec('ping', [
      '-i',
      '0.01',
      '-c',
      '5',
      '-W',
      '5',
      '-M',
      'do',
      '-s',
      String(size),
      '-I',
      source,
      to,
    ]);
  }
  for (const size of [mtuBytes - 27, 3000, 8000]) {
    await from.exec('ping', [
      '-i',
      '0.01',
      '-c',
      '5',
      '-W',
      '5',
      '-M',
      'dont',
      '-s',
      String(size),
      '-I',
      source,
      to,
    ]);
  }
}

const BULK = fileURLToPath(new URL('../support/tcp-bulk.js', import.meta.url));
const BULK_BYTES = 24 << 20;

/** Bulk TCP, compared by hash at both ends. */
async function tcpBulk(from: Namespace, to: Namespace, address: string): Promise<void> {
  const server = to.spawn(process.execPath, [BULK, 'serve', address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  assert.ok(server.stdout);
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  const port = (await lines.next()).value as string;
  const sent = await from.exec(process.execPath, [BULK, 'send', address, port, String(BULK_BYTES)]);
  assert.equal((await lines.next()).value, sent.stdout.trim());
}

for (const encap of ['vxlan', 'udp'] as const) {
  for (const workers of [1, 2]) {
    test(`${encap}, ours to ours, ${workers} worker(s): ping and TCP both ways`, async (t) => {
      const [a, b] = await pair(t);
      const nodeA = await EngineNode.start(a, encap, A, B, workers);
      const nodeB = await EngineNode.start(b, encap, B, A, workers);
      const mtuBytes = encap === 'udp' ? 1472 : 1450;
      await pingAll(a, A.base, B.base, mtuBytes);
      await pingAll(b, B.base, A.base, mtuBytes);
      await tcpBulk(a, b, B.base);
      await tcpBulk(b, a, A.base);
      for (const node of [nodeA, nodeB]) {
        const stats = await node.stats();
        assertIdentity(stats.encap);
        assertIdentity(stats.decap);
        assert.ok(stats.decap.delivered >= 80, `only ${stats.decap.delivered} packets came in`);
        assert.equal(stats.decap.delivered, stats.decap.received);
      }
    });
  }
}

test("vxlan against the kernel's device set up as flannel does: ping and TCP both ways", async (t) => {
  const [a, b] = await pair(t);
  await EngineNode.start(a, 'vxlan', A, B);
  await b.ip(
    'link',
    'add',
    'flannel.1',
    'address',
    B.mac,
    'type',
    'vxlan',
    'id',
    '1',
    'dev',
    'eth0',
    'local',
    B.endpoint,
    'dstport',
    '8472',
    'nolearning',
  );
  await b.ip('address', 'add', `${B.base}/32`, 'dev', 'flannel.1');
  await b.ip('link', 'set', 'flannel.1', 'up');
  await b.ip('neighbour', 'replace', A.base, 'lladdr', A.mac, 'nud', 'permanent', 'dev', 'flannel.1');
  await b.exec('bridge', ['fdb', 'replace', A.mac, 'dev', 'flannel.1', 'dst', A.endpoint]);
  await b.ip('route', 'replace', A.subnet, 'via', A.base, 'dev', 'flannel.1', 'onlink', 'src', B.base);
  await pingAll(a, A.base, B.base, 1450);
  await pingAll(b, B.base, A.base, 1450);
  await tcpBulk(a, b, B.base);
  await tcpBulk(b, a, A.base);
});
