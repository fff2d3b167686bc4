/** The tables of misuse of `Tun` and `Agent`: each of their members in each situation, with what it has to end with. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cannotRun, makePair } from '../support/namespaces.js';

const skip = await cannotRun();
const options = { skip, timeout: 120_000 };

interface Table {
  readonly members: readonly string[];
  readonly rows: readonly string[];
  readonly situations: readonly string[];
}

/** The lines that it prints; it fails where a row does not end as it has to. */
async function run(t: TestContext, program: string, situation: string): Promise<string[]> {
  const [namespace] = await makePair(t, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const folder = await mkdtemp(join(tmpdir(), 'twill-misuse-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const script = fileURLToPath(new URL(`../support/${program}.js`, import.meta.url));
  const { stdout } = await namespace.exec(process.execPath, [script, folder, situation], 100_000);
  return stdout.trim().split('\n');
}

/** Setters have a row of their own: `mtu =`. */
const memberOf = (row: string) => row.replace(/ =$/, '');

/** For Node's streams, which call them. */
const EXEMPT = ['_read', '_write', '_destroy', 'allowHalfOpen'];

for (const program of ['tun-misuse', 'agent-misuse']) {
  test(program, options, async (t) => {
    const [line = ''] = await run(t, program, '');
    const { members, rows, situations } = JSON.parse(line) as Table;
    await t.test('each member has a row', () => {
      const wanted = members.filter((member) => !EXEMPT.includes(member));
      assert.deepEqual([...new Set(rows.map(memberOf))].sort(), wanted.sort());
    });
    for (const situation of situations)
      await t.test(situation, async (t) => {
        assert.deepEqual(await run(t, program, situation), rows);
      });
  });
}
