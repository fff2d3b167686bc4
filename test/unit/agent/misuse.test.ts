/** Misuse of `Agent` as far as no agent runs; what a running and a stopped one answers is in test/netns/library-agent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Agent } from '../../../src/agent.js';
import { ends, membersOf, strayUses, typeError, wrong, wrongKind } from '../../support/misuse.js';

test('an agent has these members, and no other', () => {
  const members = ['[Symbol.asyncDispose]', 'peers', 'reload', 'static start', 'status', 'stop', 'trace'];
  assert.deepEqual(membersOf(Agent).sort(), members);
});

test('start refuses at once what it cannot be told', async () => {
  const store = { readConfig: () => '', list: () => [], watch: () => [] };
  const rows: [unknown, RegExp][] = [
    [null, /^Agent\.start: options must be an object, not null$/],
    ['dir:/srv', /^Agent\.start: options must be an object, not "dir:\/srv"$/],
    [{ store: 5 }, /^Agent\.start: store must be text, or a Store with readConfig\(\), not 5$/],
    [{ store: null }, /^Agent\.start: store must be text, or a Store with readConfig\(\), not null$/],
    [{ store }, /^Agent\.start: store must be text, or a Store with close\(\), not \[object Object\]$/],
    [{ signal: {} }, /^Agent\.start: signal must be an AbortSignal, not \[object Object\]$/],
  ];
  for (const [given, message] of rows)
    await ends(JSON.stringify(given), wrongKind(message), () => Agent.start(wrong(given)));
});

test('its members are of no use without it, and nobody else makes one', async () => {
  for (const { name, use } of strayUses(Agent)) await ends(name, typeError, use);
  const making = () => new (wrong(Agent))({ store: 'dir:/srv' });
  await ends('new Agent', wrongKind(/^Agent must be made by Agent\.start, not \[object Object\]$/), making);
});
