import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseNetConf } from '../../../src/config/net-conf.js';

function shape(text: string): string {
  const { v4, v6 } = parseNetConf(text);
  const part = (range: typeof v4) =>
    range ? `${range.network} ${range.subnetLength} ${range.subnetMin} ${range.subnetMax}` : '';
  return [v4, v6].map(part).filter(Boolean).join(' | ');
}

const good: [string, string][] = [
  ['{"Network":"10.3.0.0/16"}', '10.3.0.0/16 24 10.3.1.0 10.3.255.0'],
  ['{"network":"10.3.4.5/16"}', '10.3.0.0/16 24 10.3.1.0 10.3.255.0'],
  ['{"Network":"10.3.0.0/23"}', '10.3.0.0/23 25 10.3.0.128 10.3.1.128'],
  ['{"Network":"10.3.0.0/24"}', '10.3.0.0/24 26 10.3.0.64 10.3.0.192'],
  ['{"Network":"10.3.0.0/28"}', '10.3.0.0/28 30 10.3.0.4 10.3.0.12'],
  [
    '{"Network":"10.0.0.0/8","SubnetLen":20,"SubnetMin":"10.10.0.0","SubnetMax":"10.99.0.0"}',
    '10.0.0.0/8 20 10.10.0.0 10.99.0.0',
  ],
  ['{"Network":"10.0.0.0/8","SubnetLen":0,"SubnetMin":"0.0.0.0"}', '10.0.0.0/8 24 10.0.1.0 10.255.255.0'],
  ['{"Network":"10.0.0.0/8","SubnetMin":"10.0.0.0"}', '10.0.0.0/8 24 10.0.0.0 10.255.255.0'],
  [
    '{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fc00::/48"}',
    'fc00::/48 64 fc00:0:0:1:: fc00:0:0:ffff::',
  ],
  [
    '{"Network":"10.3.0.0/16","enableIPv6":true,"ipv6Network":"fc00::/124","IPv6SubnetMin":"::"}',
    '10.3.0.0/16 24 10.3.1.0 10.3.255.0 | fc00::/124 126 fc00::4 fc00::c',
  ],
];
for (const [text, wanted] of good) test(`understood: ${text}`, () => assert.equal(shape(text), wanted));

test('the backend section: absent is udp, its type in lower case, kept raw', () => {
  assert.deepEqual(parseNetConf('{"Network":"10.3.0.0/16"}').backend, { type: 'udp', raw: {} });
  const { backend } = parseNetConf('{"Network":"10.3.0.0/16","backend":{"type":"VXLAN","VNI":7}}');
  assert.deepEqual(backend, { type: 'vxlan', raw: { type: 'VXLAN', VNI: 7 } });
});

const bad: [string, RegExp][] = [
  ['', /it is empty/],
  ['{"Network":"10.3.0.0/16",}', /not JSON/],
  ['[]', /not a JSON object but an array/],
  ['{}', /Network is missing: write the overlay network/],
  ['{"Network":"0.0.0.0/0"}', /Network is "0\.0\.0\.0\/0"/],
  ['{"Network":"10.3.0.0"}', /Network is "10\.3\.0\.0": write an IPv4 network/],
  ['{"Network":"fc00::/48"}', /Network is "fc00::\/48": write an IPv4 network/],
  ['{"Network":7}', /Network is 7/],
  ['{"Network":"10.3.0.0/29"}', /too small to be cut/],
  ['{"Network":"10.3.0.0/16","SubnetLen":31}', /SubnetLen is 31: write 18 to 30/],
  ['{"Network":"10.3.0.0/16","SubnetLen":17}', /SubnetLen is 17: write 18 to 30/],
  ['{"Network":"10.3.0.0/16","SubnetLen":-1}', /SubnetLen is -1/],
  ['{"Network":"10.3.0.0/16","SubnetLen":"24"}', /SubnetLen is "24": write an integer .* without quotes/],
  ['{"Network":"10.3.0.0/16","SubnetLen":24.5}', /SubnetLen is 24\.5/],
  ['{"Network":"10.3.0.0/16","SubnetMin":"10.4.0.0"}', /SubnetMin is "10\.4\.0\.0": it lies outside Network/],
  [
    '{"Network":"10.3.0.0/16","SubnetMax":"10.3.5.7"}',
    /SubnetMax is "10\.3\.5\.7": it is not the base of a \/24: write "10\.3\.5\.0"/,
  ],
  [
    '{"Network":"10.3.0.0/16","SubnetMin":"10.3.9.0","SubnetMax":"10.3.5.0"}',
    /SubnetMin is "10\.3\.9\.0": it lies behind SubnetMax/,
  ],
  ['{"Network":"10.3.0.0/16","EnableIPv4":"yes"}', /EnableIPv4 is "yes": write true or false/],
  ['{"EnableIPv4":false}', /both false/],
  ['{"Network":"10.3.0.0/16","EnableIPv6":true}', /IPv6Network is missing/],
  ['{"Network":"10.3.0.0/16","EnableIPv6":true,"IPv6Network":"10.4.0.0/16"}', /write an IPv6 network/],
  ['{"Network":"10.3.0.0/16","Backend":null}', /Backend is null/],
  ['{"Network":"10.3.0.0/16","Backend":{}}', /Backend\.Type is ""/],
  ['{"Network":"10.3.0.0/16","Backend":"vxlan"}', /Backend is "vxlan": write an object/],
];
for (const [text, why] of bad) {
  test(`refused: ${text}`, () =>
    assert.throws(() => parseNetConf(text), { code: 'ERR_TWILL_CONFIG', message: why }));
}

test('any JSON is either understood or refused in one line', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      try {
        parseNetConf(text);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'ERR_TWILL_CONFIG');
        assert.ok(!(error as Error).message.includes('\n'));
      }
    }),
  );
});
