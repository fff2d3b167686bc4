import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OFFLOADS, parseOffload } from '../../../src/config/offload.js';
import { runOptions } from '../../../src/config/run-options.js';

test('auto is all, off is none, names are those names', () => {
  assert.deepEqual(parseOffload('auto'), OFFLOADS);
  assert.deepEqual(parseOffload('off'), []);
  assert.deepEqual(parseOffload('udp-gro,tun-tso'), ['udp-gro', 'tun-tso']);
  assert.deepEqual(runOptions(['--offload=udp-gso'], {}).offload, ['udp-gso']);
});

test('anything else is named, with what would be right', () => {
  for (const wrong of ['', 'on', 'tun-tso,', 'tso', 'auto,off']) {
    assert.throws(() => parseOffload(wrong), {
      code: 'ERR_TWILL_USAGE',
      message: /--offload=".*write auto, off, or/,
    });
  }
});

test("the names are the engine's", () => {
  const definitions = readFileSync(
    new URL('../../../../native/offload/offloads.def', import.meta.url),
    'utf8',
  );
  const names = [...definitions.matchAll(/^OFFLOAD\(\w+, "([\w-]+)"/gm)].map((match) => match[1]);
  assert.deepEqual(names, [...OFFLOADS]);
});
