/** Who listens, waits and iterates: two at once, left early, closed meanwhile, exceptions of the program's own; leak reports. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Dataplane, type DataplaneOptions, type PacketBuffer, type UserPort } from '../../../../src/index.js';
import { until } from '../../agent/fakes.js';
import { options, other, outward, SLOTS } from './fixture.js';

const closed = { name: 'TwillError', code: 'ERR_TWILL_CLOSED' };
const busy = { name: 'TwillError', code: 'ERR_TWILL_BUSY' };
const late = { name: 'TwillError', code: 'ERR_TWILL_POOL' };
const timely = { timeout: 60_000 };
const isSanitized = process.env['ASAN_OPTIONS'] !== undefined;

async function open(t: TestContext, more: Partial<DataplaneOptions> = {}) {
  const plane = await Dataplane.open({ ...options, ...more });
  t.after(() => plane.close());
  plane.peers.set(other);
  return { plane, overlay: plane.overlay as UserPort, underlay: plane.underlay as UserPort };
}

/** So many packets wait at the underlay for the program. */
function bring(
  { plane, overlay }: { readonly plane: Dataplane; readonly overlay: UserPort },
  count: number,
): void {
  for (let i = 0; i < count; i++) assert.equal(overlay.write(outward), true);
  while (plane.step() > 0);
}

test('one at a time listens to a port; when a loop is left the next one may', timely, async (t) => {
  const on = await open(t);
  const { plane, underlay } = on;
  bring(on, 3);
  const first = underlay[Symbol.asyncIterator]();
  assert.throws(() => underlay[Symbol.asyncIterator](), busy);
  assert.throws(() => underlay.onReadable(() => {}), busy);
  const { value } = await first.next();
  assert.equal(value?.length, 3);
  await first.return?.();
  assert.deepEqual(await first.next(), { done: true, value: undefined });
  assert.equal(plane.pool.held, 3, 'what a loop was given is the program’s, also when it is left');
  plane.pool.release(value ?? []);

  bring(on, 2);
  const mishap = new Error('the program’s own');
  await assert.rejects(async () => {
    for await (const batch of underlay) {
      plane.pool.release(batch);
      throw mishap;
    }
  }, mishap);
  underlay.onReadable(() => {});
  assert.throws(() => underlay[Symbol.asyncIterator](), busy);
  underlay.onReadable(null);
  underlay.onReadable(null);

  bring(on, 1);
  let rounds = 0;
  for await (const batch of underlay) {
    rounds += 1;
    plane.pool.release(batch);
    // The other side has its own listener, and its own end.
    assert.throws(() => underlay[Symbol.asyncIterator](), busy);
    void plane.close();
    assert.throws(() => underlay.receive(), closed);
  }
  assert.equal(rounds, 1, 'closed in its middle, a loop ends');
  for await (const _ of underlay) assert.fail('a loop over what is closed has no round');
});

test('what waits for packets when its loop is left or its dataplane closed, ends', timely, async (t) => {
  const { plane, underlay, overlay } = await open(t);
  const done = { done: true, value: undefined };
  const left = underlay[Symbol.asyncIterator]();
  const waiting = [left.next(), left.next()];
  await setImmediate();
  await left.return?.();
  assert.deepEqual(await Promise.all(waiting), [done, done]);
  const still = [underlay, overlay].map((port) => port[Symbol.asyncIterator]().next());
  await setImmediate();
  await plane.close();
  assert.deepEqual(await Promise.all(still), [done, done]);
});

test('an exception in a callback is an uncaught one, and the next packets call again', timely, async (t) => {
  const on = await open(t);
  const { plane, underlay } = on;
  const seen: string[] = [];
  let calls = 0;
  const take = (error: Error) => seen.push(error.message);
  // The runner has a listener of its own, which would end the test.
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', take);
  try {
    underlay.onReadable(() => {
      calls += 1;
      plane.pool.release(underlay.receive());
      throw new Error(`in callback ${calls}`);
    });
    for (let round = 1; round <= 3; round++) {
      bring(on, 1);
      await until('it is told', () => seen.length === round);
    }
    underlay.onReadable(null);
    plane.on('close', () => {
      throw new Error('in close');
    });
    await plane.close();
    await until('it is told', () => seen.length === 4);
  } finally {
    process.off('uncaughtException', take);
    for (const listener of others) process.on('uncaughtException', listener);
  }
  assert.deepEqual(seen, ['in callback 1', 'in callback 2', 'in callback 3', 'in close']);
  assert.equal(plane.isClosed, true);
});

