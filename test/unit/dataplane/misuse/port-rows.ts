/** Rows of user ports and the pool. */
import type { PacketBuffer } from '../../../../src/index.js';
import { refused, wrong, wrongKind, wrongRange } from '../../../support/misuse.js';
import { outward, SLOTS } from './fixture.js';
import type { Rows } from './row.js';

const overlayClosed = refused('ERR_TWILL_CLOSED', /^the dataplane of this overlay port is closed$/);
const underlayClosed = refused('ERR_TWILL_CLOSED', /^the dataplane of this underlay port is closed$/);
const busy = refused(
  'ERR_TWILL_BUSY',
  /^somebody listens to this underlay port already: leave its loop, or end/,
);
const late = refused('ERR_TWILL_POOL', /^this packet buffer was sent or released before$/);
const foreigner = refused('ERR_TWILL_POOL', /belongs to one dataplane and cannot be used with another$/);
const released = (packet: PacketBuffer) => {
  packet.release();
  return packet;
};

export const portRows: Rows = {
  side: { call: ({ overlay }) => overlay.side, open: 'overlay', wrong: null },
  send: {
    call: ({ overlay, packet }) => overlay.send([packet]),
    open: 1,
    again: late,
    closed: overlayClosed,
    wrong: [
      [
        ({ overlay }) => overlay.send(wrong(undefined)),
        wrongKind(/send: packets must be an array, not undefined$/),
      ],
      [
        ({ overlay, packet }) => overlay.send(wrong(packet)),
        wrongKind(/packets must be an array, not \[object/),
      ],
      [
        ({ overlay, packet }) => overlay.send([packet, wrong(null)]),
        wrongKind(/must be a PacketBuffer, not null$/),
      ],
      [
        ({ overlay }) => overlay.send([wrong(outward)]),
        wrongKind(/a PacketBuffer, not \[object Uint8Array\]$/),
      ],
      [({ overlay, packet }) => overlay.send([packet, packet]), late],
      [({ overlay, packet }) => overlay.send([released(packet)]), late],
      [({ overlay, packet, foreign }) => overlay.send([packet, foreign.packet]), foreigner],
      [
        ({ overlay, packet }) => overlay.send(Array(SLOTS + 1).fill(packet)),
        wrongRange(/send: packets\.length must be at most 256, not 257$/),
      ],
      [
        ({ overlay, packet }) => {
          packet.prepend(43);
          overlay.send([packet]);
        },
        refused('ERR_TWILL_POOL', /21 bytes are free in front .* header needs 22: prepend less$/),
      ],
    ],
  },
  sendBatch: {
    call: ({ overlay, batch }) => overlay.sendBatch(batch),
    open: 1,
    again: 0,
    closed: overlayClosed,
    wrong: [
      [
        ({ overlay }) => overlay.sendBatch(wrong(null)),
        wrongKind(/sendBatch: batch must be a PacketBatch, not null$/),
      ],
      [({ overlay }) => overlay.sendBatch(wrong([])), wrongKind(/must be a PacketBatch, not \[\]$/)],
      [
        ({ overlay, packet }) => overlay.sendBatch(wrong(packet)),
        wrongKind(/a PacketBatch, not \[object Object\]$/),
      ],
      [({ overlay, foreign }) => overlay.sendBatch(foreign.batch), foreigner],
    ],
  },
  write: {
    call: ({ overlay }) => overlay.write(outward),
    open: true,
    closed: overlayClosed,
    wrong: [
      [
        ({ overlay }) => overlay.write(wrong('4500')),
        wrongKind(/bytes must be a Uint8Array or Buffer, not "4500"$/),
      ],
      [({ overlay }) => overlay.write(wrong(outward.buffer)), wrongKind(/not \[object ArrayBuffer\]$/)],
      [({ overlay }) => overlay.write(wrong(new Float64Array(4))), wrongKind(/not \[object Float64Array\]$/)],
      [
        ({ overlay }) => overlay.write(new Proxy(outward, {})),
        wrongKind(/bytes must be a Uint8Array or Buffer/),
      ],
      [({ overlay }) => overlay.write(wrong(Object.create(outward))), wrongKind(/not \[object Object\]$/)],
      [
        ({ overlay, plane }) => overlay.write(new Uint8Array(plane.pool.packetBytes + 1)),
        wrongRange(/write: bytes\.length must be at most 65600, not 65601$/),
      ],
    ],
  },
  receive: {
    call: ({ underlay, keep }) => keep(underlay.receive()).length,
    open: 0,
    closed: underlayClosed,
    inCallback: 1,
    wrong: [
      [
        ({ underlay }) => underlay.receive(0),
        wrongRange(/receive: most must be an integer from 1 to .*, not 0$/),
      ],
      [({ underlay }) => underlay.receive(1.5), wrongRange(/not 1\.5$/)],
      [({ underlay }) => underlay.receive(wrong('5')), wrongKind(/most must be an integer .*, not "5"$/)],
      [({ underlay }) => underlay.receive(wrong(null)), wrongKind(/not null$/)],
    ],
  },
  receiveInto: {
    call: ({ underlay, batch }) => underlay.receiveInto(batch),
    open: 0,
    closed: underlayClosed,
    inCallback: 1,
    wrong: [
      [
        ({ underlay }) => underlay.receiveInto(wrong([])),
        wrongKind(/receiveInto: batch must be a PacketBatch, not \[\]$/),
      ],
      [({ underlay, foreign }) => underlay.receiveInto(foreign.batch), foreigner],
    ],
  },
  onReadable: {
    // Another listener takes the place of the one before.
    call: ({ underlay }) => underlay.onReadable(() => {}),
    open: undefined,
    closed: underlayClosed,
    inLoop: busy,
    wrong: [
      [
        ({ underlay }) => underlay.onReadable(wrong(undefined)),
        wrongKind(/a function or null, not undefined$/),
      ],
      [
        ({ underlay }) => underlay.onReadable(wrong({})),
        wrongKind(/a function or null, not \[object Object\]$/),
      ],
    ],
  },
  whenWritable: {
    call: ({ overlay }) => overlay.whenWritable(1024),
    open: undefined,
    closed: overlayClosed,
    wrong: [
      [
        ({ overlay }) => overlay.whenWritable(0),
        wrongRange(/count must be an integer from 1 to 1024, not 0$/),
      ],
      [({ overlay }) => overlay.whenWritable(1025), wrongRange(/not 1025$/)],
      [({ overlay }) => overlay.whenWritable(wrong('1')), wrongKind(/not "1"$/)],
      [
        ({ overlay }) => overlay.whenWritable(1, wrong(null)),
        wrongKind(/options must be an object, not null$/),
      ],
      [
        ({ overlay }) => overlay.whenWritable(1, { signal: wrong({}) }),
        wrongKind(/options\.signal must be an AbortSignal, not \[object Object\]$/),
      ],
    ],
  },
  '[Symbol.asyncIterator]': {
    call: async ({ underlay }) => {
      const loop = underlay[Symbol.asyncIterator]();
      return loop.return?.();
    },
    open: { done: true, value: undefined },
    inCallback: busy,
    inLoop: busy,
    wrong: null,
  },
};

const poolClosed = refused('ERR_TWILL_CLOSED', /^the dataplane of this pool is closed$/);
/** The fixture holds two packets. */
const HELD = 2;

export const poolRows: Rows = {
  slotBytes: { call: ({ plane }) => plane.pool.slotBytes, open: 65_664, wrong: null },
  headroomBytes: { call: ({ plane }) => plane.pool.headroomBytes, open: 64, wrong: null },
  packetBytes: { call: ({ plane }) => plane.pool.packetBytes, open: 65_600, wrong: null },
  size: { call: ({ plane }) => plane.pool.size, open: SLOTS, wrong: null },
  // In a callback one more waits in the queue, in a loop it is the program's.
  free: {
    call: ({ plane }) => plane.pool.free,
    open: SLOTS - HELD,
    inCallback: SLOTS - HELD - 1,
    inLoop: SLOTS - HELD - 1,
    wrong: null,
  },
  held: { call: ({ plane }) => plane.pool.held, open: HELD, inLoop: HELD + 1, wrong: null },
  collected: { call: ({ plane }) => plane.pool.collected, open: 0, wrong: null },
  memory: { call: ({ plane }) => plane.pool.memory.length, open: SLOTS * 65_664, wrong: null },
  allocate: {
    call: ({ plane, keep }) => keep(plane.pool.allocate(100))?.length,
    open: 100,
    closed: poolClosed,
    wrong: [
      [
        ({ plane }) => plane.pool.allocate(wrong(undefined)),
        wrongKind(/length must be an integer .*, not undefined$/),
      ],
      [({ plane }) => plane.pool.allocate(wrong('100')), wrongKind(/not "100"$/)],
      [
        ({ plane }) => plane.pool.allocate(-1),
        wrongRange(/allocate: length must be .* from 0 to 65600, not -1$/),
      ],
      [({ plane }) => plane.pool.allocate(65_601), wrongRange(/not 65601$/)],
      [({ plane }) => plane.pool.allocate(Number.NaN), wrongRange(/not NaN$/)],
    ],
  },
  allocateBatch: {
    call: ({ plane, keep }) => keep(plane.pool.allocateBatch(3, 100)).length,
    open: 3,
    closed: poolClosed,
    wrong: [
      [
        ({ plane }) => plane.pool.allocateBatch(257, 1),
        wrongRange(/count must be .* from 0 to 256, not 257$/),
      ],
      [({ plane }) => plane.pool.allocateBatch(wrong(null), 1), wrongKind(/count must be .*, not null$/)],
      [
        ({ plane }) => plane.pool.allocateBatch(1, wrong(undefined)),
        wrongKind(/length must be .*, not undefined$/),
      ],
    ],
  },
  batch: {
    call: ({ plane }) => plane.pool.batch().capacity,
    open: 64,
    wrong: [
      [({ plane }) => plane.pool.batch(0), wrongRange(/batch: capacity must be .* from 1 to 256, not 0$/)],
      [({ plane }) => plane.pool.batch(257), wrongRange(/not 257$/)],
      [({ plane }) => plane.pool.batch(wrong('4')), wrongKind(/not "4"$/)],
    ],
  },
  release: {
    call: ({ plane, packet }) => plane.pool.release([packet]),
    open: undefined,
    again: late,
    wrong: [
      [
        ({ plane, packet }) => plane.pool.release(wrong(packet)),
        wrongKind(/packets must be an array, not \[object/),
      ],
      [
        ({ plane }) => plane.pool.release([wrong({})]),
        wrongKind(/must be a PacketBuffer, not \[object Object\]$/),
      ],
      [({ plane, packet }) => plane.pool.release([packet, packet]), late],
      [({ plane, packet, foreign }) => plane.pool.release([packet, foreign.packet]), foreigner],
    ],
  },
  whenFree: {
    call: ({ plane }) => plane.pool.whenFree(100),
    open: undefined,
    closed: poolClosed,
    wrong: [
      [({ plane }) => plane.pool.whenFree(0), wrongRange(/count must be an integer from 1 to 256, not 0$/)],
      [({ plane }) => plane.pool.whenFree(257), wrongRange(/not 257$/)],
      [({ plane }) => plane.pool.whenFree(1, wrong(5)), wrongKind(/options must be an object, not 5$/)],
      [({ plane }) => plane.pool.whenFree(1, { signal: wrong(1) }), wrongKind(/an AbortSignal, not 1$/)],
    ],
  },
  leaks: {
    call: ({ plane }) => plane.pool.leaks().map(({ lengthBytes, takenAt }) => [lengthBytes, takenAt]),
    open: [
      [32, null],
      [32, null],
    ],
    inLoop: [
      [32, null],
      [32, null],
      [54, null],
    ],
    wrong: null,
  },
};
