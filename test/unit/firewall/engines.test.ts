/** How the programs are driven: how often, what is said of their failures, and what is done where a host can do less. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AcceptedForms } from '../../../src/firewall/accepted-forms.js';
import type { FamilyWish } from '../../../src/firewall/engine.js';
import { IptablesEngine } from '../../../src/firewall/iptables-engine.js';
import { NftEngine } from '../../../src/firewall/nft-engine.js';
import { familyRules } from '../../../src/firewall/rules.js';
import { lockHolder } from '../../../src/firewall/xtables-lock.js';
import { Prefix } from '../../../src/net/prefix.js';
import {
  applied,
  listedText,
  type ModelRuleset,
  type ModelTable,
  restored,
  savedText,
} from '../../support/restore-model.js';
import { FakeTools, type ToolCall } from './fake-tools.js';

const range = { network: Prefix.parse('10.42.0.0/16'), subnet: Prefix.parse('10.42.7.0/24') };
const choice = { masquerade: true, forward: true, randomPorts: true };
const wish: FamilyWish = { rules: familyRules(range, choice), range, earlier: [], removesAll: false };

/** iptables whose tables are kept here. `refuse` may answer a restore in its place. */
function fakeIptables(refuse: (call: ToolCall) => { status: number; stderr: string } | null = () => null) {
  const tables: { [name: string]: ModelTable } = {
    nat: new Map([['POSTROUTING', []]]),
    filter: new Map([['FORWARD', ['-j DOCKER-USER']]]),
  };
  const tools = new FakeTools({
    'iptables-save': () => savedText(tables),
    'iptables-restore': (call) => {
      const refused = refuse(call);
      if (refused) return refused;
      const [, name = ''] = /^\*(\w+)/.exec(call.input) ?? [];
      tables[name] = restored(tables[name] ?? new Map(), name, call.input);
      return '';
    },
  });
  const programs = { name: 'iptables-nft', save: 'iptables-save', restore: 'iptables-restore' };
  return { tables, tools, engine: new IptablesEngine(programs, tools) };
}

test('iptables: one process to look, one for each table that changes, one to see that it lasts', async () => {
  const { tools, engine, tables } = fakeIptables();
  const { isRight, trouble, mended } = await engine.converge(wish);
  assert.deepEqual([isRight, trouble, mended.length], [true, null, 4]);
  assert.deepEqual([tools.count('iptables-save'), tools.count('iptables-restore')], [2, 2]);
  assert.deepEqual(tools.calls[1]?.args, ['--noflush', '--wait=5']);
  assert.deepEqual((await engine.converge(wish)).mended, []);
  assert.deepEqual([tools.count('iptables-save'), tools.count('iptables-restore')], [3, 2]);
  tables['nat']?.set('FLANNEL-POSTRTG', []);
  assert.deepEqual((await engine.converge(wish)).mended, ['chain FLANNEL-POSTRTG lacked 6 of 6 rules']);
  assert.deepEqual(tables['filter']?.get('FORWARD')?.[0], '-j DOCKER-USER');
});

test('iptables: a table that is refused is named, the other one is set all the same', async () => {
  const stderr =
    "iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'nat'\n\nError occurred at line: 1\nTry `iptables-restore -h' or 'iptables-restore --help' for more information.\n";
  const { engine, tables } = fakeIptables(({ input }) =>
    input.startsWith('*nat') ? { status: 1, stderr } : null,
  );
  const { isRight, trouble } = await engine.converge(wish);
  assert.equal(isRight, false);
  assert.equal(
    trouble,
    "iptables-nft: table nat: iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'nat' Error occurred at line: 1",
  );
  assert.equal(tables['filter']?.get('FLANNEL-FWD')?.length, 2);
});

test('iptables: who holds the lock is told, and nothing is given up', async () => {
  let isLocked = true;
  const stderr =
    'Another app is currently holding the xtables lock; still 0s 0us time ahead to have a chance to grab the lock...\n';
  const { engine } = fakeIptables(() => (isLocked ? { status: 4, stderr } : null));
  const { isRight, trouble } = await engine.converge(wish);
  assert.deepEqual([isRight, engine.lacksRandomPorts], [false, false]);
  assert.match(
    trouble ?? '',
    /table nat: the xtables lock is held by (process \d+|another process).*, for more than 5 s/,
  );
  isLocked = false;
  assert.equal((await engine.converge(wish)).isRight, true);
});

test('iptables: one that does not know random ports gets the rules without them', async () => {
  const { engine, tables } = fakeIptables(({ input }) =>
    input.includes('--random-fully')
      ? { status: 2, stderr: 'iptables-restore v1.6.0: unknown option "--random-fully"\n' }
      : null,
  );
  assert.deepEqual((await engine.converge(wish)).isRight, true);
  assert.equal(engine.lacksRandomPorts, true);
  assert.match(tables['nat']?.get('FLANNEL-POSTRTG')?.at(-1) ?? '', /-j MASQUERADE$/);
  assert.deepEqual((await engine.converge(wish)).mended, []);
});

test('iptables: rules that cannot be listed are no news of the rules', async () => {
  const tools = new FakeTools({ 'iptables-save': () => ({ status: 3, stderr: 'Permission denied\n' }) });
  const engine = new IptablesEngine({ name: 'iptables-nft', save: 'iptables-save', restore: 'x' }, tools);
  assert.deepEqual(await engine.converge(wish), {
    ...{ isRight: null, mended: [] },
    trouble: 'iptables-nft: the rules cannot be listed: Permission denied',
  });
});

