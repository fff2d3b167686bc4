import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlackholeKeeper } from '../../../src/agent/blackhole-keeper.js';
import { FirewallKeeper, firewallOf } from '../../../src/agent/firewall-keeper.js';
import { parseSubnetEnv } from '../../../src/agent/subnet-env.js';
import type { FirewallState } from '../../../src/firewall/firewall.js';
import type { Route } from '../../../src/native/netlink.js';
import { Prefix } from '../../../src/net/prefix.js';
import { FakeClock, recordingLogger } from './fakes.js';

const right: FirewallState = {
  ...{ holder: 'iptables-nft', mended: [], troubles: [], isRight: true, lacksRandomPorts: false },
};

function setUp({ watches = true, states = [] as FirewallState[] } = {}) {
  const clock = new FakeClock();
  const { logger, lines } = recordingLogger();
  const stopping = new AbortController();
  let tell = () => {};
  let looks = 0;
  const firewall = {
    isDone: false,
    async converge() {
      looks += 1;
      return states.shift() ?? right;
    },
  };
  const netlink = {
    watchNftables(_: unknown, listener: () => void) {
      if (!watches) throw new Error('no such protocol');
      tell = listener;
      return { stop() {} };
    },
  };
  const choice = { masquerade: true, forward: true, randomPorts: true };
  const parts = { firewall, choice, mode: 'iptables', resyncMs: 5000, netlink, logger, clock } as const;
  const keeper = new FirewallKeeper(parts);
  const kept = keeper.keep(stopping.signal);
  const stop = async () => {
    stopping.abort();
    await kept;
  };
  return { clock, lines, keeper, kept, states, firewall, stop, looks: () => looks, tell: () => tell() };
}

test('looks at the start, after changes that the kernel tells of, and each minute', async () => {
  const { clock, keeper, looks, tell, stop } = setUp();
  assert.equal(keeper.missing, 'the rules of this host have not been looked at yet');
  await keeper.attempted;
  await clock.advance(10_000);
  assert.deepEqual([looks(), keeper.missing], [1, null]);
  tell();
  tell();
  await clock.advance(100);
  assert.equal(looks(), 2, 'one look for a burst');
  await clock.advance(121_000);
  assert.equal(looks(), 4);
  await stop();
});

test('every --iptables-resync where the kernel tells nothing: an old one, iptables-legacy, trouble', async () => {
  const deaf = setUp({ watches: false });
  await deaf.clock.advance(16_600);
  assert.equal(deaf.looks(), 4);
  await deaf.stop();
  const legacy = setUp({ states: Array<FirewallState>(4).fill({ ...right, holder: 'iptables-legacy' }) });
  await legacy.clock.advance(16_600);
  assert.equal(legacy.looks(), 4);
  await legacy.stop();
});

test('the first rules are news, later ones are mended; who changes them again and again is not raced', async () => {
  const first = { ...right, mended: ['chain X was missing'] };
  const { clock, keeper, lines, states, looks, tell, stop } = setUp({ states: [first] });
  await clock.advance(600);
  assert.ok(lines.includes('info: rules of this host are set: iptables-nft'));
  for (let i = 0; i < 1000; i++) states.push({ ...right, mended: ['chain X lacked 1 of 6 rules'] });
  for (let i = 0; i < 600; i++) {
    tell();
    await clock.advance(100);
  }
  assert.ok(looks() > 12 && looks() < 25, `${looks()} looks in a minute`);
  assert.ok(
    lines.includes('warn: rules of this host were not as they should be: chain X lacked 1 of 6 rules'),
  );
  const { count, last } = keeper.status()?.mended ?? { count: 0, last: [] };
  assert.deepEqual([count, last.length], [looks() - 1, Math.min(looks() - 1, 50)]);
  await stop();
});

test('trouble is told once and its end too; rules that cannot be looked at are taken to be as they were', async () => {
  const locked = {
    ...right,
    isRight: false,
    troubles: ['iptables-legacy: table nat: the xtables lock is held'],
  };
  const { clock, keeper, lines, states, stop } = setUp({ states: [locked, locked] });
  await clock.advance(600);
  assert.equal(keeper.missing, 'iptables-legacy: table nat: the xtables lock is held');
  await clock.advance(12_000);
  assert.equal(keeper.missing, null);
  assert.equal(
    lines.filter((line) => line.startsWith('error: rules of this host: iptables-legacy')).length,
    1,
  );
  assert.ok(lines.includes('info: rules of this host are as they should be again'));
  states.push({ ...right, isRight: null, troubles: ['iptables-nft: the rules cannot be listed: busy'] });
  await clock.advance(61_000);
  assert.ok(lines.includes('error: rules of this host: iptables-nft: the rules cannot be listed: busy'));
  assert.equal(keeper.missing, null);
  await stop();
});

