/** What `Tun` refuses before it asks the system. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tun, type TunOptions } from '../../../src/dataplane/tun.js';

const cases: [kind: 'TypeError' | 'RangeError', message: RegExp, options: unknown][] = [
  ['TypeError', /options must be an object, not "tun0"/, 'tun0'],
  ['TypeError', /options must be an object, not null/, null],
  ['TypeError', /name must be a string, not 7/, { name: 7 }],
  ['RangeError', /name must be 1 to 15 bytes.*not ""/, { name: '' }],
  ['RangeError', /name must be 1 to 15 bytes/, { name: 'a'.repeat(16) }],
  ['RangeError', /name must be 1 to 15 bytes/, { name: 'a/b' }],
  ['TypeError', /mtu must be a number, not "1400"/, { mtu: '1400' }],
  ['RangeError', /mtu must be 68 to 65535 bytes, not 67/, { mtu: 67 }],
  ['RangeError', /mtu must be 68 to 65535 bytes, not 65536/, { mtu: 65_536 }],
  ['TypeError', /ipv4 must be a string/, { ipv4: 1 }],
  ['RangeError', /ipv4 must be like 10\.9\.0\.1\/24, not "10\.9\.0\.1"/, { ipv4: '10.9.0.1' }],
  ['RangeError', /ipv4 must be like/, { ipv4: 'fd00::1/64' }],
  ['RangeError', /ipv4 must be like/, { ipv4: '10.9.0.1/33' }],
  ['RangeError', /ipv6 must be like fd00:9::1\/64, not "10\.9\.0\.1\/24"/, { ipv6: '10.9.0.1/24' }],
  ['TypeError', /isUp must be true or false, not 1/, { isUp: 1 }],
  ['TypeError', /highWaterMark must be a number/, { highWaterMark: '64' }],
  ['RangeError', /highWaterMark must be a whole number of packets, 1 or more, not 0/, { highWaterMark: 0 }],
];

for (const [kind, message, options] of cases) {
  test(`${kind}: ${message.source}`, () => {
    assert.throws(
      () => new Tun(options as TunOptions),
      (error: Error & { code?: string }) => {
        assert.deepEqual([error.name, error.code], [kind, 'ERR_TWILL_ARGUMENT']);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}
