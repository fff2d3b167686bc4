/** examples/rootless-tunnel.ts by a user without any right. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Example } from '../support/example.js';
import { asNobody, nobodyCannotRun } from '../support/namespaces.js';

const isRoot = process.getuid?.() === 0;
const skip = isRoot && (await nobodyCannotRun());
// Ports of this process's own.
const port = 20_000 + (process.pid % 10_000);

test('rootless tunnel: two processes of nobody exchange a stream both ways, whole and in order', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const args = ['--packets', '20000', '--port', `${port}`];
  const example = Example.start(t, 'rootless-tunnel', args, isRoot ? { before: asNobody } : {});
  assert.equal(await example.end(), 0);
  const uid = isRoot ? 65_534 : process.getuid?.();
  const said = example.lines.map((line) => line.replace(/, [\d,]+ packets\/s$/, '')).sort();
  assert.deepEqual(
    said,
    [1, 2].map((node) => `node ${node}, as user ${uid}: 20000 sent, 20000 received in order`),
  );
});
