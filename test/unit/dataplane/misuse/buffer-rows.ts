/** Rows of packets, one by one and in batches. */
import { refused, wrong, wrongKind, wrongRange } from '../../../support/misuse.js';
import { outward } from './fixture.js';
import type { Rows } from './row.js';

const late = refused('ERR_TWILL_POOL', /^this packet buffer was sent or released before$/);
const text = Buffer.from(outward).toString('hex');
const peerAt = { address: '192.0.2.7', port: 9 };
const remoteKind = /remote must be \{ address, port \} or null, not/;

export const packetRows: Rows = {
  peer: { call: ({ packet }) => packet.peer, open: null, gone: null, wrong: null },
  isHeld: { call: ({ packet }) => packet.isHeld, open: true, gone: false, wrong: null },
  bytes: { call: ({ packet }) => packet.bytes.toString('hex'), open: text, gone: late, wrong: null },
  length: { call: ({ packet }) => packet.length, open: 32, gone: late, wrong: null },
  headroom: { call: ({ packet }) => packet.headroom, open: 64, gone: late, wrong: null },
  tailroom: { call: ({ packet }) => packet.tailroom, open: 65_568, gone: late, wrong: null },
  setLength: {
    call: ({ packet }) => {
      packet.setLength(65_600);
      return packet.bytes.length;
    },
    open: 65_600,
    gone: late,
    wrong: [
      [
        ({ packet }) => packet.setLength(65_601),
        wrongRange(/length must be an integer from 0 to 65600, not 65601$/),
      ],
      [({ packet }) => packet.setLength(-1), wrongRange(/not -1$/)],
      [({ packet }) => packet.setLength(wrong('3')), wrongKind(/not "3"$/)],
      [({ packet }) => packet.setLength(wrong(undefined)), wrongKind(/not undefined$/)],
    ],
  },
  prepend: {
    call: ({ packet }) => {
      packet.prepend(32);
      return [packet.headroom, packet.length, packet.bytes.subarray(32 * (packet.headroom ? 1 : 2)).length];
    },
    open: [32, 64, 32],
    again: [0, 96, 32],
    gone: late,
    wrong: [
      [
        ({ packet }) => packet.prepend(65),
        wrongRange(/prepend: bytes must be an integer from 0 to 64, not 65$/),
      ],
      [({ packet }) => packet.prepend(-1), wrongRange(/not -1$/)],
      [({ packet }) => packet.prepend(0.5), wrongRange(/not 0\.5$/)],
      [({ packet }) => packet.prepend(wrong('1')), wrongKind(/not "1"$/)],
    ],
  },
  trimFront: {
    call: ({ packet }) => {
      packet.trimFront(16);
      return [packet.headroom, packet.length, packet.bytes.toString('hex')];
    },
    open: [80, 16, text.slice(32)],
    again: [96, 0, ''],
    gone: late,
    wrong: [
      [
        ({ packet }) => packet.trimFront(33),
        wrongRange(/trimFront: bytes must be an integer from 0 to 32, not 33$/),
      ],
      [({ packet }) => packet.trimFront(-1), wrongRange(/not -1$/)],
      [({ packet }) => packet.trimFront(wrong(null)), wrongKind(/not null$/)],
    ],
  },
  remote: {
    call: ({ packet }) => {
      packet.remote = peerAt;
      return [`${packet.remote?.address}`, packet.remote?.port];
    },
    open: ['192.0.2.7', 9],
    gone: late,
    wrong: [
      [({ packet }) => Object.assign(packet, { remote: undefined }), wrongKind(remoteKind)],
      [({ packet }) => Object.assign(packet, { remote: '192.0.2.7' }), wrongKind(remoteKind)],
      [
        ({ packet }) => Object.assign(packet, { remote: { ...peerAt, address: 7 } }),
        wrongKind(/address must be .* not 7$/),
      ],
      [
        ({ packet }) => Object.assign(packet, { remote: { ...peerAt, address: 'x' } }),
        wrongRange(/not "x"$/),
      ],
      [
        ({ packet }) => Object.assign(packet, { remote: { ...peerAt, port: 65_536 } }),
        wrongRange(/not 65536$/),
      ],
    ],
  },
  tos: {
    call: ({ packet }) => {
      packet.tos = 255;
      return packet.tos;
    },
    open: 255,
    gone: late,
    wrong: [
      [
        ({ packet }) => Object.assign(packet, { tos: 256 }),
        wrongRange(/tos must be an integer from 0 to 255, not 256$/),
      ],
      [({ packet }) => Object.assign(packet, { tos: '1' }), wrongKind(/not "1"$/)],
    ],
  },
  release: { call: ({ packet }) => packet.release(), open: undefined, again: late, gone: late, wrong: null },
  '[Symbol.dispose]': {
    call: ({ packet }) => packet[Symbol.dispose](),
    open: undefined,
    gone: undefined,
    wrong: null,
  },
};