test('rules that do not last are not written for ever', async () => {
  const { engine, tools, tables } = fakeIptables(() => {
    // Somebody takes the jump away again each time, at once.
    queueMicrotask(() => tables['nat']?.set('POSTROUTING', []));
    return null;
  });
  const { isRight, trouble } = await engine.converge(wish);
  assert.equal(isRight, false);
  assert.match(
    trouble ?? '',
    /it does not stay as it was written: POSTROUTING did not lead to FLANNEL-POSTRTG$/,
  );
  assert.ok(tools.calls.length < 20);
});

/** nft whose ruleset is kept here. */
function fakeNft(refuse: (input: string) => string | null = () => null, spell = (text: string) => text) {
  const state: { ruleset: ModelRuleset } = { ruleset: new Map() };
  const tools = new FakeTools({
    nft: ({ args, input }) => {
      if (args[0] === 'list') {
        const text = listedText(state.ruleset, `${args[2]} ${args[3]}`);
        return text === null ? { status: 1, stderr: 'Error: No such file or directory\n' } : spell(text);
      }
      const refused = refuse(input);
      if (refused !== null) return { status: 1, stderr: refused };
      state.ruleset = applied(state.ruleset, input);
      return '';
    },
  });
  return { state, tools, engine: new NftEngine('nft', 4, tools) };
}

test('nft: one process to look, one to change it all, one to see that it lasts', async () => {
  const { engine, tools } = fakeNft();
  assert.equal((await engine.converge(wish)).isRight, true);
  assert.deepEqual(
    tools.calls.map(({ args }) => args.join(' ')),
    ['list table ip flannel-ipv4', '-f -', 'list table ip flannel-ipv4'],
  );
  assert.deepEqual((await engine.converge(wish)).mended, []);
  assert.equal(tools.calls.length, 4);
});

test('nft: random ports only where the kernel knows them; another refusal is named', async () => {
  const { engine, state } = fakeNft((input) =>
    input.includes('fully-random') ? 'Error: Could not process rule: Operation not supported\n' : null,
  );
  assert.equal((await engine.converge(wish)).isRight, true);
  assert.equal(engine.lacksRandomPorts, true);
  assert.equal(
    state.ruleset.get('ip flannel-ipv4')?.chains.get('postrtg')?.rules.at(-1)?.endsWith(' masquerade'),
    true,
  );
  const other = fakeNft(
    () => 'Error: Could not process rule: Operation not permitted\nadd table ip x\n^^^^^\n',
  );
  const { isRight, trouble } = await other.engine.converge(wish);
  assert.deepEqual([isRight, other.engine.lacksRandomPorts], [false, false]);
  assert.equal(
    trouble,
    'nft: table flannel-ipv4: Error: Could not process rule: Operation not permitted add table ip x',
  );
});

test('nft: a kernel that lacks what one chain needs gets the other one', async () => {
  const { engine, state, tools } = fakeNft((input) =>
    input.includes('type nat') ? 'Error: Could not process rule: No such file or directory\n' : null,
  );
  const first = await engine.converge(wish);
  assert.equal(first.isRight, false);
  assert.equal(
    first.trouble,
    'nft: table flannel-ipv4: Error: Could not process rule: No such file or directory',
  );
  assert.equal(engine.lacksRandomPorts, false);
  const chains = state.ruleset.get('ip flannel-ipv4')?.chains;
  assert.deepEqual([...(chains?.keys() ?? [])], ['forward']);
  assert.equal(chains?.get('forward')?.rules.length, 2);
  const before = tools.calls.length;
  assert.deepEqual(await engine.converge(wish), { ...first, mended: [] }, 'the same words again');
  // One look, and that chain with random ports and without.
  assert.equal(tools.calls.length, before + 3);
});

test('nft: a version that lists a rule in other words is not written to for ever', async () => {
  const { engine, tools } = fakeNft(undefined, (text) => text.replace('& 0x00004000 ==', 'and 0x4000 =='));
  assert.equal((await engine.converge(wish)).isRight, true);
  const calls = tools.calls.length;
  assert.deepEqual((await engine.converge(wish)).mended, []);
  assert.equal(tools.calls.length, calls + 1);
});

test('another form counts once the same listing has followed the same write twice', () => {
  const forms = new AcceptedForms();
  assert.equal(forms.areSame('a', 'b'), false);
  forms.wrote('a');
  assert.equal(forms.areSame('a', 'b'), false);
  assert.equal(forms.areSame('a', 'b'), false, 'no write in between');
  forms.wrote('a');
  assert.equal(forms.areSame('a', 'c'), false, 'another one');
  forms.wrote('a');
  assert.equal(forms.areSame('a', 'c'), true);
  assert.equal(forms.areSame('a', 'b'), false);
});

test('rules that somebody removes after each write are no other form, nor are others where ours have been listed', () => {
  const forms = new AcceptedForms();
  for (let i = 0; i < 4; i++) {
    forms.wrote('a\nb');
    assert.equal(forms.areSame('a\nb', 'a'), false);
  }
  assert.equal(forms.areSame('a\nb', 'a\nb'), true);
  for (let i = 0; i < 4; i++) {
    forms.wrote('a\nb');
    assert.equal(forms.areSame('a\nb', 'a\nc'), false);
  }
});

test('the holder of a lock in /proc/locks', () => {
  const locks = [
    '1: FLOCK  ADVISORY  WRITE 77 fe:00:131 0 EOF',
    '2: POSIX  ADVISORY  WRITE 78 00:1a:9 0 EOF',
    '3: FLOCK  ADVISORY  WRITE 79 00:1a:9 0 EOF',
    '3: -> FLOCK  ADVISORY  WRITE 80 00:1a:9 0 EOF',
  ].join('\n');
  assert.equal(lockHolder(locks, 0x1a, 9), 79);
  assert.equal(lockHolder(locks, 0xfe00, 131), 77);
  assert.equal(lockHolder(locks, 0x1a, 10), null);
});
