/**
 * Code of the program that runs inside a call that gives packets away, because reading the array runs it: a getter, a
 * Proxy. Whatever it does with the same pool, the account is exact afterwards: who holds which packet, and how many are free.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PacketBuffer } from '../../../../src/index.js';
import { type Fixture, outward, SLOTS, withFixture } from './fixture.js';

const late = { name: 'TwillError', code: 'ERR_TWILL_POOL' };
const closed = { name: 'TwillError', code: 'ERR_TWILL_CLOSED' };

type Packets = readonly PacketBuffer[];

/** So many that can be sent. */
function fresh({ plane, keep }: Fixture, count: number): Packets {
  const packets = keep(plane.pool.allocateBatch(count, outward.length));
  for (const packet of packets) packet.bytes.set(outward);
  return packets;
}

/** An array like this one that runs `interrupt` when the element at `at` is read. */
const arrays: { readonly [how: string]: (packets: Packets, at: number, interrupt: () => void) => Packets } = {
  'a getter': (packets, at, interrupt) =>
    Object.defineProperty([...packets], at, {
      get: () => {
        interrupt();
        return packets[at];
      },
    }),
  'a Proxy': (packets, at, interrupt) =>
    new Proxy([...packets], {
      get: (target, key) => {
        if (key === `${at}`) interrupt();
        return Reflect.get(target, key);
      },
    }),
  'a hole': (packets, at, interrupt) => {
    const array = [...packets];
    delete array[at];
    const prototype = Object.create(Array.prototype, {
      [at]: {
        get: () => {
          interrupt();
          return packets[at];
        },
      },
    });
    return Object.setPrototypeOf(array, prototype);
  },
};

const calls: { readonly [name: string]: (on: Fixture, packets: Packets) => void } = {
  'overlay.send': ({ overlay }, packets) => assert.equal(overlay.send(packets), packets.length),
  'underlay.send': ({ underlay }, packets) => assert.equal(underlay.send(packets), packets.length),
  'pool.release': ({ plane }, packets) => plane.pool.release(packets),
};

/** What runs inside. Each leaves `packets` alone, and gives back nothing that `keep` knows. */
const interruptions: { readonly [what: string]: (on: Fixture) => void } = {
  'takes packets': (on) => void fresh(on, 9),
  'releases others': (on) => on.plane.pool.release(fresh(on, 9)),
  'releases one': (on) => fresh(on, 1)[0]?.release(),
  'sends others': (on) => assert.equal(on.overlay.send(fresh(on, 9)), 9),
  receives: (on) => {
    for (let i = 0; i < 9; i++) on.overlay.write(outward);
    while (on.plane.step() > 0);
    assert.ok(on.keep(on.underlay.receive()).length >= 9);
  },
  'fills, sends and empties a batch': (on) => {
    const batch = on.plane.pool.batch(9);
    batch.allocate(9, outward.length);
    for (let i = 0; i < 9; i++) on.plane.pool.memory.set(outward, batch.start(i));
    assert.equal(on.overlay.sendBatch(batch), 9);
    batch.allocate(9, outward.length);
    batch.release();
  },
  'fails to send': (on) => {
    const others = fresh(on, 9);
    others[8]?.release();
    assert.throws(() => on.overlay.send(others), late);
    assert.equal(others.filter(({ isHeld }) => isHeld).length, 8);
  },
  'does the same once more, three deep': (on) => {
    const deeper = (depth: number): Packets =>
      (arrays['a getter'] as (typeof arrays)[string])(fresh(on, 9), 4, () => {
        if (depth > 0) on.plane.pool.release(deeper(depth - 1));
        on.overlay.send(fresh(on, 9));
      });
    on.plane.pool.release(deeper(3));
  },
};

/** Of the packets that are the program's or nobody's; the others wait in a queue. */
function balance({ plane, overlay, underlay }: Fixture): void {
  const { pool } = plane;
  while (plane.step() > 0);
  pool.release([...overlay.receive(), ...underlay.receive()]);
  assert.deepEqual([pool.held + pool.free, pool.leaks().length], [SLOTS, pool.held]);
}

for (const [name, call] of Object.entries(calls)) {
  for (const [how, arrayOf] of Object.entries(arrays)) {
    for (const [what, interrupt] of Object.entries(interruptions)) {
      test(`${name} of an array with ${how} that ${what}`, async () => {
        for (const at of [0, 3, 6]) {
          await withFixture(async (on) => {
            const packets = fresh(on, 7);
            let times = 0;
            const array = arrayOf(packets, at, () => {
              times += 1;
              interrupt(on);
            });
            call(on, array);
            assert.equal(times, 1);
            assert.deepEqual(
              packets.filter(({ isHeld }) => isHeld),
              [],
            );
            balance(on);
          });
          // The same, and then it takes none of them.
          await withFixture(async (on) => {
            const packets = fresh(on, 7);
            const mishap = new Error('the program’s own');
            const array = arrayOf(packets, at, () => {
              interrupt(on);
              throw mishap;
            });
            assert.throws(() => call(on, array), mishap);
            assert.equal(
              packets.filter(({ isHeld }) => isHeld).length,
              7,
              'all of them are still the program’s',
            );
            balance(on);
          });
        }
      });
    }

    test(`${name} of an array with ${how} that gives one of the same away, or closes`, async () => {
      await withFixture(async (on) => {
        const packets = fresh(on, 7);
        const array = arrayOf(packets, 3, () => {
          assert.throws(() => packets[2]?.release(), late, 'the call has it already');
          packets[5]?.release();
        });
        assert.throws(() => call(on, array), late);
        assert.deepEqual(
          packets.map(({ isHeld }) => isHeld),
          [true, true, true, true, true, false, true],
        );
        balance(on);
      });
      await withFixture(async (on) => {
        const packets = fresh(on, 7);
        const array = arrayOf(packets, 3, () => void on.plane.close());
        const isTaken = name === 'pool.release';
        if (isTaken) call(on, array);
        else assert.throws(() => call(on, array), closed);
        assert.equal(packets.filter(({ isHeld }) => isHeld).length, isTaken ? 0 : 7);
      });
    });
  }
}

test('an array that says another length each time, or one that is no number', async () => {
  for (const lengths of [[3, 300], ['3'], [3.5], [Number.NaN], [-1], [{ valueOf: () => 3 }]]) {
    await withFixture(async (on) => {
      const packets = fresh(on, 7);
      let asked = 0;
      const array = new Proxy([...packets], {
        get: (target, key) =>
          key === 'length' ? (lengths[asked++] ?? lengths.at(-1)) : Reflect.get(target, key),
      });
      const before = on.plane.pool.free;
      on.plane.pool.release(array);
      const gone = packets.filter(({ isHeld }) => !isHeld).length;
      assert.equal(on.plane.pool.free, before + gone);
      balance(on);
    });
  }
});
