/** The rules in both forms, word for word as flannel's own tests have them, but for rule 4 in nft's form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPTABLES_PLACES, jumpText, ruleText } from '../../../src/firewall/iptables-text.js';
import { nftRuleText } from '../../../src/firewall/nft-text.js';
import { familyRules } from '../../../src/firewall/rules.js';
import { Prefix } from '../../../src/net/prefix.js';

const ALL = { masquerade: true, forward: true, randomPorts: true };
const v4 = { network: Prefix.parse('10.42.0.0/16'), subnet: Prefix.parse('10.42.7.0/24') };
const v6 = { network: Prefix.parse('2001:cafe:42::/56'), subnet: Prefix.parse('2001:cafe:42:1::/64') };

test('iptables: the chain of masquerading and the jump to it', () => {
  const texts = (range: typeof v4, choice = ALL) =>
    familyRules(range, choice).masquerade?.map((rule) => ruleText(rule, IPTABLES_PLACES.masquerade.comment));
  const comment = '-m comment --comment "flanneld masq"';
  assert.deepEqual(texts(v4), [
    `-m mark --mark 0x4000/0x4000 ${comment} -j RETURN`,
    `-s 10.42.7.0/24 -d 10.42.0.0/16 ${comment} -j RETURN`,
    `-s 10.42.0.0/16 -d 10.42.7.0/24 ${comment} -j RETURN`,
    `! -s 10.42.0.0/16 -d 10.42.7.0/24 ${comment} -j RETURN`,
    `-s 10.42.0.0/16 ! -d 224.0.0.0/4 ${comment} -j MASQUERADE --random-fully`,
    `! -s 10.42.0.0/16 -d 10.42.0.0/16 ${comment} -j MASQUERADE --random-fully`,
  ]);
  const [, , , , outOf, into] = texts(v6, { ...ALL, randomPorts: false }) ?? [];
  assert.equal(outOf, `-s 2001:cafe:42::/56 ! -d ff00::/8 ${comment} -j MASQUERADE`);
  assert.equal(into, `! -s 2001:cafe:42::/56 -d 2001:cafe:42::/56 ${comment} -j MASQUERADE`);
  assert.equal(jumpText(IPTABLES_PLACES.masquerade), `${comment} -j FLANNEL-POSTRTG`);
});

test('iptables: the chain of forwarding and the jump to it', () => {
  const { comment: label } = IPTABLES_PLACES.forward;
  const comment = '-m comment --comment "flanneld forward"';
  assert.deepEqual(
    familyRules(v4, ALL).forward?.map((rule) => ruleText(rule, label)),
    [`-s 10.42.0.0/16 ${comment} -j ACCEPT`, `-d 10.42.0.0/16 ${comment} -j ACCEPT`],
  );
  assert.equal(jumpText(IPTABLES_PLACES.forward), `${comment} -j FLANNEL-FWD`);
});

test('nft: the same rules, with the mark compared as a bit', () => {
  const texts = (range: typeof v4, choice = ALL) => {
    const { masquerade, forward } = familyRules(range, choice);
    const text = (rules: typeof masquerade) =>
      rules?.map((rule) => nftRuleText(rule, range.network.family)) ?? [];
    return { masquerade: text(masquerade), forward: text(forward) };
  };
  assert.deepEqual(texts(v4), {
    masquerade: [
      'meta mark & 0x00004000 == 0x00004000 return',
      'ip saddr 10.42.7.0/24 ip daddr 10.42.0.0/16 return',
      'ip saddr 10.42.0.0/16 ip daddr 10.42.7.0/24 return',
      'ip saddr != 10.42.0.0/16 ip daddr 10.42.7.0/24 return',
      'ip saddr 10.42.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random',
      'ip saddr != 10.42.0.0/16 ip daddr 10.42.0.0/16 masquerade fully-random',
    ],
    forward: ['ip saddr 10.42.0.0/16 accept', 'ip daddr 10.42.0.0/16 accept'],
  });
  const plain = texts(v6, { ...ALL, randomPorts: false });
  assert.equal(plain.masquerade[4], 'ip6 saddr 2001:cafe:42::/56 ip6 daddr != ff00::/8 masquerade');
  assert.equal(plain.forward[1], 'ip6 daddr 2001:cafe:42::/56 accept');
});

test('what is not asked for is not wanted', () => {
  assert.deepEqual(familyRules(v4, { masquerade: false, forward: false, randomPorts: true }), {
    masquerade: null,
    forward: null,
  });
});
