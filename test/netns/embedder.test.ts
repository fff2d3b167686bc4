/** The library inside somebody's process, with real devices: two dataplanes at once, and many one after another. */
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { PlaneStats } from '../../src/dataplane/plane.js';
import { joinByVeth, type Namespace } from '../../src/lab/namespace.js';
import { tcpBulk } from '../../src/lab/traffic.js';
import { cannotRun, makeNamespace, makePair } from '../support/namespaces.js';
import { assertIdentity } from '../support/sites.js';

const skip = await cannotRun();
const script = (name: string) => fileURLToPath(new URL(`../support/${name}.js`, import.meta.url));
const BULK_BYTES = 8 << 20;
const PINGS = 20;

async function embed(namespace: Namespace, side: 1 | 2): Promise<() => Promise<PlaneStats[]>> {
  const child = namespace.spawn(process.execPath, [script('two-dataplanes'), String(side)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  assert.ok(child.stdout);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, 'ready');
  return async () => {
    child.stdin?.write('\n');
    return JSON.parse((await lines.next()).value as string) as PlaneStats[];
  };
}

test('two dataplanes in one process carry two overlays, each its own', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const [a, b] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const statsOf = [await embed(a, 1), await embed(b, 2)];
  await Promise.all(
    [1, 2].map(async (vni) => {
      await a.exec('ping', ['-n', '-i', '0.01', '-c', `${PINGS}`, '-W', '5', `10.${vni}.2.0`]);
      const bulk = await tcpBulk(a, b, `10.${vni}.2.0`, { bytes: BULK_BYTES });
      assert.ok(bulk.intact && bulk.received.bytes === BULK_BYTES);
    }),
  );
  for (const [i, stats] of statsOf.entries()) {
    for (const { encap, decap, peers } of await stats()) {
      assert.equal(peers, 1);
      assertIdentity(encap);
      assertIdentity(decap);
      // How many packets TCP makes of its bytes is the kernel's business: a few super-packets have as few answers.
      assert.ok(decap.delivered > PINGS, `only ${decap.delivered} came in`);
      assert.equal(decap.delivered, decap.received);
      const { deliveredBytes } = i === 0 ? encap : decap;
      assert.ok(deliveredBytes > BULK_BYTES, `only ${deliveredBytes} bytes went over`);
    }
  }
});

test('a dataplane with a TUN opened and closed a hundred times leaves nothing', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const a = await makeNamespace(t, 'a');
  const b = await makeNamespace(t, 'b');
  await joinByVeth(
    { namespace: a, device: 'eth0', addresses: ['192.0.2.1/24'] },
    { namespace: b, device: 'eth0' },
  );
  const { stdout } = await a.exec(process.execPath, [script('open-and-close'), '100']);
  const { before, after } = JSON.parse(stdout);
  assert.deepEqual(after, before);
  assert.deepEqual(after.links, ['lo', 'eth0']);
});
