import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LeaseHolder, type LeaseTerms } from '../../../src/agent/lease-holder.js';
import { parseNetConf } from '../../../src/config/net-conf.js';
import { TwillError } from '../../../src/errors.js';
import type { LeaseAttributes } from '../../../src/lease/lease.js';
import { IpAddress } from '../../../src/net/ip.js';
import { Prefix } from '../../../src/net/prefix.js';
import { FakeClock, MemoryStore, recordingLogger, settle } from './fakes.js';

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const attributesOf = (publicIp: string): LeaseAttributes => ({
  publicIp: IpAddress.parse(publicIp),
  publicIpv6: null,
  backendType: '',
});
const leaseValue = (publicIp: string) => `{"PublicIP":"${publicIp}","PublicIPv6":null}`;

function world(overrides: Partial<LeaseTerms> & { config?: string } = {}) {
  const { config = '{"Network":"10.5.0.0/16"}', ...rest } = overrides;
  const clock = new FakeClock();
  const store = new MemoryStore(clock);
  const log = recordingLogger();
  const terms: LeaseTerms = {
    ...{ store, clock, logger: log.logger, netConf: parseNetConf(config), random: () => 0 },
    ...{ attributes: attributesOf('192.0.2.1'), previous: null, ttlMs: dayMs, renewMarginMs: hourMs },
    ...rest,
  };
  const stopping = new AbortController();
  const begin = (more: Partial<LeaseTerms> = {}) =>
    LeaseHolder.acquire({ ...terms, ...more }, stopping.signal);
  /** Acquires, with time going on while it waits after a lost race. */
  const acquire = async (more: Partial<LeaseTerms> = {}) => {
    const acquired = begin(more);
    let isOpen = true;
    const close = () => {
      isOpen = false;
    };
    acquired.then(close, close);
    for (await settle(); isOpen; ) await clock.advance(1);
    return acquired;
  };
  /** Acquires, then keeps; `lost` holds the error that ended it. */
  const keep = async () => {
    const holder = await acquire();
    const end: { error?: unknown; done: boolean } = { done: false };
    holder.keep(stopping.signal).then(
      () => {
        end.done = true;
      },
      (error) => {
        end.error = error;
      },
    );
    const observe = async () => {
      holder.observe(await store.list());
      await settle();
    };
    return { holder, end, observe };
  };
  return { clock, store, stopping, begin, acquire, keep, ...log };
}

