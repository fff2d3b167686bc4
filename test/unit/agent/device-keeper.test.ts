import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeviceKeeper } from '../../../src/agent/device-keeper.js';
import { Mended } from '../../../src/agent/mended.js';
import type { NetlinkEvent } from '../../../src/native/netlink.js';
import { FakeClock, FakePlane, recordingLogger } from './fakes.js';

function setUp() {
  const clock = new FakeClock();
  const plane = new FakePlane();
  const { logger, lines } = recordingLogger();
  const stopping = new AbortController();
  let tell: (events: readonly NetlinkEvent[]) => void = () => {};
  let isWatching = true;
  const netlink = {
    watch(listener: (events: readonly NetlinkEvent[]) => void) {
      tell = listener;
      return {
        stop() {
          isWatching = false;
        },
      };
    },
  };
  const other: { supplanter: Error | null } = { supplanter: null };
  const keeper = new DeviceKeeper({
    ...{ plane, netlink, logger, clock },
    explain: (error) => error,
    supplanter: () => other.supplanter,
    supplanterOfRoutes: () => other.supplanter,
    mended: new Mended(),
  });
  const kept = keeper.keep(stopping.signal);
  kept.catch(() => {});
  const event = (index: number, kind: NetlinkEvent['kind'] = 'link') =>
    tell([{ kind, removed: false, index }]);
  const stop = async () => {
    stopping.abort();
    await kept;
    assert.equal(isWatching, false);
  };
  return { clock, plane, lines, keeper, kept, other, event, stop, isWatching: () => isWatching };
}

test('looks at the start, after changes of our device, after lost events, and now and then', async () => {
  const { clock, plane, event, stop } = setUp();
  await clock.advance(100);
  assert.equal(plane.looks, 1);
  event(3);
  await clock.advance(1000);
  assert.equal(plane.looks, 1, 'another device is not our concern');
  event(7);
  event(7, 'route');
  await clock.advance(100);
  assert.equal(plane.looks, 2, 'one look for a burst');
  event(0, 'lost');
  await clock.advance(100);
  assert.equal(plane.looks, 3);
  await clock.advance(60_000);
  assert.equal(plane.looks, 5);
  await stop();
});

test('what is put right is logged; who changes it back at once does not keep us busy', async () => {
  const { clock, plane, lines, event, stop } = setUp();
  for (let i = 0; i < 1000; i++) plane.states.push({ mended: ['its MTU was 9, not 1450'], trouble: null });
  for (let i = 0; i < 200; i++) {
    event(7);
    await clock.advance(10);
  }
  assert.ok(plane.looks >= 3 && plane.looks <= 5, `${plane.looks} looks in two seconds`);
  assert.ok(lines.includes('warn: device flannel.1: its MTU was 9, not 1450'));
  await stop();
});

test('a failure is told once, retried ever later, and its end is told', async () => {
  const { clock, plane, lines, keeper, stop } = setUp();
  const refused = new Error('no /dev/net/tun');
  for (let i = 0; i < 12; i++) plane.states.push(refused);
  await clock.advance(1000);
  assert.equal(keeper.trouble, 'it cannot be put right: no /dev/net/tun');
  assert.ok(plane.looks >= 4 && plane.looks <= 5, `${plane.looks} looks in the first second`);
  assert.equal(lines.filter((line) => line.startsWith('error: ')).length, 1);
  await clock.advance(60_000);
  assert.equal(keeper.trouble, null);
  assert.deepEqual(lines.at(-1), 'info: device flannel.1 carries packets again');
  await stop();
});

test('a device that is down stays the state until it is up', async () => {
  const { clock, plane, keeper, event, stop } = setUp();
  plane.states.push({ mended: [], trouble: 'it is down' });
  await clock.advance(100);
  assert.equal(keeper.trouble, 'it is down');
  event(7);
  await clock.advance(100);
  assert.equal(keeper.trouble, null);
  await stop();
});

test('another that has taken its place for good ends the keeper, at the first failure', async () => {
  const { clock, plane, kept, other, isWatching } = setUp();
  other.supplanter = new Error('flanneld has put its own device in the place of flannel.1');
  plane.states.push(new Error('a vxlan device is in the way'));
  await clock.advance(100);
  await assert.rejects(kept, /flanneld has put its own device/);
  assert.equal(plane.looks, 1);
  assert.equal(isWatching(), false);
});
