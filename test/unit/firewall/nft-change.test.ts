import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FamilyWish } from '../../../src/firewall/engine.js';
import { nftChange } from '../../../src/firewall/nft-change.js';
import { NFT_CHAINS, nftRuleText, parseListed } from '../../../src/firewall/nft-text.js';
import { familyRules, NO_RULES, type OverlayRange, type Purpose } from '../../../src/firewall/rules.js';
import { Prefix } from '../../../src/net/prefix.js';
import { times } from '../../support/properties.js';
import { applied, listedText, type ModelNftChain, type ModelRuleset } from '../../support/restore-model.js';

const PLACE = 'ip flannel-ipv4';
const rangeOf = (network: string, subnet: string): OverlayRange => {
  return { network: Prefix.parse(network), subnet: Prefix.parse(subnet) };
};
const now = rangeOf('10.42.0.0/16', '10.42.7.0/24');
const before = rangeOf('10.41.0.0/16', '10.41.3.0/24');
const ALL = { masquerade: true, forward: true, randomPorts: true };
const wish: FamilyWish = { rules: familyRules(now, ALL), range: now, earlier: [before], removesAll: false };
const nothing: FamilyWish = { ...wish, rules: NO_RULES };

function chain(purpose: Purpose, range = now): ModelNftChain {
  const rules = (familyRules(range, ALL)[purpose] ?? []).map((rule) => nftRuleText(rule, 4));
  const { hook, comment } = NFT_CHAINS[purpose];
  return { hook, comment, rules };
}

function ruleset(chains: { readonly [name: string]: ModelNftChain }, isDormant = false): ModelRuleset {
  const table = { comment: 'rules for flannel-ipv4', isDormant, chains: new Map(Object.entries(chains)) };
  return new Map([[PLACE, table]]);
}

const whole = { postrtg: chain('masquerade'), forward: chain('forward') };
const theirs = chain('masquerade', rangeOf('10.99.0.0/16', '10.99.1.0/24'));
const foreign: ModelNftChain = { hook: '', rules: ['counter packets 0 bytes 0 accept'] };

function listing(model: ModelRuleset) {
  const text = listedText(model, PLACE);
  return text === null ? null : parseListed(text);
}

/** The ruleset after our change, by way of the text that nft prints. */
function after(want: FamilyWish, model: ModelRuleset): { model: ModelRuleset; reasons: readonly string[] } {
  const change = nftChange(4, want, listing(model));
  if (!change) return { model, reasons: [] };
  const changed = applied(model, change.input);
  assert.equal(nftChange(4, want, listing(changed)), null, 'nothing is left to do');
  return { model: changed, reasons: change.reasons };
}

test('nothing there: table and chains as flannel makes them', () => {
  const { model, reasons } = after(wish, new Map());
  assert.deepEqual(model, ruleset(whole));
  assert.deepEqual(reasons, [
    'chain postrtg of flannel-ipv4 was missing',
    'chain forward of flannel-ipv4 was missing',
  ]);
});

test('all there: not a word; what flannel has made differs in the mark and in rule 4', () => {
  assert.deepEqual(after(wish, ruleset(whole)).reasons, []);
  const rules = whole.postrtg.rules.with(0, 'meta mark 0x00004000 return');
  const flannels = rules.with(3, 'ip saddr != 10.42.7.0/24 ip daddr 10.42.0.0/16 return');
  const { model, reasons } = after(
    wish,
    ruleset({ ...whole, postrtg: { ...whole.postrtg, rules: flannels } }),
  );
  assert.deepEqual(model, ruleset(whole));
  assert.deepEqual(reasons, ['chain postrtg of flannel-ipv4 lacked 2 of 6 rules']);
});

test('only the chain that differs is touched, chains of others in the table never', () => {
  const change = nftChange(
    4,
    wish,
    listing(ruleset({ ...whole, postrtg: { ...whole.postrtg, rules: [] }, mine: foreign })),
  );
  assert.doesNotMatch(change?.input ?? '', /flannel-ipv4 (forward|mine)/);
  const { model } = after(wish, ruleset({ ...whole, postrtg: theirs, mine: foreign }));
  assert.deepEqual(model, ruleset({ ...whole, mine: foreign }));
});

test('a chain that hangs elsewhere, or whose policy is drop, is made anew; a dormant table is woken', () => {
  for (const hook of [
    'type nat hook postrouting priority srcnat; policy drop;',
    'type filter hook input priority filter; policy accept;',
  ]) {
    const { model, reasons } = after(wish, ruleset({ ...whole, postrtg: { ...whole.postrtg, hook } }));
    assert.deepEqual(model.get(PLACE)?.chains.get('postrtg'), whole.postrtg);
    assert.deepEqual(reasons, ['chain postrtg of flannel-ipv4 hung elsewhere or let nothing pass']);
  }
  const { model, reasons } = after(wish, ruleset(whole, true));
  assert.deepEqual([model, reasons], [ruleset(whole), ['table flannel-ipv4 was dormant']]);
});

test('not wanted any more: the table goes, unless it holds what is not ours', () => {
  assert.deepEqual([...after(nothing, ruleset(whole)).model], []);
  assert.deepEqual(after(nothing, ruleset({ ...whole, mine: foreign })).model, ruleset({ mine: foreign }));
  assert.deepEqual(after(nothing, ruleset({ postrtg: theirs })).reasons, []);
  assert.deepEqual([...after({ ...nothing, removesAll: true }, ruleset({ postrtg: theirs })).model], []);
  assert.deepEqual(after(nothing, new Map()).reasons, []);
  const onlyForward = { ...wish, rules: { masquerade: null, forward: wish.rules.forward } };
  assert.deepEqual(after(onlyForward, ruleset(whole)).model, ruleset({ forward: whole.forward }));
});

test('another form that nft lists is taken where it is accepted', () => {
  const rules = whole.postrtg.rules.with(0, 'meta mark and 0x4000 == 0x4000 return');
  const listed = listing(ruleset({ ...whole, postrtg: { ...whole.postrtg, rules } }));
  assert.notEqual(nftChange(4, wish, listed), null);
  assert.equal(
    nftChange(4, wish, listed, () => true),
    null,
  );
});

test('whatever the table holds: afterwards our rules are right and chains of others as they were', () => {
  const rule = fc.constantFrom(...whole.postrtg.rules, ...theirs.rules, ...whole.forward.rules, 'drop');
  const some = (name: Purpose) =>
    fc.option(
      fc.record({
        hook: fc.constantFrom(
          NFT_CHAINS[name].hook,
          'type filter hook output priority filter; policy accept;',
          '',
        ),
        rules: fc.array(rule, { maxLength: 8 }),
      }),
      { nil: undefined },
    );
  fc.assert(
    fc.property(some('masquerade'), some('forward'), fc.boolean(), (postrtg, forward, isDormant) => {
      const chains = { ...(postrtg && { postrtg }), ...(forward && { forward }), mine: foreign };
      const { model } = after(wish, ruleset(chains, isDormant));
      const found = model.get(PLACE);
      assert.deepEqual([found?.isDormant, found?.chains.get('mine')], [false, foreign]);
      for (const purpose of ['masquerade', 'forward'] as const) {
        const { hook, rules } = found?.chains.get(NFT_CHAINS[purpose].name) ?? {};
        assert.deepEqual({ hook, rules }, { hook: NFT_CHAINS[purpose].hook, rules: chain(purpose).rules });
      }
    }),
    times(200),
  );
});