test('closed from its own callback, with more packets there', timely, async (t) => {
  const on = await open(t);
  const { plane, underlay } = on;
  bring(on, 5);
  let calls = 0;
  underlay.onReadable(() => {
    calls += 1;
    plane.pool.release(underlay.receive(1));
    void plane.close();
    assert.throws(() => underlay.receive(), closed);
  });
  await once(plane, 'close');
  await setImmediate();
  assert.deepEqual([calls, plane.pool.held, plane.pool.free], [1, 0, SLOTS]);
});

test('an empty pool: nobody gets anything, those who wait are served in their order', timely, async (t) => {
  const { plane, overlay } = await open(t);
  const { pool } = plane;
  const all = pool.allocateBatch(SLOTS, 10);
  assert.deepEqual([all.length, pool.free, pool.held], [SLOTS, 0, SLOTS]);
  assert.deepEqual([pool.allocate(1), pool.allocateBatch(5, 1), pool.batch().allocate(5, 1)], [null, [], 0]);
  assert.equal(overlay.write(outward), false);
  const served: string[] = [];
  const waiting = [
    pool.whenFree(10).then(() => served.push('ten')),
    pool.whenFree(1).then(() => served.push('one')),
  ];
  const abort = new AbortController();
  const impatient = pool.whenFree(1, { signal: abort.signal });
  const reason = new Error('no longer');
  abort.abort(reason);
  await assert.rejects(impatient, reason);
  await assert.rejects(pool.whenFree(1, { signal: AbortSignal.abort(reason) }), reason);
  pool.release(all.splice(0, 9));
  await setImmediate();
  assert.deepEqual(served, [], 'the first one waits for ten, and the second stands behind it');
  pool.release(all.splice(0, 1));
  await until('the first is served', () => served.length === 1);
  pool.release(all.splice(0, 1));
  await Promise.all(waiting);
  assert.deepEqual(served, ['ten', 'one']);
  const never = assert.rejects(pool.whenFree(SLOTS), closed);
  await plane.close();
  await never;
  await assert.rejects(pool.whenFree(), closed);
  pool.release(all);
  assert.deepEqual([pool.free, pool.held], [SLOTS, 0], 'the last ones came back after the end');
});

test('a full queue: what finds no room stays the program’s; whenWritable waits for it', timely, async (t) => {
  const { plane, overlay } = await open(t, { poolSlots: 2048 });
  const { pool } = plane;
  const packets = pool.allocateBatch(1500, outward.length);
  for (const packet of packets) packet.bytes.set(outward);
  assert.equal(overlay.send(packets), 1024);
  const rest = packets.slice(1024);
  assert.deepEqual([rest.every(({ isHeld }) => isHeld), packets[1023]?.isHeld], [true, false]);
  assert.equal(overlay.send(rest), 0);
  assert.equal(overlay.write(outward), false);
  let isWritable = false;
  const waiting = overlay.whenWritable(200).then(() => {
    isWritable = true;
  });
  plane.step();
  await setImmediate();
  assert.equal(isWritable, false, 'a step takes 128');
  plane.step();
  await waiting;
  assert.equal(overlay.send(rest), 256);
  const never = assert.rejects(overlay.whenWritable(1), closed);
  await plane.close();
  await never;
  pool.release(rest.slice(256));
  assert.equal(pool.held, 0);
});

test('trackBuffers: where a buffer was taken, where it went, and what is left of it', timely, async (t) => {
  const { plane, overlay } = await open(t, { trackBuffers: true });
  const { pool } = plane;
  const packet = pool.allocate(3) as PacketBuffer;
  const batch = pool.batch(2);
  batch.allocate(1, 7);
  const { bytes } = packet;
  const here = /listening\.test/;
  assert.deepEqual(
    pool.leaks().map(({ lengthBytes }) => lengthBytes),
    [3, 7],
  );
  for (const { takenAt, heldMs } of pool.leaks()) {
    assert.match(takenAt?.split('\n')[0] ?? '', here, 'the first frame is the program’s');
    assert.ok(heldMs !== null && heldMs >= 0);
  }
  packet.release();
  assert.deepEqual([...bytes], [0xdb, 0xdb, 0xdb], 'overwritten');
  for (const use of [() => packet.length, () => overlay.send([packet]), () => packet.release()])
    assert.throws(use, {
      ...late,
      message: /^this packet buffer was sent or released before, at .*listening\.test/,
    });
  batch.release();
  assert.deepEqual(pool.leaks(), []);
});

