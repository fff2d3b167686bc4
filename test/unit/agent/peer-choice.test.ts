import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choosePeer } from '../../../src/agent/peer-choice.js';
import type { PeerLease } from '../../../src/agent/peers.js';
import { IpAddress } from '../../../src/net/ip.js';
import { Prefix } from '../../../src/net/prefix.js';

function entry(key: string, ...rows: [subnet: string, endpoint: string][]): PeerLease {
  return {
    lease: { key } as PeerLease['lease'],
    peers: rows.map(([subnet, endpoint]) => ({
      subnet: Prefix.parse(subnet),
      endpoint: { address: IpAddress.parse(endpoint), port: 8472 },
    })),
  };
}

const entries = [
  entry('wide', ['10.0.0.0/8', '192.0.2.9']),
  entry('one', ['10.5.2.0/24', '192.0.2.2'], ['fd00:5:0:2::/64', '2001:db8::2']),
  entry('two', ['10.5.3.0/24', '192.0.2.3']),
];

test('a peer is named by its subnet, its endpoint or an address that it holds, the longest prefix first', () => {
  const names: { readonly [text: string]: string | null } = {
    '10.5.2.0/24': 'one',
    'fd00:5:0:2::/64': 'one',
    '192.0.2.2': 'one',
    '2001:db8::2': 'one',
    '10.5.3.77': 'two',
    '10.9.9.9': 'wide',
    '10.5.2.0/25': null,
    '192.0.2.77': null,
  };
  for (const [text, key] of Object.entries(names))
    assert.equal(choosePeer(text, entries)?.lease.key ?? null, key, text);
  assert.throws(() => choosePeer('node-b', entries), {
    code: 'ERR_TWILL_ADDRESS',
    message: /"node-b" names no peer/,
  });
});
