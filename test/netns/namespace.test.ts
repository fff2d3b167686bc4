/** The lab itself: nothing inside a namespace outlives the process that made it, however that ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Namespace } from '../../src/lab/namespace.js';
import { cannotRun, until } from '../support/namespaces.js';

const skip = await cannotRun();
const script = fileURLToPath(new URL('../support/hold-namespace.js', import.meta.url));

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`a maker ended by ${signal} takes the namespace and all inside with it`, {
    skip,
    timeout: 30_000,
  }, async () => {
    const maker = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    assert.ok(maker.stdout);
    const [line] = (await once(createInterface({ input: maker.stdout }), 'line')) as [string];
    const pids = JSON.parse(line) as number[];
    const isSleeping = async () => (await readFile(`/proc/${pids[1]}/comm`, 'utf8')).trim() === 'sleep';
    await until('it sleeps inside', isSleeping);
    maker.kill(signal);
    const isGone = (pid: number) =>
      access(`/proc/${pid}`).then(
        () => false,
        () => true,
      );
    await until('both are gone', async () => (await Promise.all(pids.map(isGone))).every(Boolean));
  });
}

test('nothing is started in a namespace that is closed', { skip }, async () => {
  const namespace = await Namespace.create('closed');
  const closed = namespace.close();
  assert.throws(() => namespace.spawn('sleep', ['9']), { code: 'ERR_TWILL_CLOSED' });
  await closed;
});