test('nothing to keep: one look, then peace; none of our business: not even that', async () => {
  const { firewall, kept, keeper, looks } = setUp();
  firewall.isDone = true;
  await kept;
  assert.deepEqual([looks(), keeper.missing], [1, null]);
  const { logger } = recordingLogger();
  const netlink = { watchNftables: () => assert.fail('not asked') };
  const parts = {
    choice: null,
    mode: 'iptables',
    resyncMs: 5000,
    netlink,
    logger,
    clock: new FakeClock(),
  } as const;
  const idle = new FirewallKeeper({ ...parts, firewall: null });
  await idle.keep(new AbortController().signal);
  await idle.attempted;
  assert.deepEqual([idle.missing, idle.status()], [null, null]);
});

test('what the options amount to; an earlier run that masqueraded is cleaned up after', () => {
  const subnetEnv = {
    networks: { v4: Prefix.parse('10.42.0.0/16') },
    subnets: { v4: Prefix.parse('10.42.7.0/24') },
  };
  const of = (asked: boolean, earlier: string | null) => {
    const firewall = asked ? { masquerade: true, forward: true, randomPorts: true } : null;
    const read = earlier === null ? null : parseSubnetEnv(earlier);
    return firewallOf({ firewall, resyncSeconds: 7 }, { enableNftables: true }, subnetEnv, read);
  };
  assert.equal(of(false, null).firewall, null);
  assert.equal(of(false, 'FLANNEL_IPMASQ=false\n').firewall, null);
  assert.ok(of(false, 'FLANNEL_IPMASQ=true\n').firewall);
  assert.deepEqual([of(true, null).mode, of(true, null).resyncMs], ['nftables', 7000]);
});

test('the blackhole route: after a period, again when it goes, never beside another; an earlier one goes', async () => {
  const clock = new FakeClock();
  const { logger, lines } = recordingLogger();
  const stopping = new AbortController();
  const [own, late, foreign] = ['10.42.7.0/24', '10.42.9.0/24', '10.42.8.0/24'].map((text) =>
    Prefix.parse(text),
  );
  assert.ok(own && late && foreign);
  const nothing = { gateway: null, source: null, index: 0, protocol: 3, scope: 0 };
  const blackhole = (destination: Prefix, priority: number): Route => {
    return { ...nothing, destination, priority, table: 254, type: 6 };
  };
  let routes = [blackhole(late, 4096), blackhole(foreign, 0)];
  const isSame = (a: Route, destination: Prefix, priority: number) =>
    a.destination?.equals(destination) && a.priority === priority;
  const netlink = {
    routes: () => routes,
    blackholeAdd: (destination: Prefix, priority: number) => {
      if (routes.some((route) => isSame(route, destination, priority))) throw new Error('File exists');
      routes.push(blackhole(destination, priority));
    },
    blackholeDelete: (destination: Prefix, priority: number) => {
      routes = routes.filter((route) => !isSame(route, destination, priority));
    },
  };
  const parts = { netlink, logger, clock, isWanted: true, subnets: { v4: own }, resyncMs: 5000 };
  const kept = new BlackholeKeeper({ ...parts, earlier: { v4: late } }).keep(stopping.signal);
  const shown = () => routes.map(({ destination, priority }) => `${destination} ${priority}`);
  await clock.advance(4000);
  assert.deepEqual(shown(), ['10.42.8.0/24 0'], 'not yet');
  await clock.advance(2000);
  assert.deepEqual(shown(), ['10.42.8.0/24 0', '10.42.7.0/24 4096']);
  routes = [blackhole(own, 0)];
  await clock.advance(10_000);
  assert.deepEqual(shown(), ['10.42.7.0/24 0'], 'one that somebody has set does as well');
  routes = [];
  await clock.advance(5000);
  assert.deepEqual(shown(), ['10.42.7.0/24 4096']);
  assert.ok(lines.includes('info: blackhole route for 10.42.9.0/24 of an earlier run is removed'));
  stopping.abort();
  await kept;
});
