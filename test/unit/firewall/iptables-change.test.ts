import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tableChange, type WantedTable } from '../../../src/firewall/iptables-change.js';
import { IPTABLES_PLACES, jumpText, parseSaved, ruleText } from '../../../src/firewall/iptables-text.js';
import {
  familyRules,
  flatMasqueradeRules,
  type OverlayRange,
  type Purpose,
} from '../../../src/firewall/rules.js';
import { Prefix } from '../../../src/net/prefix.js';
import { times } from '../../support/properties.js';
import { type ModelTable, restored, savedText } from '../../support/restore-model.js';

const rangeOf = (network: string, subnet: string): OverlayRange => {
  return { network: Prefix.parse(network), subnet: Prefix.parse(subnet) };
};
const now = rangeOf('10.42.0.0/16', '10.42.7.0/24');
const before = rangeOf('10.41.0.0/16', '10.41.3.0/24');
const ALL = { masquerade: true, forward: true, randomPorts: true };

function wanted(purpose: Purpose, more: Partial<WantedTable> = {}): WantedTable {
  const rules = familyRules(now, ALL)[purpose];
  return { purpose, rules, range: now, earlier: [before], removesAll: false, ...more };
}

function textsOf(purpose: Purpose, range = now): string[] {
  return (familyRules(range, ALL)[purpose] ?? []).map((rule) =>
    ruleText(rule, IPTABLES_PLACES[purpose].comment),
  );
}

function flat(range: OverlayRange, comment?: string): string[] {
  return flatMasqueradeRules(range, true).map((rule) => ruleText(rule, comment));
}

/** The table as it is after our change, by way of the text of iptables-save. */
function after(want: WantedTable, model: ModelTable): { model: ModelTable; reasons: readonly string[] } {
  const place = IPTABLES_PLACES[want.purpose];
  const change = tableChange(want, parseSaved(savedText({ raw: new Map(), [place.table]: model }), place));
  if (!change) return { model, reasons: [] };
  const changed = restored(model, place.table, change.input);
  const again = tableChange(want, parseSaved(savedText({ [place.table]: changed }), place));
  assert.equal(again, null, 'nothing is left to do');
  return { model: changed, reasons: change.reasons };
}

function nat(postrouting: readonly string[], flannel?: readonly string[]): ModelTable {
  const table: ModelTable = new Map([['POSTROUTING', [...postrouting]]]);
  if (flannel) table.set('FLANNEL-POSTRTG', [...flannel]);
  return table;
}

const jump = jumpText(IPTABLES_PLACES.masquerade);
const own = textsOf('masquerade');
const kube = '-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING';

test('nothing there: chain, rules and jump, behind what others have', () => {
  const { model, reasons } = after(wanted('masquerade'), nat([kube]));
  assert.deepEqual([model.get('POSTROUTING'), model.get('FLANNEL-POSTRTG')], [[kube, jump], own]);
  assert.deepEqual(reasons, [
    'chain FLANNEL-POSTRTG was missing',
    'POSTROUTING did not lead to FLANNEL-POSTRTG',
  ]);
  const forward = after(wanted('forward'), new Map([['FORWARD', []]]));
  assert.deepEqual(forward.model.get('FLANNEL-FWD'), textsOf('forward'));
});

test('all there: not a word', () => {
  assert.deepEqual(after(wanted('masquerade'), nat([kube, jump], own)).reasons, []);
  // v0.20 put the jump in front: it does there what it does behind.
  assert.deepEqual(after(wanted('masquerade'), nat([jump, kube], own)).reasons, []);
});

test('a rule that is missing, a strange one, another order, another subnet: the chain is filled anew', () => {
  for (const [rules, reason] of [
    [own.slice(1), 'chain FLANNEL-POSTRTG lacked 1 of 6 rules'],
    [[...own, '-j ACCEPT'], 'chain FLANNEL-POSTRTG held 1 others'],
    [[...own].reverse(), 'the rules of chain FLANNEL-POSTRTG were in another order or there twice'],
    [[...own, ...own], 'the rules of chain FLANNEL-POSTRTG were in another order or there twice'],
    [textsOf('masquerade', before), 'chain FLANNEL-POSTRTG lacked 5 of 6 rules and held 5 others'],
    [[], 'chain FLANNEL-POSTRTG lacked 6 of 6 rules'],
  ] as const) {
    const { model, reasons } = after(wanted('masquerade'), nat([kube, jump], rules));
    assert.deepEqual([model.get('POSTROUTING'), model.get('FLANNEL-POSTRTG')], [[kube, jump], own]);
    assert.deepEqual(reasons, [reason]);
  }
});

test('a jump that is there many times stays once', () => {
  const { model } = after(wanted('masquerade'), nat([jump, kube, jump, jump], own));
  assert.deepEqual(model.get('POSTROUTING')?.filter((rule) => rule === jump).length, 1);
  assert.ok(model.get('POSTROUTING')?.includes(kube));
});

test('what flannel up to v0.15 appended goes: of this subnet, of another one, of an earlier network, and twice', () => {
  const other = rangeOf('10.42.0.0/16', '10.42.99.0/24');
  for (const old of [
    flat(now),
    flat(other),
    flat(before),
    [...flat(now), ...flat(now)],
    [...flat(now), ...flat(other)],
  ]) {
    const { model, reasons } = after(wanted('masquerade'), nat([old[0] ?? '', kube, ...old.slice(1)]));
    assert.deepEqual(model.get('POSTROUTING'), [kube, jump]);
    assert.ok(
      reasons.includes(`${old.length} rules of an earlier flannel were in POSTROUTING`),
      `${reasons}`,
    );
  }
});