describe('acquiring a lease', () => {
  test('the first free subnet, with an end', async () => {
    const { acquire, store, clock } = world();
    const holder = await acquire();
    assert.equal(holder.lease.key, '10.5.1.0-24');
    const record = store.records.get('10.5.1.0-24');
    assert.equal(record?.value, leaseValue('192.0.2.1'));
    assert.equal(record?.expiresAtMs, clock.nowMs() + dayMs);
  });

  test('our own lease is found by its public IP and taken over by compare-and-swap', async () => {
    const { acquire, store } = world();
    const old = store.put(
      '10.5.77.0-24',
      '{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"host-gw"}',
      5000,
    );
    store.put('10.5.1.0-24', leaseValue('192.0.2.2'), dayMs);
    let slips = 1;
    store.beforeWrite = (key) => {
      if (slips-- > 0) store.put(key, store.records.get(key)?.value ?? '', 6000);
    };
    assert.equal((await acquire()).lease.key, '10.5.77.0-24');
    const record = store.records.get('10.5.77.0-24');
    assert.equal(record?.value, leaseValue('192.0.2.1'));
    assert.equal(record?.createdOrder, old.createdOrder);
    assert.equal(store.records.size, 2);
  });

  test('an own lease that does not fit the configuration goes, and a new one comes', async () => {
    const { acquire, store } = world();
    store.put('10.6.1.0-24', leaseValue('192.0.2.1'), dayMs);
    assert.equal((await acquire()).lease.key, '10.5.1.0-24');
    assert.deepEqual([...store.records.keys()], ['10.5.1.0-24']);
  });

  test('the subnet of an earlier run, unless somebody holds it', async () => {
    const previous = { v4: Prefix.parse('10.5.200.0/24') };
    const { acquire, store } = world({ previous });
    assert.equal((await acquire()).lease.key, '10.5.200.0-24');
    const second = await acquire({ attributes: attributesOf('192.0.2.2') });
    assert.notEqual(second.lease.key, '10.5.200.0-24');
    assert.equal(store.records.get('10.5.200.0-24')?.value, leaseValue('192.0.2.1'));
  });

  test('a damaged record still holds its subnet; one that has ended does not', async () => {
    const { acquire, store, clock } = world({
      config: '{"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.2.0"}',
    });
    store.put('10.5.1.0-24', '{broken', dayMs);
    store.put('10.5.2.0-24', leaseValue('192.0.2.9'), 1000);
    await assert.rejects(acquire(), (error) => (error as TwillError).code === 'ERR_TWILL_OUT_OF_SUBNETS');
    await clock.advance(1000);
    assert.equal((await acquire()).lease.key, '10.5.2.0-24');
  });

  test('a reservation keeps having no end and is never renewed', async () => {
    const { keep, store, clock, stopping } = world();
    store.put('10.5.9.0-24', leaseValue('192.0.2.1'));
    const { holder } = await keep();
    assert.deepEqual([holder.lease.key, holder.lease.expiresAtMs], ['10.5.9.0-24', undefined]);
    const { writes } = store;
    await clock.advance(3 * dayMs);
    assert.equal(store.writes, writes);
    assert.equal(store.records.get('10.5.9.0-24')?.expiresAtMs, undefined);
    stopping.abort();
  });

  test('100 nodes racing for exactly 100 subnets all get one of their own', async () => {
    const config = '{"Network":"10.5.0.0/16","SubnetMin":"10.5.1.0","SubnetMax":"10.5.100.0"}';
    const { begin, store, clock } = world({ config, random: Math.random });
    const nodes = Array.from({ length: 100 }, (_, i) => begin({ attributes: attributesOf(`192.0.2.${i}`) }));
    let open = nodes.length;
    for (const node of nodes) node.finally(() => open--).catch(() => {});
    while (open > 0) await clock.advance(250);
    const leases = (await Promise.all(nodes)).map(({ lease }) => lease.key);
    assert.equal(new Set(leases).size, 100);
    assert.equal(store.records.size, 100);
  });

  test('of two keys that overlap the younger claim is withdrawn', async () => {
    const { acquire, store } = world();
    let slips = 1;
    // Between our listing and our creation somebody takes a wider range, under another key.
    store.beforeWrite = () => {
      if (slips-- > 0) store.put('10.5.0.0-20', leaseValue('192.0.2.9'), dayMs);
    };
    const holder = await acquire();
    assert.equal(holder.lease.key, '10.5.16.0-24');
    assert.deepEqual([...store.records.keys()], ['10.5.0.0-20', '10.5.16.0-24']);
  });
});

describe('a store that does not serve', () => {
  const unavailable = new TwillError('ERR_TWILL_STORE_UNAVAILABLE', 'cannot reach it');

  test('is waited for at the start: said once, and when it is over', async () => {
    const { begin, store, clock, lines } = world();
    store.fault = unavailable;
    const acquired = begin();
    await clock.advance(30_000);
    store.fault = null;
    await clock.advance(2000);
    assert.equal((await acquired).lease.key, '10.5.1.0-24');
    const said = lines.filter((line) => line.includes('the store'));
    assert.deepEqual(said, ['warn: waiting for the store: cannot reach it', 'info: the store serves now']);
  });

  test('any other fault ends the start', async () => {
    const { acquire, store } = world();
    store.fault = new TwillError('ERR_TWILL_STORE', 'no');
    await assert.rejects(acquire(), store.fault);
  });

  test('what was known goes on, and is looked at afresh when the store answers', async () => {
    const { begin, store, clock, stopping, lines } = world();
    const known = store.put('10.5.9.0-24', leaseValue('192.0.2.1'), hourMs);
    const listing = { records: [known], unreadable: [], asOfMs: clock.nowMs() };
    store.fault = unavailable;
    const holder = await begin({ listing });
    assert.equal(holder.lease.key, '10.5.9.0-24');
    assert.equal(store.writes, 0);
    const kept = holder.keep(stopping.signal);
    await clock.advance(30_000);
    store.fault = null;
    // The first listing of the watch wakes it, whatever its pause.
    holder.observe(await store.list());
    await settle();
    assert.ok(!lines.at(-1)?.includes('cannot keep'), lines.at(-1));
    await clock.advance(hourMs);
    assert.ok(store.writes > 0);
    assert.equal(store.records.get('10.5.9.0-24')?.value, leaseValue('192.0.2.1'));
    stopping.abort();
    await kept;
  });

  test('what was known and is another node’s by now is lost', async () => {
    const { begin, store, clock, stopping } = world();
    const known = store.put('10.5.9.0-24', leaseValue('192.0.2.1'), hourMs);
    const holder = await begin({ listing: { records: [known], unreadable: [], asOfMs: clock.nowMs() } });
    store.put('10.5.9.0-24', leaseValue('192.0.2.9'), hourMs);
    await assert.rejects(holder.keep(stopping.signal), { code: 'ERR_TWILL_LEASE_LOST' });
  });

  test('without a lease of ours in what was known it is waited for', async () => {
    const { begin, store, clock } = world();
    const other = store.put('10.5.9.0-24', leaseValue('192.0.2.2'), hourMs);
    store.fault = unavailable;
    const acquired = begin({ listing: { records: [other], unreadable: [], asOfMs: clock.nowMs() } });
    await clock.advance(10_000);
    assert.equal(store.writes, 0);
    store.fault = null;
    await clock.advance(2000);
    assert.equal((await acquired).lease.key, '10.5.1.0-24');
  });
});