test('trackBuffers in a program that writes stacks in its own way', timely, async (t) => {
  const { plane } = await open(t, { trackBuffers: true });
  const { pool } = plane;
  let calls = 0;
  const own = () => {
    calls += 1;
    for (const packet of pool.allocateBatch(3, 10)) packet.release();
    return [];
  };
  const before = Error.prepareStackTrace;
  Error.prepareStackTrace = own;
  let taken: PacketBuffer[];
  try {
    taken = pool.allocateBatch(5, 10);
    assert.match(pool.leaks()[0]?.takenAt ?? '', /listening\.test/);
    pool.release(taken.splice(0, 2));
    assert.deepEqual([calls, Error.prepareStackTrace], [0, own]);
    assert.deepEqual(new Error('its own').stack, []);
  } finally {
    Error.prepareStackTrace = before;
  }
  assert.deepEqual([pool.held, pool.free, calls], [3, SLOTS - 3, 1]);
  pool.release(taken);
});

test(
  'forgotten packets come back by the collector, with a warning that says where they were taken',
  timely,
  async (t) => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { plane } = await open(t, { trackBuffers: true });
    const { pool } = plane;
    const warnings: (Error & { code?: string })[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    (() => void pool.allocateBatch(SLOTS, 10))();
    // Who finds the pool empty asks for what was forgotten.
    assert.equal(pool.allocate(1), null);
    await until('all are back', () => {
      collect();
      return pool.collected === SLOTS;
    });
    assert.deepEqual([pool.free, pool.held, pool.leaks()], [SLOTS, 0, []]);
    await until('it is told', () => warnings.length > 0);
    const told = warnings.map(({ name, code, message }) => [name, code, /^(\d+) packet/.exec(message)?.[1]]);
    const count = told.reduce((sum, [, , many]) => sum + Number(many), 0);
    assert.deepEqual([told[0]?.slice(0, 2), count], [['TwillWarning', 'TWILL_BUFFER_LEAK'], SLOTS]);
    assert.match(warnings[0]?.message ?? '', /neither sent nor released, taken\nat .*listening\.test/);
  },
);

test('the memory of a pool that somebody took away: errors, and no crash', timely, async (t) => {
  const { plane, overlay } = await open(t, { trackBuffers: true });
  const { pool } = plane;
  const packet = pool.allocate(4) as PacketBuffer;
  const others = pool.allocateBatch(3, 4);
  // What cannot be taken is copied, free buffers too, which the sanitizer takes for a mistake of ours.
  let isRefused = isSanitized;
  try {
    if (!isSanitized) structuredClone(pool.memory.buffer, { transfer: [pool.memory.buffer as ArrayBuffer] });
  } catch (error) {
    isRefused = (error as Error).name === 'DataCloneError';
  }
  if (isRefused || pool.memory.length > 0) assert.equal(packet.bytes.length, 4, 'it cannot be taken');
  else assert.throws(() => packet.bytes, { ...late, message: /the memory of this pool was transferred/ });
  assert.equal(overlay.send([packet]), 1);
  pool.release(others);
  assert.deepEqual([pool.held, pool.free], [0, SLOTS - 1]);
  plane.step();
  await plane.close();
  assert.equal(pool.held, 0);
});

test(
  'what reads an argument may run anything: no packet is touched that is not the program’s',
  timely,
  async (t) => {
    const { plane } = await open(t);
    const packet = plane.pool.allocate(4) as PacketBuffer;
    const remote = {
      get address() {
        packet.release();
        return '192.0.2.66';
      },
      port: 1,
    };
    assert.throws(() => Object.assign(packet, { remote }), late);
    const anew = plane.pool.allocate(4) as PacketBuffer;
    assert.equal(anew.remote, null);
    anew.release();
  },
);
