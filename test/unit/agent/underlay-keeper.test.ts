import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UnderlayNetlink } from '../../../src/agent/host.js';
import { chooseStand, placeText, type Stand, UnderlayKeeper } from '../../../src/agent/underlay-keeper.js';
import type { Link, NetlinkEvent } from '../../../src/native/netlink.js';
import { IpAddress, type IpFamily } from '../../../src/net/ip.js';
import { Prefix } from '../../../src/net/prefix.js';
import { FakeClock, recordingLogger } from './fakes.js';

const link = (index: number, name: string, more: Partial<Link> = {}): Link => ({
  ...{
    index,
    name,
    kind: 'veth',
    mtu: 1500,
    up: true,
    mac: null,
    alias: '',
    lower: 0,
    master: 0,
    carrier: true,
  },
  ...more,
});
const held = (index: number, text: string) => ({
  ...{ index, address: IpAddress.parse(text), length: 24, scope: 0, flags: 0x80 },
});

/** A host with `eth0` at 192.0.2.1, and a keeper that watches over it. */
function setUp(families: readonly IpFamily[] = [4]) {
  const clock = new FakeClock();
  const { logger, lines } = recordingLogger();
  const kernel = {
    links: [link(1, 'lo'), link(2, 'eth0')],
    addresses: [held(1, '127.0.0.1'), held(2, '192.0.2.1'), held(2, 'fe80::1')],
  };
  let tell: (events: readonly NetlinkEvent[]) => void = () => {};
  let watches = 0;
  const netlink: UnderlayNetlink = {
    links: () => kernel.links,
    addresses: () => kernel.addresses,
    routes: () => [],
    routeGet: () => assert.fail('not asked'),
    watch: (listener) => {
      tell = listener;
      watches += 1;
      return {
        stop() {
          watches -= 1;
        },
      };
    },
  };
  const overlay = [Prefix.parse('10.77.0.0/16')];
  const request = { iface: ['eth0'], ifaceRegex: [], families, overlay };
  const moves: [Stand, Stand][] = [];
  const refusals: Error[] = [];
  const keeper = new UnderlayKeeper(chooseStand(request, netlink), {
    ...{ request, netlink, logger, clock },
    move: (to, from) => {
      const refusal = refusals.shift();
      if (refusal) throw refusal;
      moves.push([to, from]);
    },
  });
  const stopping = new AbortController();
  const kept = keeper.keep(stopping.signal);
  const change = async (make: () => void, waitMs = 200) => {
    make();
    tell([{ kind: 'address', removed: false, index: 2 }]);
    await clock.advance(waitMs);
  };
  const stop = async () => {
    stopping.abort();
    await kept;
    assert.equal(watches, 0);
  };
  return { clock, lines, kernel, moves, refusals, keeper, change, stop };
}

test('another address, another MTU, another number: each is followed once, told where it is another place', async () => {
  const { clock, kernel, moves, keeper, change, stop, lines } = setUp();
  await clock.advance(60_000);
  assert.equal(moves.length, 0, 'nothing has changed');
  await change(() => {
    kernel.addresses = [held(1, '127.0.0.1'), held(2, '192.0.2.11')];
  });
  assert.equal(`${keeper.underlay.publicIp}`, '192.0.2.11');
  await change(() => {
    kernel.links = [link(1, 'lo'), link(2, 'eth0', { mtu: 1400 })];
  });
  assert.equal(keeper.underlay.mtuBytes, 1400);
  await change(() => {
    kernel.links = [link(1, 'lo'), link(9, 'eth0', { mtu: 1400 })];
    kernel.addresses = [held(1, '127.0.0.1'), held(9, '192.0.2.11')];
  });
  assert.equal(keeper.underlay.index, 9);
  assert.deepEqual([moves.length, keeper.moves], [3, 2]);
  assert.deepEqual(
    lines.filter((line) => line.startsWith('warn')),
    [
      'warn: the underlay is 192.0.2.11 on eth0 (MTU 1500) now; it was 192.0.2.1 on eth0 (MTU 1500)',
      'warn: the underlay is 192.0.2.11 on eth0 (MTU 1400) now; it was 192.0.2.11 on eth0 (MTU 1500)',
    ],
  );
  await clock.advance(120_000);
  assert.equal(moves.length, 3);
  await stop();
});