test('an end that only the store knows is renewed at once, so that we know it', async () => {
  const { begin, store, stopping, clock } = world();
  const own = store.put('10.5.9.0-24', leaseValue('192.0.2.1'), hourMs);
  const holder = await begin();
  const written = store.writes;
  store.records.set(own.key, { ...own, revision: 'x', expiresAtMs: Number.POSITIVE_INFINITY });
  const kept = holder.keep(stopping.signal);
  holder.observe(await store.list());
  await clock.advance(2000);
  assert.equal(store.writes, written + 1);
  assert.ok(Number.isFinite(holder.lease.expiresAtMs));
  stopping.abort();
  await kept;
});

test('a reservation that a hand has changed is mended at once, and stays one', async () => {
  const { begin, store, stopping, clock } = world();
  store.put('10.5.9.0-24', leaseValue('192.0.2.1'));
  const holder = await begin();
  const kept = holder.keep(stopping.signal);
  store.put('10.5.9.0-24', '{"PublicIP":"192.0.2.1","BackendType":"x"}');
  holder.observe(await store.list());
  await clock.advance(1000);
  const record = store.records.get('10.5.9.0-24');
  assert.equal(record?.value, leaseValue('192.0.2.1'));
  assert.equal(record?.expiresAtMs, undefined);
  stopping.abort();
  await kept;
});

