import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goRegExp } from '../../../src/agent/go-regexp.js';

const cases: [string, string[], string[]][] = [
  ['eth.*|ens', ['eth0', 'veth1', 'ens3'], ['lo']],
  ['^10\\.', ['10.1.2.3'], ['110.1.2.3']],
  ['\\A10\\.5\\.[0-9]+\\.1\\z', ['10.5.77.1'], ['10.5.77.11', 'A10.5.7.1z']],
  ['(?i)^ETH0$', ['eth0', 'ETH0'], ['eth00']],
  ['^en[[:alpha:]][[:digit:]]+$', ['ens12', 'enp3'], ['en12', 'ens1a', 'end:']],
  ['^[^[:digit:]]+$', ['lo'], ['eth0']],
  ['(?P<kind>eth|ens)(?:[0-3])$', ['eth3'], ['eth4']],
  ['^veth\\-[\\:\\-]\\d{2}$', ['veth-:07', 'veth--07'], ['vethx07']],
  ['\\[:digit:\\]', ['[:digit:]'], ['7']],
  ['\\\\A', ['\\A'], ['^']],
];
for (const [text, hits, misses] of cases) {
  test(`Go's ${text}`, () => {
    const pattern = goRegExp(text);
    for (const hit of hits) assert.match(hit, pattern);
    for (const miss of misses) assert.doesNotMatch(miss, pattern);
  });
}

test('what is no pattern, or none that JavaScript knows, is an error', () => {
  for (const text of ['(', '[z-a]', '\\Qeth0\\E', '\\pL', '(?U)a+'])
    assert.throws(() => goRegExp(text), SyntaxError, text);
});
