/** Batches of packets without an object for each: what they carry, what they count, and what they refuse. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Dataplane, type DataplaneOptions, type PacketBatch, type UserPort } from '../../../src/index.js';
import { ipPacket } from '../../support/packets.js';

const macs = ['02:00:00:00:00:01', '02:00:00:00:00:02'] as const;
const packet = ipPacket({ source: '10.5.1.9', destination: '10.5.2.9' });
const pool = { code: 'ERR_TWILL_POOL' };

async function open(more: Partial<DataplaneOptions> = {}): Promise<Dataplane> {
  const plane = await Dataplane.open({
    ...{ encap: 'vxlan', subnets: ['10.5.1.0/24'], mac: macs[0], workers: 0, poolSlots: 512 },
    ...{ overlay: { kind: 'user' }, underlay: { kind: 'user' } },
    ...more,
  });
  plane.peers.set({ subnet: '10.5.2.0/24', endpoint: { address: '192.0.2.2' }, mac: macs[1] });
  return plane;
}

/** Fills a batch with packets that differ in their last byte. */
function fill(plane: Dataplane, batch: PacketBatch, count: number): void {
  const first = batch.count;
  assert.equal(batch.allocate(count, packet.length), count);
  for (let i = first; i < batch.count; i++) {
    plane.pool.memory.set(packet, batch.start(i));
    plane.pool.memory[batch.start(i) + packet.length - 1] = i;
  }
}

test('through the engine: the same memory, a header in front, peer and remote', async () => {
  const plane = await open();
  const { overlay, underlay } = plane as { overlay: UserPort; underlay: UserPort };
  using batch = plane.pool.batch(100);
  fill(plane, batch, 100);
  assert.deepEqual([batch.count, plane.pool.held, plane.pool.free], [100, 100, 412]);
  assert.equal(plane.pool.leaks().length, 100);
  const before = Array.from({ length: 100 }, (_, i) => batch.start(i));
  assert.equal(overlay.sendBatch(batch), 100);
  assert.deepEqual([batch.count, plane.pool.held], [0, 0]);
  while (plane.step() > 0);
  assert.equal(underlay.receiveInto(batch), 100);
  for (let i = 0; i < 100; i++) {
    assert.equal(batch.start(i), (before[i] ?? 0) - 22);
    assert.equal(batch.length(i), packet.length + 22);
    assert.equal(batch.bytes(i).at(-1), i);
    assert.equal(`${batch.remote(i)?.address}:${batch.remote(i)?.port}`, '192.0.2.2:8472');
    assert.equal(`${batch.peer(i)}`, '10.5.2.0/24');
  }
  // As if they came back from there.
  batch.setRemote(0, { address: '192.0.2.9', port: 1 });
  assert.equal(`${batch.remote(0)?.address}`, '192.0.2.9');
  batch.setLength(0, 5);
  assert.deepEqual([...batch.bytes(0)], [8, 0, 0, 0, 0]);
  batch.release();
  batch.release();
  assert.deepEqual([batch.count, plane.pool.held, plane.pool.free], [0, 0, 512]);
  await plane.close();
});

test('what finds no room stays, at the front and in order', async () => {
  const plane = await open({ poolSlots: 2048 });
  const { overlay } = plane as { overlay: UserPort };
  const batch = plane.pool.batch(700);
  fill(plane, batch, 700);
  assert.equal(overlay.sendBatch(batch), 700);
  fill(plane, batch, 700);
  const expected = batch.bytes(324).at(-1);
  assert.equal(overlay.sendBatch(batch), 324, 'the queue holds 1,024');
  assert.equal(batch.count, 376);
  assert.equal(batch.bytes(0).at(-1), expected);
  assert.equal(batch.allocate(1000, 10), 324, 'a batch never holds more than its capacity');
  batch.release();
  while (plane.step() > 0);
  for (const port of [plane.underlay, overlay]) for (const left of port?.receive() ?? []) left.release();
  assert.equal(plane.pool.free, 2048);
  await plane.close();
});

test('a user underlay that is full: what finds no room is counted, and the account is whole', async () => {
  const plane = await open({ poolSlots: 2048 });
  for (let i = 0; i < 1100; i++) {
    assert.equal(plane.overlay?.write(packet), true);
    plane.step();
  }
  const { received, delivered, drops } = plane.stats().encap;
  assert.deepEqual([received, delivered, drops['send_no_buffer']], [1100, 1024, 76]);
  await plane.close();
});

test('misuse is named, and changes nothing', async () => {
  const [plane, other] = [await open(), await open()];
  const overlay = plane.overlay as UserPort;
  for (const capacity of [0, 1.5, 513]) assert.throws(() => plane.pool.batch(capacity), RangeError);
  const batch = plane.pool.batch(4);
  fill(plane, batch, 2);
  for (const place of [-1, 2, 0.5, Number.NaN]) {
    for (const use of [
      () => batch.start(place),
      () => batch.length(place),
      () => batch.bytes(place),
      () => batch.setLength(place, 1),
      () => batch.peer(place),
      () => batch.remote(place),
      () => batch.setRemote(place, null),
    ])
      assert.throws(use, { name: 'RangeError', code: 'ERR_TWILL_ARGUMENT' });
  }
  assert.throws(() => batch.start('0' as unknown as number), TypeError);
  assert.throws(() => batch.setLength(0, 1 << 20), RangeError);
  assert.throws(() => batch.allocate(1, plane.pool.packetBytes + 1), RangeError);
  assert.throws(() => batch.setRemote(0, { address: 'x', port: 1 }), { code: 'ERR_TWILL_ARGUMENT' });
  assert.throws(() => other.overlay?.sendBatch(batch), pool);
  assert.throws(() => other.overlay?.receiveInto(batch), pool);
  for (const wrong of [null, 5, {}, []]) {
    assert.throws(() => overlay.sendBatch(wrong as unknown as PacketBatch), TypeError);
    assert.throws(() => overlay.receiveInto(wrong as unknown as PacketBatch), TypeError);
  }
  assert.deepEqual([batch.count, plane.pool.held], [2, 2]);
  await plane.close();
  const closed = { code: 'ERR_TWILL_CLOSED' };
  assert.throws(() => batch.allocate(1, 10), closed);
  assert.throws(() => overlay.sendBatch(batch), closed);
  assert.throws(() => overlay.receiveInto(batch), closed);
  batch.release();
  assert.equal(plane.pool.held, 0);
  await other.close();
});

test('a forgotten batch gives its packets back', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const plane = await open();
  (() => fill(plane, plane.pool.batch(64), 64))();
  for (let tries = 0; plane.pool.held > 0; tries++) {
    assert.ok(tries < 1000, `${plane.pool.held} are still held`);
    collect();
    await setImmediate();
  }
  assert.deepEqual([plane.pool.free, plane.pool.collected], [512, 64]);
  await plane.close();
});