describe('keeping a lease', () => {
  test('what another hand writes into it is put right after a moment, once until it is renewed', async () => {
    const { keep, store, clock, stopping, lines } = world();
    const { observe, end } = await keep();
    const key = '10.5.1.0-24';
    const theirs = '{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"vxlan"}';
    const endsAtMs = store.records.get(key)?.expiresAtMs ?? 0;
    const rewrite = async () => {
      store.put(key, theirs, endsAtMs - clock.nowMs());
      await observe();
    };
    const value = () => store.records.get(key)?.value;
    await rewrite();
    await clock.advance(2000);
    assert.equal(value(), theirs, 'whoever takes our place ends us in that time');
    await clock.advance(2000);
    assert.equal(value(), leaseValue('192.0.2.1'));
    const { writes } = store;
    await rewrite();
    await clock.advance(hourMs);
    assert.deepEqual([value(), store.writes], [theirs, writes], 'no second time');
    await clock.advance(dayMs);
    assert.equal(value(), leaseValue('192.0.2.1'), 'but when it is renewed');
    const told = lines.filter((line) => line.includes('rewritten by another hand'));
    const line = `warn: lease ${key} was rewritten by another hand: it is put right`;
    assert.deepEqual(told, [line, `${line} when renewed`]);
    await rewrite();
    await clock.advance(4000);
    assert.equal(value(), leaseValue('192.0.2.1'), 'and then again at once');
    assert.equal(end.error, undefined);
    stopping.abort();
  });

  test('renewed one margin before its end, then again', async () => {
    const { keep, store, clock, stopping, lines } = world();
    const { end } = await keep();
    const endsAtMs = () => store.records.get('10.5.1.0-24')?.expiresAtMs ?? 0;
    const firstMs = endsAtMs();
    await clock.advance(dayMs - hourMs - 1000);
    assert.equal(endsAtMs(), firstMs);
    await clock.advance(1000);
    assert.equal(endsAtMs(), firstMs + dayMs - hourMs);
    await clock.advance(dayMs);
    assert.ok(endsAtMs() > firstMs + dayMs);
    assert.ok(lines.some((line) => line.startsWith('info: Lease renewed, new expiration: ')));
    assert.equal(lines[1], 'info: Waiting for 23h0m0s to renew lease');
    assert.equal(
      lines.filter((line) => line.startsWith('info: Waiting for ')).length,
      lines.filter((line) => line.startsWith('info: Lease renewed')).length + 1,
    );
    stopping.abort();
    await settle();
    assert.equal(end.done, true);
  });

  test('a lease shorter than the margin is renewed at half of its life, not in a hot loop', async () => {
    const { keep, store, clock, stopping } = world({ ttlMs: 10_000 });
    await keep();
    const { writes } = store;
    await clock.advance(100_000);
    assert.equal(store.writes - writes, 20);
    stopping.abort();
  });

  test('while the store is down it tries after about 1, 2, 4 ... 60 s, and gets through', async () => {
    const { keep, store, clock, stopping, lines } = world();
    await keep();
    const endsAtMs = store.records.get('10.5.1.0-24')?.expiresAtMs ?? 0;
    store.fault = new TwillError('ERR_TWILL_STORE', 'down');
    await clock.advance(dayMs - hourMs + 10 * 60_000);
    const attempts = lines.filter((line) => line.includes(': cannot keep lease')).length;
    assert.ok(attempts >= 14 && attempts <= 18, `${attempts} attempts in 10 minutes`);
    assert.equal(lines.filter((line) => line.startsWith('warn: cannot keep lease')).length, 1);
    store.fault = null;
    await clock.advance(60_000);
    assert.ok((store.records.get('10.5.1.0-24')?.expiresAtMs ?? 0) > endsAtMs);
    assert.ok(lines.includes('info: lease 10.5.1.0-24 is kept again'));
    stopping.abort();
  });

  test('a lease that was removed is put back', async () => {
    const { keep, store, stopping } = world();
    const { observe, end } = await keep();
    store.drop('10.5.1.0-24');
    await observe();
    assert.equal(store.records.get('10.5.1.0-24')?.value, leaseValue('192.0.2.1'));
    assert.equal(end.error, undefined);
    stopping.abort();
  });

  test('a lease that was damaged is mended', async () => {
    const { keep, store, clock, stopping } = world();
    const { observe } = await keep();
    store.put('10.5.1.0-24', '{"PublicIP":', dayMs);
    await observe();
    assert.equal(store.records.get('10.5.1.0-24')?.value, '{"PublicIP":', 'its writer may be at work');
    await clock.advance(1000);
    assert.equal(store.records.get('10.5.1.0-24')?.value, leaseValue('192.0.2.1'));
    stopping.abort();
  });

  test('one that another node is in the middle of writing is left to it', async () => {
    const { keep, store, clock } = world();
    const { observe, end } = await keep();
    store.put('10.5.1.0-24', '', dayMs);
    await observe();
    store.put('10.5.1.0-24', leaseValue('192.0.2.66'), dayMs);
    await clock.advance(1000);
    assert.equal((end.error as TwillError | undefined)?.code, 'ERR_TWILL_LEASE_LOST');
    assert.equal(store.records.get('10.5.1.0-24')?.value, leaseValue('192.0.2.66'));
  });

  test('a lease in the hands of another node is lost, and never fought for', async () => {
    const { keep, store } = world();
    const { observe, end } = await keep();
    store.put('10.5.1.0-24', leaseValue('192.0.2.66'), dayMs);
    await observe();
    assert.ok(end.error instanceof TwillError);
    assert.equal(end.error.code, 'ERR_TWILL_LEASE_LOST');
    assert.match(end.error.message, /10\.5\.1\.0-24 is lost: it is now held by node 192\.0\.2\.66/);
    assert.equal(store.records.get('10.5.1.0-24')?.value, leaseValue('192.0.2.66'));
  });

  test('a lease that was removed while another covers its subnet is lost', async () => {
    const { keep, store } = world();
    const { observe, end } = await keep();
    store.drop('10.5.1.0-24');
    store.put('10.5.0.0-20', leaseValue('192.0.2.66'), dayMs);
    await observe();
    assert.equal((end.error as TwillError)?.code, 'ERR_TWILL_LEASE_LOST');
    assert.deepEqual([...store.records.keys()], ['10.5.0.0-20']);
  });

  test('an end that somebody else has set is adopted', async () => {
    const { keep, store, clock, stopping } = world();
    const { holder, observe } = await keep();
    store.put('10.5.1.0-24', leaseValue('192.0.2.1'), 2 * hourMs);
    await observe();
    assert.equal(holder.lease.expiresAtMs, clock.nowMs() + 2 * hourMs);
    await clock.advance(hourMs);
    assert.equal(store.records.get('10.5.1.0-24')?.expiresAtMs, clock.nowMs() + dayMs);
    stopping.abort();
  });

  test('an old listing that arrives late costs one more listing and nothing else', async () => {
    const { keep, store, clock, stopping } = world();
    const { holder, end } = await keep();
    const old = await store.list();
    await clock.advance(dayMs - hourMs);
    const { writes } = store;
    holder.observe(old);
    await settle();
    assert.equal(store.writes, writes);
    assert.equal(end.error, undefined);
    stopping.abort();
  });
});

