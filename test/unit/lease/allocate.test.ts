import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseNetConf } from '../../../src/config/net-conf.js';
import { chooseSubnets, compatible } from '../../../src/lease/allocate.js';
import { Prefix } from '../../../src/net/prefix.js';

const conf = (text: string) => parseNetConf(text);
const v4 = (text: string) => ({ v4: Prefix.parse(text) });

test('the first hundred free subnets upward from SubnetMin, one at random', () => {
  const netConf = conf('{"Network":"10.5.0.0/16"}');
  assert.equal(
    `${chooseSubnets(netConf, [], null, () => 0).v4}`,
    '10.5.1.0/24',
    'the very first is left out',
  );
  assert.equal(`${chooseSubnets(netConf, [], null, () => 0.999999).v4}`, '10.5.100.0/24');
  const taken = [v4('10.5.1.0/24'), v4('10.5.2.128/25'), v4('10.5.4.0/22')];
  assert.equal(`${chooseSubnets(netConf, taken, null, () => 0).v4}`, '10.5.3.0/24');
  assert.equal(`${chooseSubnets(netConf, taken, null, () => 0.01).v4}`, '10.5.8.0/24');
});

test('the previous subnet where it is free and fits, else another', () => {
  const netConf = conf('{"Network":"10.5.0.0/16"}');
  assert.equal(`${chooseSubnets(netConf, [], v4('10.5.77.0/24'), () => 0).v4}`, '10.5.77.0/24');
  for (const previous of ['10.5.77.0/25', '10.6.77.0/24', '10.5.0.0/24'])
    assert.equal(`${chooseSubnets(netConf, [], v4(previous), () => 0).v4}`, '10.5.1.0/24');
  assert.equal(
    `${chooseSubnets(netConf, [v4('10.5.77.0/25')], v4('10.5.77.0/24'), () => 0).v4}`,
    '10.5.1.0/24',
  );
  assert.equal(compatible(netConf, { ...v4('10.5.77.0/24'), v6: Prefix.parse('fd00::/64') }), false);
});

test('none left: the error names the range', () => {
  const netConf = conf('{"Network":"10.5.0.0/24","SubnetLen":26}');
  const taken = ['10.5.0.64/26', '10.5.0.128/26', '10.5.0.192/26'].map(v4);
  assert.throws(() => chooseSubnets(netConf, taken, null, () => 0), {
    code: 'ERR_TWILL_OUT_OF_SUBNETS',
    message: /every \/26 of 10\.5\.0\.0\/24 from 10\.5\.0\.64 to 10\.5\.0\.192 is leased/,
  });
});

test('both families, each by itself', () => {
  const netConf = conf('{"Network":"10.5.0.0/16","EnableIPv6":true,"IPv6Network":"fc00::/48"}');
  const { v4: four, v6: six } = chooseSubnets(
    netConf,
    [{ v6: Prefix.parse('fc00:0:0:1::/64') }],
    null,
    () => 0,
  );
  assert.deepEqual([`${four}`, `${six}`], ['10.5.1.0/24', 'fc00:0:0:2::/64']);
});

test('against a plain list: the choice is always free, aligned, in range, and the lowest where random is 0', () => {
  const netConf = conf('{"Network":"10.5.0.0/20","SubnetLen":24}');
  const prefix = fc
    .tuple(fc.integer({ min: 0, max: 4095 }), fc.integer({ min: 20, max: 30 }))
    .map(([host, length]) => Prefix.parse(`10.5.${host >> 8}.${host & 255}/${length}`));
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 30 }), (taken) => {
      const all = Array.from({ length: 15 }, (_, i) => Prefix.parse(`10.5.${i + 1}.0/24`));
      const free = all.filter((subnet) => !taken.some((other) => other.overlaps(subnet)));
      const choose = () =>
        chooseSubnets(
          netConf,
          taken.map((v) => ({ v4: v })),
          null,
          () => 0,
        ).v4;
      if (free.length === 0) assert.throws(choose, { code: 'ERR_TWILL_OUT_OF_SUBNETS' });
      else assert.equal(`${choose()}`, `${free[0]}`);
    }),
  );
});