test('a part of that set may be anybody’s and stays', () => {
  const some = flat(now).slice(0, 3);
  assert.deepEqual(after(wanted('masquerade'), nat([...some, jump], own)).reasons, []);
  const ofOthers = flat(rangeOf('10.99.0.0/16', '10.99.1.0/24'));
  assert.deepEqual(after(wanted('masquerade'), nat([...ofOthers, jump], own)).reasons, []);
});

test('what v0.16 to v0.19 appended with their label goes', () => {
  const old = flat(before, IPTABLES_PLACES.masquerade.comment);
  const { model } = after(wanted('masquerade'), nat([kube, ...old, jump], own));
  assert.deepEqual(model.get('POSTROUTING'), [kube, jump]);
});

test('bare forward rules: an earlier network’s go, those of this one may be anybody’s', () => {
  const bare = ({ network }: OverlayRange) => [`-s ${network} -j ACCEPT`, `-d ${network} -j ACCEPT`];
  const table: ModelTable = new Map([['FORWARD', ['-j DOCKER-USER', ...bare(before), ...bare(now)]]]);
  const { model } = after(wanted('forward'), table);
  const forwardJump = jumpText(IPTABLES_PLACES.forward);
  assert.deepEqual(model.get('FORWARD'), ['-j DOCKER-USER', ...bare(now), forwardJump]);
});

test('not wanted any more: chain and jump go, in one step', () => {
  for (const chain of [own, textsOf('masquerade', before), []]) {
    const { model, reasons } = after(wanted('masquerade', { rules: null }), nat([kube, jump, jump], chain));
    assert.deepEqual([...model], [['POSTROUTING', [kube]]]);
    assert.deepEqual(reasons, ['chain FLANNEL-POSTRTG was left from an earlier run']);
  }
  assert.deepEqual(after(wanted('masquerade', { rules: null }), nat([kube])).reasons, []);
});

test('not wanted, and another flannel of this host holds the chain: it stays, unless its mode is over', () => {
  const theirs = textsOf('masquerade', rangeOf('10.99.0.0/16', '10.99.1.0/24'));
  const table = nat([jump], theirs);
  assert.deepEqual(after(wanted('masquerade', { rules: null }), table).reasons, []);
  const { model } = after(wanted('masquerade', { rules: null, removesAll: true }), table);
  assert.deepEqual([...model], [['POSTROUTING', []]]);
});

test('not wanted, but somebody else leads to the chain: it is emptied and stays', () => {
  const theirs = '-o eth9 -j FLANNEL-POSTRTG';
  const table = nat([jump, theirs], own);
  const { model } = after(wanted('masquerade', { rules: null }), table);
  assert.deepEqual(
    [...model],
    [
      ['POSTROUTING', [theirs]],
      ['FLANNEL-POSTRTG', []],
    ],
  );
  const elsewhere = nat([jump], own).set('OUTPUT', ['-j FLANNEL-POSTRTG']);
  assert.deepEqual(after(wanted('masquerade', { rules: null }), elsewhere).model.get('FLANNEL-POSTRTG'), []);
});

test('a table that iptables cannot read is named', () => {
  const text = "# Table `nat' is incompatible, use 'nft' tool.\n*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n";
  assert.match(parseSaved(text, IPTABLES_PLACES.masquerade).trouble ?? '', /^it was made by other means: /);
  assert.equal(parseSaved(text, IPTABLES_PLACES.forward).trouble, null);
});

test('whatever is there: afterwards our rules are right, foreign ones stand as they stood, and a second look is content', () => {
  const foreign = fc.constantFrom(
    ...[kube, '-j MASQUERADE', '-s 10.42.0.0/16 -j ACCEPT', '-d 10.42.0.0/16 -o eth0 -j ACCEPT'],
    ...[
      '-m comment --comment "my flanneld masq" -j RETURN',
      '-s 10.41.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE',
    ],
  );
  const labelled = fc.constantFrom(...flat(before, 'flanneld masq'), ...flat(now, 'flanneld masq'));
  const ours = fc.constantFrom(...own, ...textsOf('masquerade', before), '-j DROP');
  const pieces = fc.array(fc.oneof(foreign, foreign, labelled, fc.constant(jump)), { maxLength: 12 });
  const chain = fc.option(fc.oneof(fc.array(ours, { maxLength: 8 }), fc.constant(own)), { nil: undefined });
  fc.assert(
    fc.property(pieces, chain, fc.boolean(), fc.boolean(), (parent, rules, isWanted, removesAll) => {
      const want = wanted('masquerade', { ...(isWanted ? {} : { rules: null }), removesAll });
      const { model } = after(want, nat(parent, rules));
      const isForeign = (rule: string) => !rule.includes('"flanneld masq"');
      assert.deepEqual(model.get('POSTROUTING')?.filter(isForeign), parent.filter(isForeign));
      if (isWanted) {
        assert.deepEqual(model.get('FLANNEL-POSTRTG'), own);
        assert.deepEqual(
          model.get('POSTROUTING')?.filter((rule) => !isForeign(rule)),
          [jump],
        );
      } else if (removesAll) assert.deepEqual(model.has('FLANNEL-POSTRTG'), false);
    }),
    times(300),
  );
});