describe('a node that moves', () => {
  const moved = attributesOf('192.0.2.11');

  test('takes its lease along, by compare-and-swap', async () => {
    const { keep, store, clock, stopping, lines } = world();
    const { holder, end } = await keep();
    const { createdOrder } = store.records.get('10.5.1.0-24') ?? {};
    await clock.advance(hourMs);
    let slips = 1;
    store.beforeWrite = (key) => {
      if (slips-- > 0) store.put(key, leaseValue('192.0.2.1'), hourMs);
    };
    holder.readdress(moved);
    await settle();
    const record = store.records.get('10.5.1.0-24');
    assert.deepEqual([record?.value, record?.createdOrder], [leaseValue('192.0.2.11'), createdOrder]);
    assert.equal(record?.expiresAtMs, clock.nowMs() + dayMs, 'renewed with it');
    assert.ok(lines.includes('info: lease 10.5.1.0-24 names us at 192.0.2.11 now'));
    assert.equal(end.error, undefined);
    const { writes } = store;
    holder.readdress(attributesOf('192.0.2.11'));
    await clock.advance(hourMs);
    assert.equal(store.writes, writes, 'where we are already is no move');
    stopping.abort();
  });

  test('as soon as the store serves, and only to where it is by then', async () => {
    const { keep, store, clock, stopping } = world();
    const { holder, end } = await keep();
    store.fault = new TwillError('ERR_TWILL_STORE_UNAVAILABLE', 'down');
    holder.readdress(attributesOf('192.0.2.10'));
    await clock.advance(5000);
    holder.readdress(moved);
    await clock.advance(5000);
    assert.equal(store.records.get('10.5.1.0-24')?.value, leaseValue('192.0.2.1'));
    store.fault = null;
    await clock.advance(60_000);
    assert.equal(store.records.get('10.5.1.0-24')?.value, leaseValue('192.0.2.11'));
    assert.equal(end.error, undefined);
    stopping.abort();
  });

  test('a reservation stays one', async () => {
    const { keep, store, stopping } = world();
    store.put('10.5.9.0-24', leaseValue('192.0.2.1'));
    const { holder } = await keep();
    holder.readdress(moved);
    await settle();
    const record = store.records.get('10.5.9.0-24');
    assert.deepEqual([record?.value, record?.expiresAtMs], [leaseValue('192.0.2.11'), undefined]);
    stopping.abort();
  });

  test('a lease that somebody took meanwhile is lost', async () => {
    const { keep, store } = world();
    const { holder, end } = await keep();
    store.put('10.5.1.0-24', leaseValue('192.0.2.66'), dayMs);
    holder.readdress(moved);
    await settle();
    assert.equal((end.error as TwillError | undefined)?.code, 'ERR_TWILL_LEASE_LOST');
    assert.equal(store.records.get('10.5.1.0-24')?.value, leaseValue('192.0.2.66'));
  });

  test('who had the address before us may move away; if he does not, his record goes', async () => {
    const { keep, store, clock, stopping, lines } = world();
    const { holder, end } = await keep();
    store.put('10.5.7.0-24', leaseValue('192.0.2.11'), dayMs);
    store.put('10.5.8.0-24', leaseValue('192.0.2.11'), dayMs);
    holder.readdress(moved);
    await clock.advance(5000);
    assert.equal(store.records.size, 3);
    store.put('10.5.7.0-24', leaseValue('192.0.2.1'), dayMs);
    await clock.advance(10_000);
    assert.deepEqual([...store.records.keys()].sort(), ['10.5.1.0-24', '10.5.7.0-24']);
    assert.ok(
      lines.some((line) => line.startsWith('warn: lease 10.5.8.0-24 is removed: it carries our address')),
    );
    const { lists } = store;
    await clock.advance(hourMs);
    assert.equal(store.lists, lists, 'looked for once');
    assert.equal(end.error, undefined);
    stopping.abort();
  });
});
