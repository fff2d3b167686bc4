/** A dataplane over a TUN whose host takes away what it stands on, and what its children inherit. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { joinByVeth } from '../../src/lab/namespace.js';
import { cannotRun, makeNamespace } from '../support/namespaces.js';

const skip = await cannotRun();
const script = fileURLToPath(new URL('../support/plane-steps.js', import.meta.url));
const options = { skip, timeout: 60_000 };

/** Runs one step to its end; the lines that it said. */
// biome-ignore lint/suspicious/noExplicitAny: each step says something else.
async function step(t: TestContext, name: string): Promise<any[]> {
  const a = await makeNamespace(t, 'a');
  const b = await makeNamespace(t, 'b');
  await joinByVeth(
    { namespace: a, device: 'eth0', addresses: ['192.0.2.1/24'] },
    { namespace: b, device: 'eth0' },
  );
  const { stdout } = await a.exec(process.execPath, [script, name]);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('what the host takes away is told once each time', options, async (t) => {
  const [{ faults, ...rest }, { links }] = await step(t, 'faults');
  const down = [
    'ERR_TWILL_DEVICE',
    'the device weft0 has been set down: "ip link set weft0 up" lets packets pass again',
  ];
  assert.deepEqual(faults, [
    down,
    [
      'ERR_TWILL_SOCKET',
      'this host has lost the underlay address 192.0.2.1: give it back to an interface, or open another dataplane',
    ],
    down,
    ['ERR_TWILL_DEVICE', 'the device weft0 has been deleted: close this dataplane and open another'],
  ]);
  assert.deepEqual(rest, { isClosed: false, drop: 'no_route' });
  assert.deepEqual(links, ['lo', 'eth0']);
});

test('a listener of faults that throws, and closes', options, async (t) => {
  assert.deepEqual(await step(t, 'listeners'), [
    { uncaught: ['in fault 1', 'in fault 2'], calls: 2, faults: 2, links: ['lo', 'eth0'] },
  ]);
});

test('a child inherits neither device nor sockets nor watches', options, async (t) => {
  const [{ before, after, hasDevice }] = await step(t, 'child');
  assert.equal(hasDevice, true);
  assert.deepEqual(after, before);
});