test('other addresses of the host are known, those of one link alone and of the overlay are not', async () => {
  const { kernel, moves, keeper, change, stop } = setUp();
  await change(() => kernel.addresses.push(held(7, 'fe80::7'), held(8, '10.77.1.0')));
  assert.equal(moves.length, 0);
  await change(() => kernel.addresses.push(held(7, '10.244.1.1')));
  assert.deepEqual(moves[0]?.[0].ownAddresses.map(String), ['127.0.0.1', '192.0.2.1', '10.244.1.1']);
  assert.equal(keeper.moves, 0);
  await stop();
});

test('no address, no interface, one that is down: told once, and when it is over', async () => {
  const { kernel, moves, keeper, change, stop, lines } = setUp();
  const { links, addresses } = kernel;
  await change(() => {
    kernel.addresses = [];
  });
  const why = 'interface eth0 has no usable IPv4 address: add one or choose another with --iface';
  assert.equal(keeper.trouble, why);
  await change(() => {});
  await change(() => {
    kernel.links = [link(1, 'lo')];
  });
  assert.equal(keeper.trouble, 'no interface matches --iface=eth0');
  await change(() => Object.assign(kernel, { links, addresses }));
  assert.equal(keeper.trouble, null);
  await change(() => {
    kernel.links = [link(2, 'eth0', { up: false })];
  });
  assert.equal(keeper.trouble, 'interface eth0 is down');
  await change(() => Object.assign(kernel, { links }));
  assert.equal(moves.length, 0, 'it is where it was');
  const told = lines.filter((line) => !line.startsWith('warn'));
  const over = 'info: the underlay is well again: 192.0.2.1 on eth0 (MTU 1500)';
  assert.deepEqual(told, [
    `error: no packet can pass on the underlay: ${why}`,
    'error: no packet can pass on the underlay: no interface matches --iface=eth0',
    over,
    'error: no packet can pass on the underlay: interface eth0 is down',
    over,
  ]);
  await stop();
});

test('a place that cannot be had yet is tried again, ever later, and all stays as it was meanwhile', async () => {
  const { clock, kernel, moves, refusals, keeper, change, stop } = setUp();
  for (let i = 0; i < 8; i++) refusals.push(new Error('cannot bind'));
  await change(() => {
    kernel.addresses = [held(2, '192.0.2.11')];
  }, 1000);
  assert.ok(
    refusals.length >= 3 && refusals.length <= 6,
    `${refusals.length} of 8 attempts left after a second`,
  );
  assert.equal(`${keeper.underlay.address}`, '192.0.2.1');
  assert.equal(keeper.trouble, 'cannot go to 192.0.2.11 on eth0 (MTU 1500) yet: cannot bind');
  await clock.advance(20_000);
  assert.deepEqual([moves.length, keeper.trouble], [1, null]);
  await stop();
});

test('a host that never rests does not keep it busy', async () => {
  const { kernel, moves, change, stop } = setUp();
  for (let i = 0; i < 200; i++) {
    await change(() => {
      kernel.addresses = [held(2, `192.0.2.${1 + (i % 2)}`)];
    }, 5);
  }
  assert.ok(moves.length <= 10, `${moves.length} moves in a second`);
  await stop();
});

test('a place in words', () => {
  const { keeper } = setUp();
  const underlay = { ...keeper.underlay, publicIp: IpAddress.parse('198.51.100.1') };
  assert.equal(placeText(underlay), '192.0.2.1 (known as 198.51.100.1) on eth0 (MTU 1500)');
});
