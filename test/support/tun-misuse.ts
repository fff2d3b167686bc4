/**
 * The table of misuse of `Tun`, run inside a namespace: `tun-misuse SITUATION` uses each member in that situation, each on a
 * device of its own, and prints the names of those that it used; without a situation, those that there are.
 */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { Tun } from '../../src/dataplane/tun.js';
import { netlink } from '../../src/native/netlink.js';
import {
  ends,
  fieldsOf,
  membersOf,
  type Row,
  refused,
  strayUses,
  typeError,
  wrong,
  wrongKind,
  wrongRange,
} from './misuse.js';
import { ipPacket } from './packets.js';

const packet = ipPacket({ source: '10.9.0.2', destination: '10.9.0.1' });
const closed = refused('ERR_TWILL_CLOSED', /^TUN weft0 is released$/);
const gone = refused('ERR_TWILL_DEVICE', /^TUN weft0 is gone: somebody has deleted it$/);
const goneToSet = refused('ERR_TWILL_NETLINK', /^TUN weft0: .*No such device/);

interface TunRow extends Row<Tun> {
  /** While a release that was asked for waits for what is still to be written. Absent: as open. */
  readonly closing?: unknown;
  /** In a listener of `drop`. Absent: as open. */
  readonly dropping?: unknown;
}

const isTheTun = (tun: Tun, given: unknown) => given === tun;
const constant = (call: TunRow['call'], open: unknown): TunRow => ({ call, open, wrong: null });
const asked = (call: TunRow['call'], open: unknown): TunRow => ({ ...constant(call, open), closed, gone });
const put = (call: (tun: Tun) => void, refusals: TunRow['wrong']): TunRow => ({
  ...{ call, open: undefined, closed, gone: goneToSet, wrong: refusals },
});
const release: TunRow = { call: (tun) => tun.release(), open: undefined, wrong: null };

