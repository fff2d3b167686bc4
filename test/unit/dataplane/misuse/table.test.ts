/**
 * Misuse of the library, member by member: each public method and accessor in each situation, with what it has to end with.
 * The rows are held to the classes, so that a member without one fails. With the sanitized addon this is also the proof
 * that nothing of it touches what it must not.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BufferPool,
  Dataplane,
  type PacketBuffer as Packet,
  PacketBatch,
  PacketBuffer,
  PeerStats,
  Peers,
  UserPort,
} from '../../../../src/index.js';
import {
  ends,
  fieldsOf,
  membersOf,
  strayUses,
  typeError,
  wrong,
  wrongKind,
} from '../../../support/misuse.js';
import { batchRows, packetRows } from './buffer-rows.js';
import { dataplaneRows, peerStatsRows, peersRows, tapRows } from './dataplane-rows.js';
import { type Fixture, outward, withFixture } from './fixture.js';
import { poolRows, portRows } from './port-rows.js';
import type { Row, Rows } from './row.js';

interface Class {
  readonly name: string;
  readonly rows: Rows;
  readonly members: readonly string[];
  /** Situations in which the object itself has gone. */
  readonly endings?: { readonly [name: string]: (on: Fixture) => unknown };
}

/** Its members, and the data of an instance. */
async function membersWithFields(
  type: typeof Dataplane | typeof PacketBuffer | typeof PeerStats,
): Promise<string[]> {
  const members = membersOf(type);
  await withFixture(async ({ plane, packet, stats }) => {
    const instance = [plane, packet, stats].find((one) => one instanceof type);
    assert.ok(instance);
    members.push(...fieldsOf(instance));
  });
  return members;
}

async function membersOfTap(): Promise<string[]> {
  let members: string[] = [];
  await withFixture(async ({ tap }) => {
    members = membersOf({ name: 'tap', prototype: Object.getPrototypeOf(tap) });
  });
  // For planes of an agent, whose tap outlives an engine: no part of PlaneTap.
  return members.filter((name) => name !== 'follow');
}

const packetEndings = {
  'after its release': ({ packet }: Fixture) => packet.release(),
  'after it was sent': ({ overlay, packet }: Fixture) => overlay.send([packet]),
  'when its buffer is lent anew': ({ plane, packet, keep }: Fixture) => {
    const { buffer, byteOffset } = packet.bytes;
    packet.release();
    const anew = keep(plane.pool.allocate(32)) as Packet;
    assert.deepEqual([anew.bytes.buffer === buffer, anew.bytes.byteOffset], [true, byteOffset]);
  },
};

const classes: readonly Class[] = [
  { name: 'Dataplane', rows: dataplaneRows, members: await membersWithFields(Dataplane) },
  { name: 'Peers', rows: peersRows, members: membersOf(Peers) },
  { name: 'PeerStats', rows: peerStatsRows, members: await membersWithFields(PeerStats) },
  { name: 'UserPort', rows: portRows, members: membersOf(UserPort) },
  { name: 'BufferPool', rows: poolRows, members: membersOf(BufferPool) },
  {
    name: 'PacketBuffer',
    rows: packetRows,
    members: await membersWithFields(PacketBuffer),
    endings: packetEndings,
  },
  { name: 'PacketBatch', rows: batchRows, members: membersOf(PacketBatch) },
  {
    name: 'PlaneTap',
    rows: tapRows,
    members: await membersOfTap(),
    endings: { 'when it is closed': ({ tap }) => tap.close() },
  },
];

/** A packet comes out of the underlay. */
function bring({ overlay, plane }: Fixture): void {
  assert.equal(overlay.write(outward), true);
  assert.equal(plane.step(), 1);
}

type Situation = (on: Fixture, row: Row, use: (outcome: unknown) => Promise<void>) => Promise<unknown>;
const closedOf = ({ open, closed = open }: Row) => closed;

const situations: { readonly [name: string]: Situation } = {
  'once, and again': async (_, { open, again = open }, use) => {
    await use(open);
    await use(again);
  },
  'while close is under way, and after it': async ({ plane }, row, use) => {
    const closing = plane.close();
    await use(closedOf(row));
    await closing;
    await plane.close();
  },
  'after close': async ({ plane }, row, use) => {
    await plane.close();
    await use(closedOf(row));
  },
  'in a listener of close': async ({ plane }, row, use) => {
    let used: Promise<void> | null = null;
    plane.once('close', () => {
      used = use(closedOf(row));
    });
    await plane.close();
    assert.ok(used);
    await used;
  },
  'in a callback of onReadable': async (on, { open, inCallback = open }, use) => {
    bring(on);
    await new Promise<void>((resolve, reject) => {
      let isFirst = true;
      on.underlay.onReadable(() => {
        if (isFirst) use(inCallback).then(resolve, reject);
        isFirst = false;
      });
    });
    on.underlay.onReadable(null);
  },
  'in a loop over a port': async (on, { open, inLoop = open }, use) => {
    bring(on);
    for await (const batch of on.underlay) {
      assert.equal(on.keep(batch).length, 1);
      await use(inLoop);
      break;
    }
  },
};

for (const { name, rows, members, endings = {} } of classes) {
  test(`${name}: each of its members has a row`, () => {
    assert.deepEqual(Object.keys(rows).sort(), [...members].sort());
  });

  for (const [member, row] of Object.entries(rows)) {
    test(`${name}: ${member}`, async () => {
      const inside = (act: (on: Fixture) => Promise<unknown>) =>
        withFixture(async (on) => {
          // It is there before anything happens to the dataplane.
          if (name === 'PlaneTap') assert.ok(on.tap);
          await act(on);
        });
      for (const [situation, run] of Object.entries(situations)) {
        const where = `${name}.${member} ${situation}`;
        await inside((on) => run(on, row, (outcome) => ends(where, outcome, () => row.call(on))));
      }
      for (const [ending, end] of Object.entries(endings)) {
        await inside(async (on) => {
          end(on);
          await ends(`${name}.${member} ${ending}`, row.gone, () => row.call(on));
        });
      }
      for (const [act, outcome] of row.wrong ?? []) {
        await inside(async (on) => {
          await ends(`${act}`, outcome, () => act(on));
          if (/release|send/.test(member)) return;
          // Nothing has happened: it works as ever.
          await ends(`${act}, then as it should be`, row.open, () => row.call(on));
        });
      }
    });
  }
}

test('members without their object, and written to where they can only be read', async () => {
  for (const type of [Dataplane, Peers, UserPort, BufferPool, PacketBuffer, PacketBatch])
    for (const { name, use } of strayUses(type)) await ends(name, typeError, use);
});

test('nobody but a dataplane makes what belongs to one', async () => {
  const made: [unknown, RegExp][] = [
    [Dataplane, /^Dataplane must be made by Dataplane\.open, not \[object Object\]$/],
    [Peers, /^Peers must be made by Dataplane\.open, not/],
    [UserPort, /^UserPort must be made by Dataplane\.open, not/],
    [BufferPool, /^BufferPool must be made by Dataplane\.open, not/],
    [PacketBuffer, /^PacketBuffer must be made by its pool, not/],
    [PacketBatch, /^PacketBatch must be made by its pool, not/],
  ];
  for (const [type, message] of made) await ends(`${type}`, wrongKind(message), () => new (wrong(type))({}));
});
