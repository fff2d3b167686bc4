/** docs/operations.md against the flags, the commands and the configuration that it describes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dispatch } from '../../../src/cli/dispatch.js';
import type { FlagSpec } from '../../../src/config/flags.js';
import { idleFlags } from '../../../src/config/flannel-flags.js';
import { parseNetConf } from '../../../src/config/net-conf.js';
import { runFlags } from '../../../src/config/run-options.js';
import { plain, readDocument, tableRows } from '../../support/documents.js';

const text = readDocument('docs/operations.md');

/** As the document writes a default: nothing where there is none. */
function defaultText({ default: byDefault }: FlagSpec): string {
  return Array.isArray(byDefault) ? '' : String(byDefault);
}

test('the flags of `twill run`, in their order, with their defaults', () => {
  const written = tableRows(text, 'flag', 'default').map(([flag, byDefault]) => [
    plain(flag),
    plain(byDefault),
  ]);
  assert.deepEqual(
    written,
    runFlags.map((spec) => [`--${spec.name}`, defaultText(spec)]),
  );
});

test('bounds and choices of a flag stand in its line', () => {
  for (const [flag = '', , meaning = ''] of tableRows(text, 'flag', 'default')) {
    const { min, max, choices = [] } = runFlags.find(({ name }) => `--${name}` === plain(flag)) as FlagSpec;
    for (const choice of choices.length > 1 ? choices : [])
      assert.ok(meaning.includes(`\`${choice}\``), flag);
    // The largest lease is ten years: no bound that anybody asks for.
    if (min !== undefined) assert.match(meaning, new RegExp(`(${min} to ${max}|at least ${min})\\b`), flag);
  }
});

test('the flags of flannel that are accepted, with their defaults and jobs', () => {
  const written = tableRows(text, 'accepted flag').map((row) => row.map(plain));
  assert.deepEqual(
    written,
    idleFlags.map((spec) => [`--${spec.name}`, defaultText(spec), spec.help]),
  );
});

test('every command and every flag of its help is in the document', async () => {
  const help = async (...argv: string[]) => {
    const lines: string[] = [];
    const io = {
      stdout: (line: string) => lines.push(line),
      stderr: () => {},
      env: {},
      signal: new AbortController().signal,
    };
    assert.equal(await dispatch(argv, io), 0);
    return lines.join('\n');
  };
  const commands = [...(await help('--help')).matchAll(/^ {2}([\w-]+) +\S/gm)].map(([, name = '']) => name);
  const withFlags = ['run', 'demo', 'bench', 'status', 'peers', 'top', 'trace', 'capture', 'probe'];
  assert.deepEqual(commands, [...withFlags, 'install-conf']);
  for (const name of commands) {
    assert.ok(text.includes(`\`twill ${name}`), name);
    const flags = [...(await help(name, '--help')).matchAll(/^ {2}--([\w-]+)/gm)];
    assert.equal(flags.length > 0, withFlags.includes(name), name);
    for (const [, flag] of flags) assert.match(text, new RegExp(`--${flag}\\b`), `${name} --${flag}`);
  }
});

test('the examples of the network configuration come out as written', () => {
  const rows = tableRows(text, 'configuration');
  assert.ok(rows.length >= 4);
  for (const [configuration, length, first, last] of rows) {
    const { v4, v6 } = parseNetConf(plain(configuration));
    const range = v4 ?? v6;
    assert.deepEqual(
      [`${range?.subnetLength}`, `${range?.subnetMin}`, `${range?.subnetMax}`],
      [length, first, last],
      configuration,
    );
  }
});

test('every drop that the document advises on is one that there is', () => {
  const names = [...readDocument('native/base/drop_reasons.def').matchAll(/^DROP\(\w+, "(\w+)"/gm)].map(
    ([, name]) => name,
  );
  const advised = tableRows(text, 'drop').flatMap(([cell]) => plain(cell).split(', '));
  assert.ok(advised.length > 10);
  assert.deepEqual(
    advised.filter((name) => !names.includes(name)),
    [],
  );
});
