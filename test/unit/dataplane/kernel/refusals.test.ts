import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RTPROT_TWILL } from '../../../../src/dataplane/kernel/entry.js';
import type { Step } from '../../../../src/dataplane/kernel/reconcile.js';
import { Refusals } from '../../../../src/dataplane/kernel/refusals.js';
import { IpAddress } from '../../../../src/net/ip.js';
import { Prefix } from '../../../../src/net/prefix.js';

const step = (subnet: string, verb: Step['verb'] = 'add'): Step => ({
  verb,
  owner: subnet,
  entry: {
    ...{ kind: 'route', destination: Prefix.parse(subnet), gateway: IpAddress.parse('198.51.100.9') },
    ...{ index: 2, onlink: false, protocol: RTPROT_TWILL },
  },
});
const [bad, good] = [step('10.77.2.0/24'), step('10.77.3.0/24')];
const unreachable = { errno: 101, message: 'Network is unreachable (Nexthop has invalid gateway)' };

test('a refused step waits ever longer, by itself; others are due at once', () => {
  const refusals = new Refusals();
  let nowMs = 0;
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    assert.deepEqual(refusals.due([bad, good], nowMs), [bad, good]);
    assert.equal(refusals.note(bad, unreachable, nowMs), false);
    assert.equal(refusals.note(good, null, nowMs), true);
    assert.deepEqual(refusals.due([bad, good], nowMs), [good]);
    const waitMs = refusals.retryInMs(nowMs) ?? 0;
    waits.push(waitMs);
    nowMs += waitMs;
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
});

test('its peer is told why, until it is done or not wanted any more', () => {
  const refusals = new Refusals();
  refusals.note(bad, unreachable, 0);
  assert.deepEqual(
    [...refusals.troubles],
    [['10.77.2.0/24', `the route to 10.77.2.0/24 via 198.51.100.9 cannot be set: ${unreachable.message}`]],
  );
  refusals.due([good], 0);
  assert.deepEqual([[...refusals.troubles], refusals.retryInMs(0)], [[], null], 'nobody wants it');
  refusals.note(bad, unreachable, 0);
  refusals.note(bad, null, 0);
  assert.equal(refusals.troubles.size, 0, 'done');
});

test('a change of anything is a reason to try at once', () => {
  const refusals = new Refusals();
  for (let i = 0; i < 5; i++) refusals.note(bad, unreachable, 0);
  refusals.retryNow();
  assert.deepEqual(refusals.due([bad], 0), [bad]);
});

test('what was to be removed and is gone is removed', () => {
  const refusals = new Refusals();
  for (const errno of [2, 3, 19, 99])
    assert.equal(refusals.note(step('10.77.2.0/24', 'delete'), { errno, message: 'no' }, 0), true);
  assert.equal(refusals.note(step('10.77.2.0/24', 'delete'), { errno: 1, message: 'no' }, 0), false);
  assert.match(refusals.troubles.get('10.77.2.0/24') ?? '', /cannot be removed: no/);
});
