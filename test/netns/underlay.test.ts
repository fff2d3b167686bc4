/** The benchmark's underlays are what they claim to be. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CleanUp } from '../../src/lab/bench/clean-up.js';
import { addPods, nodeEnds } from '../../src/lab/bench/pods.js';
import { systemNamed } from '../../src/lab/bench/systems.js';
import { type BedNode, crossed, makeBed, type UnderlayKind } from '../../src/lab/bench/underlay.js';
import { tcpBulk } from '../../src/lab/traffic.js';

/** Datagrams that programs or tunnels of a node have received. */
async function datagrams({ namespace }: BedNode): Promise<number> {
  const text = await readFile(`/proc/${namespace.pid}/net/snmp`, 'utf8');
  return Number(/^Udp: (\d+)/m.exec(text)?.[1]);
}

/** What 40 MB from left to right were on the underlay, and in how many pieces they reached the overlay's program. */
async function carry(kind: UnderlayKind, system: string, withPods = false) {
  const cleanUp = new CleanUp();
  try {
    const directory = await mkdtemp(join(tmpdir(), 'twill-underlay-'));
    cleanUp.add(() => rm(directory, { recursive: true, force: true }));
    const bed = await makeBed(kind, cleanUp);
    const { signal } = new AbortController();
    const overlay = await systemNamed(system).start({ bed, directory, cleanUp, signal });
    const [from, to] = withPods ? await addPods(bed, overlay, cleanUp) : nodeEnds(bed, overlay);
    const [, right] = bed.nodes;
    const [before, received] = [await crossed(right), await datagrams(right)];
    const { intact } = await tcpBulk(from.namespace, to.namespace, to.address, { bytes: 40_000_000 });
    const after = await crossed(right);
    const packets = after.packets - before.packets;
    return {
      ...{ intact, packets, pieces: (await datagrams(right)) - received },
      meanBytes: (after.bytes - before.bytes) / packets,
    };
  } finally {
    await cleanUp.run();
  }
}

for (const system of ['kernel', 'twill-vxlan', 'twill-to-kernel', 'kernel-to-twill']) {
  test(`redirect wire, ${system}: packets of the MTU cross, the receiver aggregates them`, {
    timeout: 60_000,
  }, async () => {
    const { intact, meanBytes, packets, pieces } = await carry('wire', system);
    assert.ok(intact);
    assert.ok(meanBytes > 1300 && meanBytes <= 1514, `${meanBytes} bytes a packet`);
    assert.ok(pieces < packets / 2, `${packets} packets on the wire came in ${pieces} pieces`);
  });
}

test('redirect wire, no overlay and pods: the MTU holds', { timeout: 60_000 }, async () => {
  const { intact, meanBytes } = await carry('wire', 'raw', true);
  assert.ok(intact);
  assert.ok(meanBytes > 1300 && meanBytes <= 1514, `${meanBytes} bytes a packet`);
});

test('plain veth: super-packets cross whole', { timeout: 60_000 }, async () => {
  const { intact, meanBytes } = await carry('veth', 'kernel', true);
  assert.ok(intact);
  assert.ok(meanBytes > 5000, `${meanBytes} bytes a packet`);
});