/** Readers of the device, and of what the program set before. */
const rows: { readonly [member: string]: TunRow } = {
  name: constant(({ name }) => name, 'weft0'),
  index: constant(({ index }) => index > 1, true),
  isTun: constant(({ isTun }) => isTun, true),
  isTap: constant(({ isTap }) => isTap, false),
  dropped: { ...constant(({ dropped }) => dropped, 0), dropping: 1 },
  mtu: asked(({ mtu }) => mtu, 1400),
  isUp: asked(({ isUp }) => isUp, true),
  ipv4: { ...asked(({ ipv4 }) => ipv4, '10.9.0.1/24'), gone: null },
  ipv6: { ...asked(({ ipv6 }) => ipv6, 'fd00:9::1/64'), gone: null },
  addresses: {
    ...asked(({ addresses }) => addresses.filter((one) => !one.startsWith('fe80:')).length, 2),
    gone: 0,
  },
  'mtu =': put(
    (tun) => {
      tun.mtu = 1300;
    },
    [
      [(tun) => Object.assign(tun, { mtu: '1400' }), wrongKind(/^Tun: mtu must be a number, not "1400"$/)],
      [(tun) => Object.assign(tun, { mtu: null }), wrongKind(/^Tun: mtu must be a number, not null$/)],
      [(tun) => Object.assign(tun, { mtu: 67 }), wrongRange(/^Tun: mtu must be 68 to 65535 bytes, not 67$/)],
      [(tun) => Object.assign(tun, { mtu: 1400.5 }), wrongRange(/^Tun: mtu must be 68 .*, not 1400\.5$/)],
      [(tun) => Object.assign(tun, { mtu: Number.NaN }), wrongRange(/^Tun: mtu must be 68 .*, not NaN$/)],
    ],
  ),
  'isUp =': put(
    (tun) => {
      tun.isUp = true;
    },
    [
      [(tun) => Object.assign(tun, { isUp: 1 }), wrongKind(/^Tun: isUp must be true or false, not 1$/)],
      [(tun) => Object.assign(tun, { isUp: undefined }), wrongKind(/^Tun: isUp must be .*, not undefined$/)],
    ],
  ),
  'ipv4 =': put(
    (tun) => {
      tun.ipv4 = '10.9.7.1/24';
    },
    [
      [(tun) => Object.assign(tun, { ipv4: 5 }), wrongKind(/^Tun: ipv4 must be a string, not 5$/)],
      [(tun) => Object.assign(tun, { ipv4: undefined }), wrongKind(/^Tun: ipv4 must be .*, not undefined$/)],
      [
        (tun) => Object.assign(tun, { ipv4: '10.9.0.1' }),
        wrongRange(/^Tun: ipv4 must be like 10\.9\.0\.1\//),
      ],
      [
        (tun) => Object.assign(tun, { ipv4: '10.9.0.1/33' }),
        wrongRange(/^Tun: ipv4 .*, not "10\.9\.0\.1\/33"/),
      ],
      [
        (tun) => Object.assign(tun, { ipv4: 'fd00:9::1/64' }),
        wrongRange(/^Tun: ipv4 .*, not "fd00:9::1\/64"/),
      ],
    ],
  ),
  'ipv6 =': put(
    (tun) => {
      tun.ipv6 = 'fd00:9::2/64';
    },
    [
      [(tun) => Object.assign(tun, { ipv6: 5 }), wrongKind(/^Tun: ipv6 must be a string, not 5$/)],
      [(tun) => Object.assign(tun, { ipv6: 'fd00:9::1' }), wrongRange(/^Tun: ipv6 must be like fd00:9::1\//)],
      [
        (tun) => Object.assign(tun, { ipv6: '10.9.0.1/24' }),
        wrongRange(/^Tun: ipv6 .*, not "10\.9\.0\.1\/24"/),
      ],
    ],
  ),
  write: {
    ...{ call: (tun) => tun.write(packet), open: true, closing: closed, closed, gone: false },
    wrong: [
      [(tun) => tun.write('text'), wrongKind(/^Tun\.write: packet must be .*, not "text"$/)],
      [(tun) => tun.write(null), wrongKind(/^Tun\.write: packet must be .*, not null$/)],
      [(tun) => tun.write([1]), wrongKind(/^Tun\.write: packet must be .*, not an array of 1$/)],
      [(tun) => tun.write(new Proxy(packet, {})), wrongKind(/^Tun\.write: packet must be .*, not \[object/)],
    ],
  },
  end: {
    ...{ call: (tun) => isTheTun(tun, tun.end()), open: true },
    wrong: [
      [(tun) => tun.end('text'), wrongKind(/^Tun\.end: packet must be .*, not "text"$/)],
      [(tun) => tun.end(5), wrongKind(/^Tun\.end: packet must be .*, not 5$/)],
    ],
  },
  ref: constant((tun) => isTheTun(tun, tun.ref()), true),
  unref: constant((tun) => isTheTun(tun, tun.unref()), true),
  release: {
    ...release,
    wrong: [
      [(tun) => tun.release(wrong(5)), wrongKind(/^Tun\.release: done must be a function, not 5$/)],
      [(tun) => tun.release(wrong(null)), wrongKind(/^Tun\.release: done must be a function, not null$/)],
    ],
  },
  '[Symbol.asyncDispose]': { ...release, call: (tun) => tun[Symbol.asyncDispose]() },
};
/** Of a Duplex, for whoever derives one. */
const inner = ['_read', '_write', '_destroy'];

type Use = (outcome: unknown) => Promise<void>;
type Situation = (tun: Tun, row: TunRow, use: Use) => unknown;
const closedOf = ({ open, closed = open }: TunRow) => closed;

/** Resolves when the member was used in the first of these events. */
async function within(
  tun: Tun,
  event: string,
  cause: () => unknown,
  use: () => Promise<void>,
): Promise<void> {
  const used = new Promise<void>((resolve, reject) => {
    tun.once(event, () => void use().then(resolve, reject));
  });
  await cause();
  await used;
}

const situations: { readonly [name: string]: Situation } = {
  'once, and again': async (_, { open, again = open }, use) => {
    await use(open);
    await use(again);
  },
  'while release is under way, and after it': async (tun, row, use) => {
    tun.cork();
    tun.write(packet);
    const releasing = tun.release();
    const { open, closing = open } = row;
    await use(closing);
    await releasing;
    await use(closedOf(row));
  },
  'after destroy': async (tun, row, use) => {
    tun.destroy();
    await use(closedOf(row));
    await once(tun, 'close');
    await use(closedOf(row));
  },
  'in a listener of data': (tun, { open }, use) =>
    within(
      tun,
      'data',
      () => {},
      () => use(open),
    ),
  'in a listener of drop': (tun, { open, dropping = open }, use) =>
    within(
      tun,
      'drop',
      () => tun.write(new Uint8Array(3)),
      () => use(dropping),
    ),
  'in a listener of close': (tun, row, use) =>
    within(
      tun,
      'close',
      () => tun.resume().release(),
      () => use(closedOf(row)),
    ),
  'in a loop': async (tun, { open }, use) => {
    for await (const bytes of tun) {
      if (!(bytes instanceof Uint8Array)) throw new Error('no packet');
      await use(open);
      break;
    }
  },
  'when somebody has deleted the device': async (tun, { open, gone = open }, use) => {
    const failures: unknown[] = [];
    tun.on('error', (error) => failures.push(error));
    netlink.linkDelete(tun.index);
    await use(gone);
    for (let i = 0; i < 3; i++) await setImmediate();
    if (failures.length > 1) throw new Error(`${failures.length} errors`);
  },
  'wrong arguments': async (tun, { open, wrong }, use) => {
    for (const [act, outcome] of wrong ?? []) await ends(`${act}`, outcome, () => act(tun));
    await use(open);
  },
};

const [, , , name] = process.argv;
const situation = situations[name ?? ''];
if (situation) {
  for (const [member, row] of Object.entries(rows)) {
    const tun = new Tun({ name: 'weft0', mtu: 1400, ipv4: '10.9.0.1/24', ipv6: 'fd00:9::1/64', isUp: true });
    await situation(tun, row, (outcome) => ends(`Tun.${member} ${name}`, outcome, () => row.call(tun)));
    await tun.release();
    console.log(member);
  }
} else {
  for (const { name, use } of strayUses(Tun)) await ends(name, typeError, use);
  const tun = new Tun();
  console.log(
    JSON.stringify({
      members: [...membersOf(Tun), ...fieldsOf(tun)],
      rows: Object.keys(rows),
      inner,
      situations: Object.keys(situations),
    }),
  );
  await tun.release();
}
