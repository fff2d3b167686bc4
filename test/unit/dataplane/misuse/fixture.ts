/** What a row of the table acts on: a dataplane between two user ports, stepped, and another one beside it. */
import assert from 'node:assert/strict';
import {
  Dataplane,
  type DataplaneOptions,
  type PacketBatch,
  type PacketBuffer,
  type PeerStats,
  type PlaneTap,
  type UserPort,
} from '../../../../src/index.js';
import { ipPacket } from '../../../support/packets.js';

export const SLOTS = 256;
export const options: DataplaneOptions = {
  encap: 'vxlan',
  subnets: ['10.5.1.0/24'],
  mac: '02:00:00:00:00:01',
  overlay: { kind: 'user' },
  underlay: { kind: 'user' },
  workers: 0,
  poolSlots: SLOTS,
};
export const other = { subnet: '10.5.2.0/24', endpoint: { address: '192.0.2.2' }, mac: '02:00:00:00:00:02' };
/** From us to the peer: 32 bytes, and 22 of the tunnel in front when it goes out. */
export const outward = ipPacket({ source: '10.5.1.9', destination: '10.5.2.9' });

export interface Fixture {
  readonly plane: Dataplane;
  readonly overlay: UserPort;
  readonly underlay: UserPort;
  /** The program's. */
  readonly packet: PacketBuffer;
  /** With one packet in it. */
  readonly batch: PacketBatch;
  readonly stats: PeerStats;
  readonly tap: PlaneTap;
  /** The same of another dataplane. */
  readonly foreign: { readonly packet: PacketBuffer; readonly batch: PacketBatch };
  /** Remembers what a row took, to be given back; the same. */
  keep<T extends PacketBuffer | readonly PacketBuffer[] | null>(taken: T): T;
}

async function openOne() {
  const plane = await Dataplane.open(options);
  plane.peers.set(other);
  const packet = plane.pool.allocate(outward.length) as PacketBuffer;
  packet.bytes.set(outward);
  const batch = plane.pool.batch(4);
  batch.allocate(1, outward.length);
  plane.pool.memory.set(outward, batch.start(0));
  return { plane, packet, batch };
}

/** Runs `act` on a fresh fixture. Afterwards every buffer is back where it belongs, whatever was done. */
export async function withFixture(act: (on: Fixture) => Promise<void>): Promise<void> {
  const { plane, packet, batch } = await openOne();
  const foreign = await openOne();
  const kept: PacketBuffer[] = [packet];
  const ports = { overlay: plane.overlay as UserPort, underlay: plane.underlay as UserPort };
  let tap: PlaneTap | null = null;
  const on: Fixture = {
    ...{ plane, ...ports, packet, batch, foreign },
    stats: plane.peers.stats(),
    // Opened when it is asked for: there can be but one.
    get tap() {
      tap ??= plane.openTap();
      return tap;
    },
    keep: (taken) => {
      if (taken) kept.push(...(Array.isArray(taken) ? taken : [taken]));
      return taken;
    },
  };
  try {
    await act(on);
  } catch (error) {
    await Promise.all([plane.close(), foreign.plane.close()]);
    throw error;
  }
  for (const each of kept) each[Symbol.dispose]();
  batch.release();
  if (!plane.isClosed) {
    while (plane.step() > 0);
    for (const port of Object.values(ports)) plane.pool.release(port.receive());
  }
  assert.deepEqual([plane.pool.held, plane.pool.free, plane.pool.collected], [0, SLOTS, 0], 'the account');
  foreign.packet.release();
  foreign.batch.release();
  assert.equal(foreign.plane.pool.free, SLOTS, 'the account of the other one');
  await Promise.all([plane.close(), foreign.plane.close()]);
}
