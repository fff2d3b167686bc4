/** Rows of the dataplane itself, its peers, their statistics and the tap. */
import { Dataplane, type DataplaneOptions, PEER_COLUMNS } from '../../../../src/index.js';
import { refused, wrong, wrongKind, wrongRange } from '../../../support/misuse.js';
import { options, other } from './fixture.js';
import type { Row, Rows } from './row.js';

const closed = refused('ERR_TWILL_CLOSED', /^this dataplane is closed$/);
const peersClosed = refused('ERR_TWILL_CLOSED', /^the dataplane of these peers is closed$/);
const third = { ...other, subnet: '10.5.3.0/24', mac: '02:00:00:00:00:03' };

const opened = async (more: Partial<DataplaneOptions> = {}) => {
  await using plane = await Dataplane.open({ ...options, ...more });
  return plane.isClosed;
};
const closes: Row = { call: ({ plane }) => plane.close(), open: undefined, wrong: null };

export const dataplaneRows: Rows = {
  'static open': {
    call: () => opened(),
    open: false,
    wrong: [
      [() => Dataplane.open(wrong(undefined)), wrongKind(/open: options must be an object, not undefined$/)],
      [() => Dataplane.open(wrong('vxlan')), wrongKind(/open: options must be an object, not "vxlan"$/)],
      [() => Dataplane.open(wrong({})), wrongKind(/open: encap must be "vxlan" or "udp", not undefined$/)],
      [
        () => opened({ subnets: wrong('10.5.1.0/24') }),
        wrongKind(/open: subnets must be an array, not "10\./),
      ],
      [() => opened({ overlay: wrong('user') }), wrongKind(/open: overlay must be .*, not "user"$/)],
      [() => opened({ workers: wrong('1') }), wrongKind(/open: workers must be an integer .*, not "1"$/)],
      [() => opened({ workers: 65 }), wrongRange(/open: workers must be an integer from 0 to 64, not 65$/)],
      [
        () => opened({ poolSlots: 255 }),
        wrongRange(/open: poolSlots must be .* from 256 to 32768, not 255$/),
      ],
      [() => opened({ sourceCheck: wrong(0) }), wrongKind(/open: sourceCheck must be true or false, not 0$/)],
      [() => opened({ mac: '01:00:00:00:00:01' }), wrongRange(/open: mac must be unicast .*, not "01:00:/)],
    ],
  },
  isClosed: { call: ({ plane }) => plane.isClosed, open: false, closed: true, wrong: null },
  stats: { call: ({ plane }) => [plane.stats().peers, plane.stats().generation], open: [1, 1], wrong: null },
  trace: {
    call: ({ plane }) => {
      const found = plane.trace('10.5.2.9');
      return found.drop === null ? `${found.endpoint.address}:${found.endpoint.port}` : found.drop;
    },
    open: '192.0.2.2:8472',
    wrong: [
      [
        ({ plane }) => plane.trace(wrong(undefined)),
        wrongKind(/trace: destination must be .*, not undefined$/),
      ],
      [({ plane }) => plane.trace(wrong(5)), wrongKind(/trace: destination must be .*, not 5$/)],
      [({ plane }) => plane.trace('10.5.2'), wrongRange(/trace: destination must be .*, not "10\.5\.2"$/)],
    ],
  },
  openTap: {
    call: ({ plane }) => plane.openTap().counts(),
    open: { kept: 0, lost: 0 },
    again: refused('ERR_TWILL_BUSY', /^a tap is open already$/),
    closed,
    wrong: [
      [({ plane }) => plane.openTap(wrong(null)), wrongKind(/openTap: options must be an object, not null$/)],
      [({ plane }) => plane.openTap({ every: 0 }), wrongRange(/options\.every must be .*, not 0$/)],
      [
        ({ plane }) => plane.openTap({ peers: wrong('192.0.2.2') }),
        wrongKind(/options\.peers must be an array/),
      ],
      [
        ({ plane }) => plane.openTap({ drops: ['lost'] }),
        wrongRange(/options\.drops\[0\] must be .* "lost"$/),
      ],
      [
        ({ plane }) => plane.openTap({ ringBytes: 65_537 }),
        wrongRange(/ringBytes .* power of two, not 65537$/),
      ],
    ],
  },
  step: { call: ({ plane }) => plane.step(), open: 0, closed, wrong: null },
  close: closes,
  '[Symbol.asyncDispose]': { ...closes, call: ({ plane }) => plane[Symbol.asyncDispose]() },
  deviceName: { call: ({ plane }) => plane.deviceName, open: null, wrong: null },
  mac: { call: ({ plane }) => `${plane.mac}`, open: options.mac, wrong: null },
  mtuBytes: { call: ({ plane }) => plane.mtuBytes, open: 1450, wrong: null },
  peers: { call: ({ plane }) => plane.peers.size, open: 1, wrong: null },
  pool: { call: ({ plane }) => plane.pool.headroomBytes, open: 64, wrong: null },
  overlay: { call: ({ plane }) => plane.overlay?.side, open: 'overlay', wrong: null },
  underlay: { call: ({ plane }) => plane.underlay?.side, open: 'underlay', wrong: null },
};

export const peersRows: Rows = {
  size: { call: ({ plane }) => plane.peers.size, open: 1, wrong: null },
  generation: { call: ({ plane }) => plane.peers.generation, open: 1, wrong: null },
  set: {
    call: ({ plane }) => plane.peers.set(third),
    open: 2,
    closed: peersClosed,
    wrong: [
      [
        ({ plane }) => plane.peers.set(wrong(undefined)),
        wrongKind(/set: peers must be \{ subnet.*, not undefined$/),
      ],
      [({ plane }) => plane.peers.set([wrong(5)]), wrongKind(/set: peers\[0\] must be \{ subnet.*, not 5$/)],
      [({ plane }) => plane.peers.set([third, wrong({})]), wrongKind(/set: peers\[1\]\.endpoint must be/)],
      [
        ({ plane }) => plane.peers.set({ ...third, subnet: '10.5.3.0/33' }),
        wrongRange(/set: peers\.subnet must be written like .*, not "10\.5\.3\.0\/33"$/),
      ],
      [
        ({ plane }) => plane.peers.set({ ...third, endpoint: { address: '192.0.2.3', port: 0 } }),
        wrongRange(/set: peers\.endpoint\.port must be an integer from 1 to 65535, not 0$/),
      ],
      [
        ({ plane }) => plane.peers.set({ ...third, mac: wrong(undefined) }),
        wrongKind(/set: peers\.mac must be the MAC .*, not undefined$/),
      ],
    ],
  },
  delete: {
    call: ({ plane }) => plane.peers.delete(other.subnet),
    open: 2,
    closed: peersClosed,
    wrong: [
      [
        ({ plane }) => plane.peers.delete(wrong(undefined)),
        wrongKind(/subnets must be an array, not undefined$/),
      ],
      [
        ({ plane }) => plane.peers.delete([other.subnet, wrong(5)]),
        wrongKind(/subnets\[1\] must be .*, not 5$/),
      ],
      [({ plane }) => plane.peers.delete('10.5.2.0'), wrongRange(/subnets must be .*, not "10\.5\.2\.0"$/)],
    ],
  },
  change: {
    call: ({ plane }) => plane.peers.change({ set: third, delete: other.subnet }),
    open: 2,
    closed: peersClosed,
    wrong: [
      [
        ({ plane }) => plane.peers.change(wrong(undefined)),
        wrongKind(/change: change must be .*, not undefined$/),
      ],
      [
        ({ plane }) => plane.peers.change({ set: third, delete: wrong(7) }),
        wrongKind(/change: delete must be an array, not 7$/),
      ],
    ],
  },
  replace: {
    call: ({ plane }) => plane.peers.replace([third]),
    open: 2,
    closed: peersClosed,
    wrong: [
      [
        ({ plane }) => plane.peers.replace(wrong(third)),
        wrongKind(/peers must be an array, not \[object Object\]$/),
      ],
      [
        ({ plane }) => plane.peers.replace([third, wrong(null)]),
        wrongKind(/peers\[1\] must be .*, not null$/),
      ],
    ],
  },
  get: {
    call: ({ plane }) => `${plane.peers.get('10.5.2.0/24')?.endpoint.address}`,
    open: '192.0.2.2',
    wrong: [
      [({ plane }) => plane.peers.get(wrong(undefined)), wrongKind(/get: subnet must be .*, not undefined$/)],
      [({ plane }) => plane.peers.get('10.5.2.0'), wrongRange(/get: subnet must be .*, not "10\.5\.2\.0"$/)],
    ],
  },
  list: {
    call: ({ plane }) => plane.peers.list().map(({ subnet }) => `${subnet}`),
    open: [other.subnet],
    wrong: null,
  },
  stats: {
    call: ({ plane }) => plane.peers.stats().get(0, 'encapPackets'),
    ...{ open: 0, inCallback: 1, inLoop: 1 },
    wrong: null,
  },
};

export const peerStatsRows: Rows = {
  get: {
    call: ({ stats }) => [
      stats.get(0, 'idleSeconds'),
      stats.get(1, 'encapBytes'),
      stats.get(0.5, 'encapBytes'),
    ],
    open: [Infinity, 0, 0],
    wrong: [
      [({ stats }) => stats.get(wrong('0'), 'encapBytes'), wrongKind(/get: row must be a number, not "0"$/)],
      [({ stats }) => stats.get(0, wrong(0)), wrongKind(/get: column must be the name of a column, not 0$/)],
      [
        ({ stats }) => stats.get(0, wrong('bytes')),
        wrongRange(/get: column must be one of .*, not "bytes"$/),
      ],
      [({ stats }) => stats.get(0, wrong('toString')), wrongRange(/get: column .*, not "toString"$/)],
    ],
  },
  row: {
    call: ({ stats }) => stats.row(0).length,
    open: PEER_COLUMNS.length,
    wrong: [
      [({ stats }) => stats.row(1), wrongRange(/row: row must be an integer from 0 to 0, not 1$/)],
      [({ stats }) => stats.row(-1), wrongRange(/not -1$/)],
      [({ stats }) => stats.row(0.5), wrongRange(/not 0\.5$/)],
      [({ stats }) => stats.row(wrong('0')), wrongKind(/not "0"$/)],
    ],
  },
  add: {
    call: ({ stats }) => stats.add(new Map([[other.subnet, new Float64Array([3])]])).get(0, 'encapPackets'),
    open: 3,
    again: 6,
    wrong: [
      [({ stats }) => stats.add(wrong(undefined)), wrongKind(/add: past must be a Map, not undefined$/)],
      [({ stats }) => stats.add(wrong({})), wrongKind(/add: past must be a Map, not \[object Object\]$/)],
    ],
  },
  bySubnet: { call: ({ stats }) => [...stats.bySubnet().keys()], open: [other.subnet], wrong: null },
  peers: { call: ({ stats }) => stats.peers.length, open: 1, wrong: null },
  values: { call: ({ stats }) => stats.values.length, open: PEER_COLUMNS.length, wrong: null },
};

const none = { kept: 0, lost: 0 };
const one = { kept: 1, lost: 0 };

export const tapRows: Rows = {
  read: {
    call: ({ tap }) => tap.read(new Uint8Array(100)),
    open: 0,
    gone: 0,
    wrong: [
      [
        ({ tap }) => tap.read(wrong(undefined)),
        wrongKind(/read: out must be a Uint8Array .*, not undefined$/),
      ],
      [({ tap }) => tap.read(wrong(new ArrayBuffer(8))), wrongKind(/not \[object ArrayBuffer\]$/)],
      [({ tap }) => tap.read(wrong(new Proxy(new Uint8Array(8), {}))), wrongKind(/out must be a Uint8Array/)],
    ],
  },
  counts: {
    call: ({ tap }) => tap.counts(),
    ...{ open: none, gone: none, inCallback: one, inLoop: one },
    wrong: null,
  },
  close: { call: ({ tap }) => tap.close(), open: undefined, gone: undefined, wrong: null },
};