const place = /PacketBatch: place must be an integer from 0 to 0, not 1$/;
const noNumber = /PacketBatch: place must be a number, not "0"$/;

export const batchRows: Rows = {
  capacity: { call: ({ batch }) => batch.capacity, open: 4, wrong: null },
  count: { call: ({ batch }) => batch.count, open: 1, wrong: null },
  start: {
    call: ({ batch, plane }) => batch.start(0) % plane.pool.slotBytes,
    open: 64,
    wrong: [
      [({ batch }) => batch.start(1), wrongRange(place)],
      [({ batch }) => batch.start(wrong('0')), wrongKind(noNumber)],
    ],
  },
  length: {
    call: ({ batch }) => batch.length(0),
    open: 32,
    wrong: [
      [({ batch }) => batch.length(1), wrongRange(place)],
      [({ batch }) => batch.length(wrong('0')), wrongKind(noNumber)],
    ],
  },
  setLength: {
    call: ({ batch }) => batch.setLength(0, 65_600),
    open: undefined,
    wrong: [
      [({ batch }) => batch.setLength(1, 5), wrongRange(place)],
      [
        ({ batch }) => batch.setLength(0, 65_601),
        wrongRange(/length must be an integer from 0 to 65600, not 65601$/),
      ],
      [({ batch }) => batch.setLength(0, wrong(null)), wrongKind(/not null$/)],
    ],
  },
  bytes: {
    call: ({ batch }) => batch.bytes(0).toString('hex'),
    open: text,
    wrong: [
      [({ batch }) => batch.bytes(-1), wrongRange(/not -1$/)],
      [({ batch }) => batch.bytes(Number.NaN), wrongRange(/not NaN$/)],
    ],
  },
  peer: {
    call: ({ batch }) => batch.peer(0),
    open: null,
    wrong: [
      [({ batch }) => batch.peer(wrong(undefined)), wrongKind(/place must be a number, not undefined$/)],
    ],
  },
  remote: {
    call: ({ batch }) => batch.remote(0),
    open: null,
    wrong: [[({ batch }) => batch.remote(1), wrongRange(place)]],
  },
  setRemote: {
    call: ({ batch }) => {
      batch.setRemote(0, peerAt);
      return `${batch.remote(0)?.address}`;
    },
    open: '192.0.2.7',
    wrong: [
      [({ batch }) => batch.setRemote(1, peerAt), wrongRange(place)],
      [({ batch }) => batch.setRemote(0, wrong(undefined)), wrongKind(remoteKind)],
      [({ batch }) => batch.setRemote(0, { ...peerAt, port: -1 }), wrongRange(/port must be .*, not -1$/)],
    ],
  },
  allocate: {
    call: ({ batch }) => batch.allocate(2, 10),
    open: 2,
    // It holds four.
    again: 1,
    closed: refused('ERR_TWILL_CLOSED', /^the dataplane of this batch is closed$/),
    wrong: [
      [({ batch }) => batch.allocate(-1, 10), wrongRange(/count must be .*, not -1$/)],
      [({ batch }) => batch.allocate(1, 65_601), wrongRange(/length must be .* from 0 to 65600, not 65601$/)],
      [({ batch }) => batch.allocate(wrong('1'), 10), wrongKind(/count must be .*, not "1"$/)],
    ],
  },
  release: { call: ({ batch }) => batch.release(), open: undefined, wrong: null },
  '[Symbol.dispose]': { call: ({ batch }) => batch[Symbol.dispose](), open: undefined, wrong: null },
};
